#include "configs/openvpn_output.h"

#include <vector>

#include "base/text.h"

namespace lt::configs {

namespace {

constexpr std::string_view completed = "Initialization Sequence Completed";
constexpr std::size_t lines_max = 3;
constexpr std::size_t line_length_max = 200;

}  // namespace

bool openvpn_has_started(std::string_view log) {
  return log.find(completed) != std::string_view::npos;
}

std::string openvpn_last_words(std::string_view log) {
  auto lines = split(trim(log), '\n');
  if (lines.size() > lines_max)
    lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(lines_max));
  std::vector<std::string> words;
  for (const std::string_view line : lines)
    words.push_back(printable(line, line_length_max));
  const std::string joined = join(words, " | ");
  return joined.empty() ? "its log is empty" : "its log ends: " + joined;
}

}  // namespace lt::configs

#include "tuner/ip_counters.h"

#include <algorithm>
#include <vector>

#include "base/fd.h"
#include "base/text.h"

namespace lt::tuner {

namespace {

constexpr std::size_t file_bytes_max = 64 * 1024;

std::uint64_t difference(std::uint64_t now, std::uint64_t before) {
  return now > before ? now - before : 0;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words = split(line, ' ');
  std::erase_if(words, [](std::string_view word) { return word.empty(); });
  return words;
}

// "FRAG: inuse 3 memory 24576".
Result<std::uint64_t> incomplete_of(const std::string& sockstat) {
  for (const std::string_view line : split(sockstat, '\n')) {
    const auto words = words_of(line);
    if (words.size() < 3 || words[0] != "FRAG:" || words[1] != "inuse") continue;
    if (const auto number = parse_u64(words[2])) return *number;
  }
  return fail(Errc::invalid, "/proc/net/sockstat has no number of incomplete datagrams");
}

}  // namespace

IpCounters IpCounters::since(const IpCounters& before) const {
  return {difference(reassembled, before.reassembled),
          difference(reassembly_failures, before.reassembly_failures),
          difference(incomplete, before.incomplete),
          difference(fragment_failures, before.fragment_failures)};
}

// Two lines that begin with "Ip:": the names, then the numbers.
Result<IpCounters> parse_ip_counters(const std::string& text, const std::string& sockstat) {
  std::vector<std::vector<std::string_view>> rows;
  for (const std::string_view line : split(text, '\n')) {
    if (line.starts_with("Ip:")) rows.push_back(words_of(line));
  }
  if (rows.size() != 2 || rows[0].size() != rows[1].size()) {
    return fail(Errc::invalid, "/proc/net/snmp has no row of names and row of numbers for IP");
  }
  const auto column = [&](std::string_view name) -> Result<std::uint64_t> {
    const auto at = std::find(rows[0].begin(), rows[0].end(), name);
    const auto place = static_cast<std::size_t>(at - rows[0].begin());
    const auto number = at == rows[0].end() ? std::nullopt : parse_u64(rows[1][place]);
    if (!number)
      return fail(Errc::invalid, "/proc/net/snmp has no number for " + std::string(name));
    return *number;
  };
  IpCounters counters;
  LT_TRY(counters.reassembled, column("ReasmOKs"));
  LT_TRY(counters.reassembly_failures, column("ReasmFails"));
  LT_TRY(counters.fragment_failures, column("FragFails"));
  LT_TRY(counters.incomplete, incomplete_of(sockstat));
  return counters;
}

Result<IpCounters> read_ip_counters() {
  LT_TRY(const std::string text, read_file("/proc/thread-self/net/snmp", file_bytes_max));
  LT_TRY(const std::string sockstat, read_file("/proc/thread-self/net/sockstat", file_bytes_max));
  return parse_ip_counters(text, sockstat);
}

}  // namespace lt::tuner

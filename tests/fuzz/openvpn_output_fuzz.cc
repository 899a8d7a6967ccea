// What the OpenVPN program prints: its version and its log. A version comes back from its text, and what is shown of a
// log may be shown.
#include "configs/openvpn_output.h"
#include "configs/openvpn_writer.h"
#include "tests/fuzz/fuzz.h"

namespace lt::fuzz {

namespace {

void read_version(std::string_view text) {
  const auto version = configs::parse_openvpn_version(text);
  if (!version) return expect(!version.error().what.empty() && is_showable(version.error().what), "the reason may be shown");
  const auto again = configs::parse_openvpn_version("OpenVPN " + version->text() + " x86_64-pc-linux-gnu");
  expect(again && *again == *version, "a version comes back from its text");
}

void read_log(std::string_view log) {
  const std::string words = configs::openvpn_last_words(log);
  expect(!words.empty() && is_showable(words) && words.find('\n') == std::string::npos, "the end of a log may be shown in a line");
  expect(words.size() < 700, "the end of a log is short");
  const bool has_started = configs::openvpn_has_started(log);
  const std::string longer = std::string(log) + "\nInitialization Sequence Completed\n";
  expect(configs::openvpn_has_started(longer), "a log that says so has started");
  expect(!has_started || log.size() >= 33, "nothing has started that does not say so");
}

}  // namespace

void run(ByteView input) {
  Choices choices(input);
  const bool is_version = choices.truth();
  const std::vector<Byte> bytes = copy_of(choices.rest());
  is_version ? read_version(as_text(bytes)) : read_log(as_text(bytes));
}

}  // namespace lt::fuzz

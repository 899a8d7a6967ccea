// The reader and the linter of somebody's own OpenVPN config: whatever the file holds, it is read or
// refused with its place, every finding names a line of it and may be shown, and what stands in a block
// of keys is not kept.
#include "base/text.h"
#include "configs/openvpn_lint.h"
#include "tests/fuzz/fuzz.h"

namespace lt::fuzz {

namespace {

const std::string path = "/etc/openvpn/site.conf";

void expect_sound(const std::vector<configs::LintFinding>& findings, std::size_t lines_max) {
  for (const configs::LintFinding& finding : findings) {
    expect(is_showable(finding.found) && is_showable(finding.reason) && is_showable(finding.cure), "a finding may be shown");
    expect(finding.line <= lines_max, "a finding's line is one of the file");
    expect(!finding.reason.empty() && !finding.cure.empty(), "a finding has a reason and a cure");
  }
}

}  // namespace

void run(ByteView input) {
  Choices choices(input);
  const configs::OpenVpnVersion version{2, static_cast<unsigned>(4 + choices.below(4)), static_cast<unsigned>(choices.below(20))};
  const bool includes_itself = choices.truth();
  const ByteView rest = choices.rest();
  const std::string_view text = as_text(rest);
  // A file that includes itself has to end, too.
  const auto include = [&](const std::string&) -> Result<std::string> {
    if (!includes_itself) return fail(Errc::not_found, "there is no such file");
    return std::string(text);
  };
  auto lines = configs::parse_openvpn_text(text, path, include);
  const std::size_t lines_max = split(text, '\n').size() + 1;
  if (!lines) {
    expect(is_showable(lines.error().what), "a fault may be shown");
    expect(lines.error().what.find(':') != std::string::npos || lines.error().code == Errc::limit, "a fault names its place");
    return;
  }
  for (const configs::OpenVpnLine& line : *lines) {
    expect(!line.words.empty(), "a line has an option");
    expect(line.number >= 1 && line.number <= lines_max, "a line has its number");
    expect(!line.is_inline || line.words.size() == 1, "the content of a block is not kept");
  }
  const auto subject = configs::lint_subject(std::move(*lines), path, version);
  const auto findings = configs::lint(subject);
  expect_sound(findings, lines_max);
  expect_sound(configs::lint_pair(subject, subject), lines_max);
}

}  // namespace lt::fuzz

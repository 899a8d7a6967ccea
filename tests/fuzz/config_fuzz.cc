// The reader of site configs: a config that is read comes back from its own text, and whatever is wrong is said with
// file, line and column, in words that may be shown.
#include "base/text.h"
#include "configs/toml_reader.h"
#include "configs/toml_writer.h"
#include "tests/fuzz/fuzz.h"

namespace lt::fuzz {

namespace {

constexpr std::string_view path = "/etc/linktune/site.toml";

// "FILE:LINE:COLUMN: what is wrong"
void expect_findings(std::string_view text, std::size_t lines_max) {
  expect(is_showable(text), "a finding may be shown, whatever the file holds");
  for (std::string_view finding : split(text, '\n')) {
    expect(finding.starts_with(path), "a finding begins with its file");
    finding.remove_prefix(path.size());
    const auto parts = split(finding, ':');
    expect(parts.size() >= 4 && parts[0].empty(), "a finding names line and column, then says what is wrong");
    const auto line = parse_u64(parts[1]);
    const auto column = parse_u64(parts[2]);
    expect(line && *line >= 1 && *line <= lines_max, "a finding's line is one of the file");
    expect(column && *column >= 1, "a finding's column is one of its line");
    expect(!trim(parts[3]).empty(), "a finding says something");
  }
}

}  // namespace

void run(ByteView input) {
  const std::string_view text = as_text(input);
  const auto config = configs::parse_link_config(text, std::string(path));
  if (!config) return expect_findings(config.error().what, split(text, '\n').size() + 1);

  expect(configs::validate(*config).has_value(), "a config that is read can be used");
  expect(config->listen.has_value() != config->connect.has_value(), "a site listens or connects");
  const std::string written = configs::write_link_config(*config);
  const auto again = configs::parse_link_config(written, std::string(path));
  expect(again.has_value(), "what is written can be read");
  expect(*again == *config, "a config comes back from its own text");
  expect(configs::write_link_config(*again) == written, "the same config gives the same text");
}

}  // namespace lt::fuzz

#include "app/cmd_openvpn_lint.h"

#include <array>
#include <filesystem>

#include "app/cmd_openvpn.h"
#include "base/fd.h"
#include "base/format.h"
#include "base/text.h"
#include "configs/openvpn_lint.h"

namespace lt::app {

namespace {

using configs::LintFinding;
using configs::LintSubject;
using configs::OpenVpnVersion;

constexpr std::size_t name_shown_max = 200;

Result<OpenVpnVersion> version_of(const OpenVpnLintOptions& options) {
  if (!options.version.empty()) {
    auto version = configs::parse_lint_version(options.version);
    if (!version) return fail(with_context(version.error(), "--version"));
    return *version;
  }
  const auto installed = installed_openvpn_version();
  if (!installed)
    return fail(Errc::not_found, "openvpn is not installed, so say which one the config is for, as --version 2.6");
  if (installed->major == 2 && installed->minor >= 4 && installed->minor <= 7) return *installed;
  return fail(Errc::unsupported, "OpenVPN " + installed->text() +
                                     " is installed, which the linter does not know; name the nearest one, as --version 2.7");
}

// Files that a config names are looked for where OpenVPN is usually started: in the config's folder.
Result<LintSubject> subject_of(const std::string& path, const OpenVpnVersion& version) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  const auto include = [&](const std::string& name) -> Result<std::string> {
    return read_file((folder / name).string(), configs::openvpn_text_bytes_max + 1);
  };
  LT_TRY(const std::string text, read_file(path, configs::openvpn_text_bytes_max + 1));
  LT_TRY(auto lines, configs::parse_openvpn_text(text, path, include));
  return configs::lint_subject(std::move(lines), path, version);
}

std::string transport_of(const LintSubject& subject) {
  if (subject.uses_tcp && subject.uses_udp) return "tcp and udp";
  return subject.uses_tcp ? "tcp" : "udp";
}

std::string text_of(const LintFinding& finding) {
  const std::string place = finding.line == 0 ? "" : format("{}:{}: ", printable(finding.file, name_shown_max), finding.line);
  const std::string found = finding.found.empty() ? "a line is missing" : finding.found;
  return format("  {:<9}  {}{}\n             {}\n             cure: {}\n", name_of(finding.kind), place, found,
                finding.reason, finding.cure);
}

std::string counts_of(const std::vector<LintFinding>& findings) {
  std::array<std::size_t, configs::lint_kinds> counts{};
  for (const LintFinding& finding : findings)
    ++counts[static_cast<std::size_t>(finding.kind)];
  std::vector<std::string> words;
  for (std::size_t i = 0; i < counts.size(); ++i)
    if (counts[i] > 0) words.push_back(format("{} {}", counts[i], name_of(static_cast<configs::LintKind>(i))));
  return words.empty() ? "Nothing to say against it.\n" : join(words, ", ") + ".\n";
}

Json json_of(const LintFinding& finding) {
  return {{"kind", std::string(name_of(finding.kind))},
          {"rule", finding.rule},
          {"file", printable(finding.file, name_shown_max)},
          {"line", finding.line},
          {"found", finding.found},
          {"reason", finding.reason},
          {"cure", finding.cure}};
}

std::string version_text(const OpenVpnVersion& version) {
  return version.patch == configs::latest_patch ? format("{}.{}", version.major, version.minor) : version.text();
}

// All findings of one file, or of the pair.
struct Chapter {
  std::string title;
  std::vector<LintFinding> findings;
};

Outcome outcome_of(const std::vector<LintSubject>& subjects, const std::vector<Chapter>& chapters) {
  Json files = Json::array();
  for (const LintSubject& subject : subjects)
    files.push_back({{"file", printable(subject.path, name_shown_max)},
                     {"role", std::string(name_of(subject.role))},
                     {"transport", transport_of(subject)}});
  Json list = Json::array();
  std::string text;
  std::vector<LintFinding> all;
  for (const Chapter& chapter : chapters) {
    if (chapter.findings.empty()) continue;
    text += chapter.title + "\n";
    for (const LintFinding& finding : chapter.findings) {
      text += text_of(finding);
      list.push_back(json_of(finding));
      all.push_back(finding);
    }
    text += "\n";
  }
  const bool is_harmful = configs::is_harmful(all);
  return {{{"schema", "linktune.openvpn_lint.1"},
           {"version", version_text(subjects.front().version)},
           {"files", files},
           {"is_harmful", is_harmful},
           {"findings", list}},
          text + counts_of(all),
          is_harmful ? exit_failed : exit_done};
}

}  // namespace

Result<Outcome> lint_openvpn(const OpenVpnLintOptions& options) {
  if (options.files.empty() || options.files.size() > 2)
    return fail(Errc::invalid, "name one config, or the two of a pair");
  LT_TRY(const OpenVpnVersion version, version_of(options));
  std::vector<LintSubject> subjects;
  std::vector<Chapter> chapters;
  for (const std::string& path : options.files) {
    LT_TRY(LintSubject subject, subject_of(path, version));
    chapters.push_back({format("{}: a {} over {}, OpenVPN {}", printable(path, name_shown_max), name_of(subject.role),
                               transport_of(subject), version_text(version)),
                        configs::lint(subject)});
    subjects.push_back(std::move(subject));
  }
  if (subjects.size() == 2)
    chapters.push_back({"Both ends together", configs::lint_pair(subjects[0], subjects[1])});
  return outcome_of(subjects, chapters);
}

}  // namespace lt::app

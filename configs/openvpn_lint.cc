#include "configs/openvpn_lint.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/text.h"
#include "configs/openvpn_options.h"

namespace lt::configs {

namespace {

constexpr std::size_t shown_length_max = 100;

bool is_tcp(std::string_view proto) {
  return proto.starts_with("tcp");
}

// Of the options that a finding may quote with their words. Any other may hold a secret or a name.
std::string shown(const OpenVpnLine& line) {
  if (line.is_inline) return printable("<" + line.option() + ">", shown_length_max);
  return printable(join(line.words, " "), shown_length_max);
}

std::string replaced(std::string text, std::string_view what, const std::string& with) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
  return text;
}

std::string filled(std::string_view text, const OpenVpnLine& line, const LintSubject& subject) {
  const std::uint64_t packets = std::min<std::uint64_t>(parse_u64(line.word(1)).value_or(0), 65536);
  std::string out = replaced(std::string(text), "{mtu}", std::to_string(tun_mtu_max_of(subject)));
  out = replaced(std::move(out), "{buffers}",
                 std::to_string(bcast_buffers_for(Packets{packets}).value));
  return replaced(std::move(out), "{1}", printable(line.word(1), 40));
}

LintFinding finding_of(const LintRule& rule, const OpenVpnLine& line, const LintSubject& subject) {
  return {rule.kind,
          std::string(rule.name),
          line.file,
          line.number,
          line.number == 0 ? std::string() : shown(line),
          filled(rule.reason, line, subject),
          filled(rule.cure, line, subject)};
}

// Options of which the last line counts: an earlier one is dead.
bool is_single(std::string_view option) {
  static const std::set<std::string_view> known{"proto",
                                                "port",
                                                "lport",
                                                "tun-mtu",
                                                "tun-mtu-max",
                                                "mssfix",
                                                "fragment",
                                                "cipher",
                                                "data-ciphers",
                                                "auth",
                                                "txqueuelen",
                                                "sndbuf",
                                                "rcvbuf",
                                                "keepalive",
                                                "verb",
                                                "topology",
                                                "dev",
                                                "bcast-buffers",
                                                "reneg-sec",
                                                "dh",
                                                "tcp-queue-limit",
                                                "tls-version-min",
                                                "ncp-ciphers"};
  return known.contains(option);
}

void add_repeated(const LintSubject& subject, std::vector<LintFinding>& findings) {
  for (const OpenVpnLine& line : subject.lines) {
    if (line.connection || !is_single(line.option())) continue;
    const OpenVpnLine* last = subject.last(line.option());
    if (last == &line) continue;
    findings.push_back({LintKind::dead, "said-twice", line.file, line.number, shown(line),
                        line.option() + " stands again in line " + std::to_string(last->number) +
                            (last->file == line.file ? "" : " of " + printable(last->file, 100)) +
                            ", and the last one counts",
                        "take one of them away"});
  }
}

// What the config itself allows OpenVPN not to know.
std::set<std::string> ignored_options(const LintSubject& subject) {
  std::set<std::string> names;
  for (const OpenVpnLine& line : subject.lines) {
    if (line.option() == "ignore-unknown-option") names.insert(line.words.begin() + 1, line.words.end());
  }
  return names;
}

// Of such a line only the first word is shown: what follows may be a secret.
void add_unknown(const LintSubject& subject, std::vector<LintFinding>& findings) {
  const auto ignored = ignored_options(subject);
  for (const OpenVpnLine& line : subject.lines) {
    if (ignored.contains(line.option())) continue;
    const std::string name = printable(line.option(), 40);
    if (is_windows_option(line.option())) {
      findings.push_back({LintKind::note, "windows-only", line.file, line.number, name,
                          "only OpenVPN on Windows knows " + name + ": anywhere else it does not start with it",
                          "say `setenv opt` before it, where other systems read this file too"});
      continue;
    }
    if (is_openvpn_option(line.option())) continue;
    const auto meant = nearest_openvpn_option(line.option());
    findings.push_back({LintKind::fatal, "unknown-option", line.file, line.number, name,
                        "OpenVPN has no option " + name + ", and does not start with one that it does not know",
                        meant ? "did you mean " + *meant + "? If not, take the line away"
                              : "take the line away, or allow it with `ignore-unknown-option " + name + "`"});
  }
}

void sort_by_weight(std::vector<LintFinding>& findings) {
  std::stable_sort(findings.begin(), findings.end(), [](const auto& a, const auto& b) {
    return std::tie(a.kind, a.file, a.line) < std::tie(b.kind, b.file, b.line);
  });
}

// server and server-bridge are macros for it.
OpenVpnRole role_of(const LintSubject& subject) {
  for (const OpenVpnLine& line : subject.lines) {
    if (line.option() == "server" || line.option() == "server-bridge") return OpenVpnRole::server;
    if (line.option() == "mode" && line.word(1) == "server") return OpenVpnRole::server;
  }
  if (subject.has("client") || (subject.has("pull") && subject.has("tls-client")))
    return OpenVpnRole::client;
  return OpenVpnRole::peer;
}

// The protocol of each <connection>, or of the config without one. UDP when nobody says.
void find_transport(LintSubject& subject) {
  const OpenVpnLine* general = subject.last("proto");
  const std::string fallback = general ? std::string(general->word(1)) : "udp";
  std::map<std::size_t, std::string> by_connection;
  std::vector<std::string> used;
  for (const OpenVpnLine& line : subject.lines) {
    if (line.connection) {
      auto& proto = by_connection.try_emplace(*line.connection, fallback).first->second;
      if (line.option() == "proto") proto = line.word(1);
      if (line.option() == "remote" && !line.word(3).empty()) proto = line.word(3);
    } else if (line.option() == "remote" && !line.word(3).empty()) {
      used.emplace_back(line.word(3));
    }
  }
  for (const auto& [place, proto] : by_connection)
    used.push_back(proto);
  if (used.empty()) used.push_back(fallback);
  for (const std::string& proto : used) {
    (is_tcp(proto) ? subject.uses_tcp : subject.uses_udp) = true;
    if (proto.find('6') != std::string::npos) subject.uses_ipv6 = true;
  }
}

}  // namespace

std::string_view name_of(LintKind kind) {
  switch (kind) {
    case LintKind::fatal:
      return "fatal";
    case LintKind::dangerous:
      return "dangerous";
    case LintKind::slow:
      return "slow";
    case LintKind::ignored:
      return "ignored";
    case LintKind::dead:
      return "dead";
    case LintKind::note:
      return "note";
  }
  return {};
}

std::string_view name_of(OpenVpnRole role) {
  switch (role) {
    case OpenVpnRole::server:
      return "server";
    case OpenVpnRole::client:
      return "client";
    case OpenVpnRole::peer:
      return "peer";
  }
  return {};
}

Result<OpenVpnVersion> parse_lint_version(std::string_view text) {
  const auto parts = split(text, '.');
  std::vector<unsigned> numbers;
  for (const std::string_view part : parts) {
    const auto number = parse_u64(part);
    if (!number || *number > latest_patch) break;
    numbers.push_back(static_cast<unsigned>(*number));
  }
  const bool is_whole = numbers.size() == parts.size() && (parts.size() == 2 || parts.size() == 3);
  if (!is_whole || numbers[0] != 2 || numbers[1] < 4 || numbers[1] > 7) {
    return fail(Errc::invalid, "`" + printable(text, 40) +
                                   "` is no version that the linter knows; write 2.4, 2.5, 2.6, "
                                   "2.7, or one of these with its last number, as 2.6.14");
  }
  return OpenVpnVersion{numbers[0], numbers[1], numbers.size() == 3 ? numbers[2] : latest_patch};
}

const OpenVpnLine* LintSubject::last(std::string_view option) const {
  const OpenVpnLine* found = nullptr;
  for (const OpenVpnLine& line : lines) {
    if (line.option() == option && !line.connection) found = &line;
  }
  return found;
}

bool LintSubject::has(std::string_view option) const {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const OpenVpnLine& line) { return line.option() == option; });
}

std::uint64_t LintSubject::number(std::string_view option, std::uint64_t otherwise) const {
  const OpenVpnLine* line = last(option);
  return line ? parse_u64(line->word(1)).value_or(otherwise) : otherwise;
}

LintSubject lint_subject(std::vector<OpenVpnLine> lines, const std::string& path,
                         const OpenVpnVersion& version) {
  LintSubject subject;
  subject.path = path;
  subject.lines = std::move(lines);
  subject.version = version;
  subject.role = role_of(subject);
  subject.is_static_key = subject.has("secret");
  subject.tun_mtu = subject.number("tun-mtu", 1500);
  find_transport(subject);
  return subject;
}

std::uint64_t tun_mtu_max_of(const LintSubject& subject) {
  if (!subject.uses_udp) return 65511;
  return subject.uses_ipv6 ? 65463 : 65483;
}

std::vector<LintFinding> lint(const LintSubject& subject) {
  std::vector<LintFinding> findings;
  const OpenVpnLine nowhere{subject.path, 0, {""}, false, std::nullopt};
  for (const LintRule& rule : lint_rules()) {
    if (subject.version < rule.since || subject.version >= rule.before) continue;
    if (rule.option.empty() && rule.applies(nowhere, subject))
      findings.push_back(finding_of(rule, nowhere, subject));
    for (const OpenVpnLine& line : subject.lines) {
      if (!rule.option.empty() && line.option() == rule.option && rule.applies(line, subject))
        findings.push_back(finding_of(rule, line, subject));
    }
  }
  add_repeated(subject, findings);
  add_unknown(subject, findings);
  sort_by_weight(findings);
  return findings;
}

std::vector<LintFinding> lint_pair(const LintSubject& one, const LintSubject& other) {
  const bool is_swapped = other.role == OpenVpnRole::server && one.role != OpenVpnRole::server;
  const LintSubject& server = is_swapped ? other : one;
  const LintSubject& client = is_swapped ? one : other;
  std::vector<LintFinding> findings;
  for (const PairRule& rule : pair_rules()) {
    if (!rule.applies(server, client)) continue;
    const OpenVpnLine* line = client.last(rule.option);
    findings.push_back({rule.kind, std::string(rule.name), client.path, line ? line->number : 0,
                        line ? shown(*line) : std::string(), std::string(rule.reason),
                        std::string(rule.cure)});
  }
  sort_by_weight(findings);
  return findings;
}

bool is_harmful(std::span<const LintFinding> findings) {
  return std::any_of(findings.begin(), findings.end(), [](const LintFinding& finding) {
    return finding.kind == LintKind::fatal || finding.kind == LintKind::dangerous;
  });
}

}  // namespace lt::configs

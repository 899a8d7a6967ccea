// What is wrong with somebody's own OpenVPN config: lines that stop OpenVPN, that endanger, slow
// down, are ignored, or do nothing, each with the reason and what to write instead.
//
// The rules are a table of data (openvpn_lint_rules.cc); this file's functions lay it over a config
// and, with two configs, over the pair. Pure.
// @source OpenVPN 2.4 to 2.7, manual and sources; what is marked "measured" was seen with 2.6.14
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "configs/openvpn_text.h"
#include "configs/openvpn_writer.h"

namespace lt::configs {

/// Worst first.
enum class LintKind : std::uint8_t {
  fatal,      // OpenVPN does not start with it
  dangerous,  // it loses packets or secrets
  slow,       // it costs throughput or latency
  ignored,    // OpenVPN reads it and does otherwise
  dead,       // it has no effect here
  note,       // nothing wrong yet
};
inline constexpr std::size_t lint_kinds = 6;
[[nodiscard]] std::string_view name_of(LintKind kind);

enum class OpenVpnRole : std::uint8_t { server, client, peer };
[[nodiscard]] std::string_view name_of(OpenVpnRole role);

/// A version of which the last number may be missing: then the latest of its kind is meant.
/// @error invalid: not 2.4 to 2.7
[[nodiscard]] Result<OpenVpnVersion> parse_lint_version(std::string_view text);
inline constexpr unsigned latest_patch = 999;

/// A config and what follows from all of its lines together.
struct LintSubject {
  std::string path;
  std::vector<OpenVpnLine> lines;
  OpenVpnVersion version;
  OpenVpnRole role{OpenVpnRole::peer};
  bool uses_tcp{false};  // a <connection> may differ from another: both are possible
  bool uses_udp{false};
  bool uses_ipv6{false};  // outside the tunnel, for certain
  bool is_static_key{false};
  std::uint64_t tun_mtu{1500};

  /// The last line with that option outside of <connection> blocks, as OpenVPN takes it.
  [[nodiscard]] const OpenVpnLine* last(std::string_view option) const;
  /// Anywhere.
  [[nodiscard]] bool has(std::string_view option) const;
  /// The number behind an option, `otherwise` when there is none.
  [[nodiscard]] std::uint64_t number(std::string_view option, std::uint64_t otherwise) const;
};
[[nodiscard]] LintSubject lint_subject(std::vector<OpenVpnLine> lines, const std::string& path,
                                       const OpenVpnVersion& version);

struct LintFinding {
  LintKind kind{LintKind::note};
  std::string rule;
  std::string file;
  std::size_t line{0};  // 0: it is about what is not there
  std::string found;    // the line's words; printable
  std::string reason;
  std::string cure;
};

/// Worst first, then by place. @pre lines of one config and its includes
[[nodiscard]] std::vector<LintFinding> lint(const LintSubject& subject);
/// What two ends do not agree on; each end's own findings are lint()'s.
[[nodiscard]] std::vector<LintFinding> lint_pair(const LintSubject& one, const LintSubject& other);

/// Whether one of them is fatal or dangerous.
[[nodiscard]] bool is_harmful(std::span<const LintFinding> findings);

/// A row of the table.
struct LintRule {
  std::string_view name;
  LintKind kind{LintKind::note};
  std::string_view option;  // the lines it looks at; empty: at the config as a whole, once
  OpenVpnVersion since;     // the versions it is true of: since <= version < before
  OpenVpnVersion before;
  bool (*applies)(const OpenVpnLine& line, const LintSubject& subject);
  std::string_view reason;  // {1} is the line's first parameter, {mtu} the largest tun-mtu that
  std::string_view cure;    // works, {buffers} the bcast-buffers its queue needs
  std::string_view source;
};
[[nodiscard]] std::span<const LintRule> lint_rules();

struct PairRule {
  std::string_view name;
  LintKind kind{LintKind::note};
  std::string_view option;  // the line of the client that the finding points at
  bool (*applies)(const LintSubject& server, const LintSubject& client);
  std::string_view reason;
  std::string_view cure;
};
[[nodiscard]] std::span<const PairRule> pair_rules();

/// The largest tun-mtu that this transport carries with AES-256-GCM.
/// @source measured with 2.6.14: 65511 on TCP (a 16-bit length less 24 bytes), 65483 on UDP over
/// IPv4 (65507 less 24), 65463 over IPv6 (20 bytes of header more)
[[nodiscard]] std::uint64_t tun_mtu_max_of(const LintSubject& subject);

}  // namespace lt::configs

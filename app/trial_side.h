// TrialSide: one end of a link under trial, started from files and ended with this object: our own daemon, or
// the installed OpenVPN. Both ends stand on one machine in a lab, on two in a sweep between gateways.
#pragma once

#include <csignal>
#include <functional>
#include <span>
#include <string>

#include "base/ip.h"
#include "base/process.h"
#include "base/result.h"

namespace lt::app {

/// The argument vector that runs one where the end stands: in a namespace of a lab, or as it is.
using Enter = std::function<Argv(const Argv&)>;

class TrialSide {
 public:
  /// `linktune up` of `config`, whose site is `site`; its control socket and its log go into `folder`.
  [[nodiscard]] static Result<TrialSide> start_native(const Enter& enter, const std::string& config,
                                                      const std::string& folder, const std::string& site);
  /// @param who  for sentences: "OpenVPN's server"  @error not_found: openvpn is not installed
  [[nodiscard]] static Result<TrialSide> start_openvpn(const Enter& enter, const std::string& program,
                                                       const std::string& config, const std::string& log,
                                                       const std::string& who);

  /// Whether it says that it is up. @error closed: it has ended; its last words are in the sentence
  [[nodiscard]] Result<bool> is_ready();
  [[nodiscard]] std::string last_words() const;

  /// SIGTERM, so that several end at once.
  void tell_to_end() const { child_.signal(SIGTERM); }
  /// SIGTERM, and wait. @return whether it ended in good order
  bool end() { return child_.end(std::chrono::seconds(4)) == 0; }

 private:
  Child child_;
  std::string who_;
  std::string log_;
  std::function<bool()> says_up_;
};

/// Waits until all of `sides` are ready and `is_carried` holds.
/// @error closed: one has ended · timed_out: with `what` and the last words of the last
[[nodiscard]] Status wait_for_sides(std::span<TrialSide* const> sides, const std::function<bool()>& is_carried,
                                    std::chrono::milliseconds patience, const std::string& what);

/// Whether one IP packet of `bytes` gets to `target` and back, unfragmented.
[[nodiscard]] bool carries_packet(const Enter& enter, const IpAddress& target, std::uint32_t bytes);

/// The path that this very program was started from; after an upgrade the new one is there.
[[nodiscard]] std::string own_program();
/// The last line of a log, safe to show.
[[nodiscard]] std::string last_line(const std::string& path);

}  // namespace lt::app

// WireGuardPair: a wireguard-go at both gateways of a lab, told what to do over its own socket; for comparison only.
//
// The program is the one that WIREGUARD_GO names: Debian 12 itself has a version from before its offloads (2022), which
// would be no fair comparison; the one of bookworm-backports (2023) has them.
#pragma once

#include <string>

#include "base/process.h"
#include "lab/sandbox.h"

namespace lt::app {

inline constexpr const char* wireguard_office_address = "10.80.0.1";
inline constexpr const char* wireguard_offsite_address = "10.80.0.2";
inline constexpr std::uint32_t wireguard_mtu_usual = 1420;  // what wg-quick takes

/// The program that WIREGUARD_GO names. @error unsupported: none, or it does not run; the sentence holds the cure
[[nodiscard]] Result<std::string> find_wireguard_go();
/// "0.0.20231211", as it says itself; "unknown" where it says nothing.
[[nodiscard]] std::string wireguard_go_version(const std::string& program);

class WireGuardPair {
 public:
  /// Starts both and waits until a packet went there and came back.
  /// @error closed: an end ended; its own words are in the sentence · timed_out: nothing came back
  /// @param mtu  of the devices (unit: B)
  [[nodiscard]] static Result<WireGuardPair> start(const lab::Sandbox& sandbox, const std::string& program, const std::string& folder,
                                                   std::uint32_t mtu = wireguard_mtu_usual);

  /// SIGTERM to both, and wait.
  void end();

 private:
  WireGuardPair() = default;
  Child office_;
  Child offsite_;
};

}  // namespace lt::app

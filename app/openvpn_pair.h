// OpenVpnPair: the installed OpenVPN at both sites of a lab, started from files and ended with this object.
#pragma once

#include <string>

#include "app/trial_side.h"
#include "configs/openvpn_knobs.h"
#include "configs/openvpn_writer.h"
#include "crypto/certificate.h"
#include "lab/sandbox.h"

namespace lt::app {

/// The certificates of both ends: made once, since a trial is not about them.
struct OpenVpnKeys {
  crypto::CertificatePem server;
  crypto::CertificatePem client;

  [[nodiscard]] static Result<OpenVpnKeys> make();
};

inline constexpr const char* openvpn_office_address = "10.79.0.1";
inline constexpr const char* openvpn_offsite_address = "10.79.0.2";

/// The files for the two gateways of a lab: the office serves, the off-site gateway calls.
/// @param client_config_folder  absolute; where the file of the client's networks will be
[[nodiscard]] Result<configs::OpenVpnPair> write_lab_pair(const lab::Topology& topology, const OpenVpnKeys& keys,
                                                          const configs::OpenVpnKnobs& knobs,
                                                          const configs::OpenVpnVersion& version,
                                                          const std::string& client_config_folder);

struct OpenVpnPairOptions {
  std::string server_file;  // to be started in the office's gateway
  std::string client_file;  // to be started in the off-site gateway
  std::string log_folder;
  std::uint32_t tun_mtu{1500};  // a packet of this size must pass before the pair counts as up (unit: B)
  std::string program{"openvpn"};
  std::chrono::milliseconds patience{std::chrono::seconds(15)};
};

class OpenVpnPair {
 public:
  /// Starts both and waits until a packet of the full size went there and came back.
  /// @error not_found: openvpn is not installed · closed: an end refused its file; its own words are in the sentence
  ///        · timed_out: no full-size packet passed: a black hole, or no connection
  [[nodiscard]] static Result<OpenVpnPair> start(const lab::Sandbox& sandbox, const OpenVpnPairOptions& options);

  /// Writes the lab's pair for `knobs` into `folder`, then as start(). @error invalid: knobs that do not fit
  [[nodiscard]] static Result<OpenVpnPair> write_and_start(const lab::Sandbox& sandbox, const OpenVpnKeys& keys,
                                                           const configs::OpenVpnKnobs& knobs,
                                                           const configs::OpenVpnVersion& version,
                                                           const std::string& folder);

  /// SIGTERM to both, and wait.
  void end();

 private:
  OpenVpnPair() = default;
  TrialSide server_;
  TrialSide client_;
};

}  // namespace lt::app

// LabBench: a lab as the tuner's bench. Each arm is started from nothing between the two gateways, by real
// daemons: our own program, or the installed OpenVPN.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "app/arm_knobs.h"
#include "app/native_pair.h"
#include "app/openvpn_pair.h"
#include "app/scratch_folder.h"
#include "app/wireguard_pair.h"
#include "lab/sandbox.h"
#include "tuner/bench.h"
#include "tuner/gate_walk.h"

namespace lt::app {

/// The fact of a journal that names the lab's line.
inline constexpr std::string_view line_fact = "lab";

class LabBench final : public tuner::Bench {
 public:
  /// @param sandbox  outlives the bench
  /// @param line     the lab's profile and words, for the journal: a sweep is resumed on the same line only
  static Result<std::unique_ptr<LabBench>> create(const lab::Sandbox& sandbox, const std::string& line, bool with_openvpn);
  ~LabBench() override;

  Result<tuner::Started> prepare(const tuner::Arm& arm, const std::stop_token& stop) override;
  Result<tuner::Physics> physics(const std::stop_token& stop) override;
  Result<tuner::GateOutcome> gate(const std::stop_token& stop) override;
  Result<tuner::Sample> measure(const tuner::TrialPlan& plan, const std::stop_token& stop) override;
  Status dismantle() override;
  std::vector<tuner::Fact> facts() const override;

  /// How the probe server of this bench is reached, from any namespace.
  [[nodiscard]] Result<tuner::ProbeClientOptions> probe_client() const;
  /// The gate's walk over what `data` leads to, a device of `mtu`: as gate() does for what is prepared.
  [[nodiscard]] Result<tuner::GateOutcome> walk(const IpAddress& data, std::optional<std::uint32_t> mtu,
                                                const std::stop_token& stop) const;
  /// How long the gate's load is; a test has less time than an owner.
  void watch_for(Milliseconds time) { watch_ = time; }
  [[nodiscard]] const OpenVpnKeys& openvpn_keys() const { return *openvpn_keys_; }
  [[nodiscard]] const configs::OpenVpnVersion& openvpn_version() const { return openvpn_version_; }

 private:
  LabBench(const lab::Sandbox& sandbox, std::string line, ScratchFolder folder)
      : sandbox_(sandbox), line_(std::move(line)), folder_(std::move(folder)) {}
  Status start_probe_server();

  Status start_native(const tuner::Arm& arm);
  Status start_openvpn(const tuner::Arm& arm);
  Status start_wireguard(const tuner::Arm& arm);

  const lab::Sandbox& sandbox_;
  std::string line_;
  ScratchFolder folder_;
  std::optional<OpenVpnKeys> openvpn_keys_;
  configs::OpenVpnVersion openvpn_version_;
  Result<std::string> wireguard_program_ = find_wireguard_go();
  std::jthread probe_server_;  // inside the off-site gateway's namespace
  std::string control_path_;   // its control line: a Unix socket, so no packet of it crosses the path under test

  Milliseconds watch_{tuner::GateOptions{}.watch};
  unsigned starts_{0};
  std::optional<NativePair> native_;
  std::optional<OpenVpnPair> openvpn_;
  std::optional<WireGuardPair> wireguard_;
  std::optional<std::uint32_t> mtu_;  // of the device of what is prepared; none: the bare line
  tuner::BareSegments bare_segments_;
  std::optional<IpAddress> data_;  // where the probe finds the far end of what is prepared
};

}  // namespace lt::app

// LinkBench: two real gateways as the tuner's bench. Each arm is started from nothing at both, beside the link that
// carries the conversation about it (app/sweep_line.h); no packet of anybody else goes through an arm.
//
// The other site lends what it makes: a lease, renewed every second by a thread of its own here. Who is not heard of
// for lease_time is given up by the other, at both ends: a cut line leaves no trial standing anywhere.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "app/sweep_agent.h"
#include "app/sweep_line.h"
#include "app/trial_host.h"
#include "configs/link_config.h"
#include "tuner/bench.h"

namespace lt::app {

/// The fact of a journal that names the two sites.
inline constexpr std::string_view sites_fact = "sites";

struct LinkBenchOptions {
  std::string config_path;
  std::string run_directory;
  Seconds planned{0};        // for the other owner to see
  bool with_openvpn{false};  // some arm needs it, at both ends
};

class LinkBench final : public tuner::Bench {
 public:
  /// Opens the lease. @error invalid: the config · not_permitted: not root · unreachable: no agent · rejected: it is not
  /// allowed there · busy: somebody else sweeps · not_found, unsupported: no openvpn or an old one, and where
  [[nodiscard]] static Result<std::unique_ptr<LinkBench>> create(const LinkBenchOptions& options);
  ~LinkBench() override;

  Result<tuner::Started> prepare(const tuner::Arm& arm, const std::stop_token& stop) override;
  Result<tuner::Physics> physics(const std::stop_token& stop) override;
  Result<tuner::GateOutcome> gate(const std::stop_token& stop) override;
  Result<tuner::Sample> measure(const tuner::TrialPlan& plan, const std::stop_token& stop) override;
  Status dismantle() override;
  std::vector<tuner::Fact> facts() const override;

 private:
  // Where the other end of what is prepared can be measured.
  struct Target {
    IpAddress data;
    tuner::ProbeClientOptions probe;
    std::uint16_t data_port{0};
    std::optional<std::uint32_t> mtu{};  // of the arm's device; none: the bare line
  };

  LinkBench(configs::LinkConfig config, LinkBenchOptions options, SweepWay way)
      : config_(std::move(config)), options_(std::move(options)), line_(std::move(way)) {}
  [[nodiscard]] Status open_lease();
  [[nodiscard]] Result<Json> ask(const SweepRequest& request, const std::stop_token& stop);
  [[nodiscard]] Status start_both(const tuner::Arm& arm, const std::stop_token& stop);
  [[nodiscard]] Status wait_until_up(const tuner::Arm& arm, const std::stop_token& stop);
  [[nodiscard]] Status take_target(const Json& state, const tuner::Arm& arm);
  [[nodiscard]] Status check_bare(const IpAddress& data) const;
  /// What `asked` is to say when the lease was lost meanwhile.
  template <class T>
  [[nodiscard]] Result<T> unless_lost(Result<T> asked, const std::stop_token& stop) const;
  /// What the line did to a trial that failed with it.
  [[nodiscard]] Error silence(const Error& seen) const;
  [[nodiscard]] std::optional<LeaseId> present_lease();
  void keep_beating(const std::stop_token& stop);
  void keep_watch(const std::stop_token& stop);
  void lose_lease();

  configs::LinkConfig config_;
  LinkBenchOptions options_;
  SweepLine line_;

  tuner::BareSegments bare_segments_;
  // Of the lease: the sweep's thread uses them, the beating one may take them away.
  std::mutex mutex_;
  std::unique_ptr<TrialHost> host_;
  std::optional<LeaseId> lease_;
  std::stop_source lost_;  // of the present lease

  TrialPeer peer_;
  std::uint16_t peer_port_{0};
  std::vector<tuner::Fact> facts_;
  std::optional<Target> target_;
  std::atomic<Instant> heard_{Instant{}};  // of the other site, by whichever thread asked
  std::atomic<bool> was_silent_{false};      // the line, during what is under way
  std::jthread beating_;
  std::jthread watching_;  // waits for nobody's answer: it only looks at the clock
};

}  // namespace lt::app

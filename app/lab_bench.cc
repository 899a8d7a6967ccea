#include "app/lab_bench.h"

#include <future>

#include "app/cipher_speed.h"
#include "app/cmd_openvpn.h"
#include "app/openvpn_dco.h"
#include "lab/netns.h"
#include "tuner/line_survey.h"
#include "tuner/probe_host.h"

namespace lt::app {

Result<std::unique_ptr<LabBench>> LabBench::create(const lab::Sandbox& sandbox, const std::string& line, bool with_openvpn) {
  LT_TRY(auto folder, ScratchFolder::create("sweep"));
  std::unique_ptr<LabBench> bench(new LabBench(sandbox, line, std::move(folder)));
  if (with_openvpn) {
    LT_TRY(bench->openvpn_version_, installed_openvpn_version());
    LT_TRY(bench->openvpn_keys_, OpenVpnKeys::make());
  }
  LT_CHECK(bench->start_probe_server());
  return bench;
}

LabBench::~LabBench() {
  if (const auto status = dismantle(); !status) { /* the lab removes what is left in its namespaces */
  }
  probe_server_.request_stop();
}

// The server says nothing of its clients: the sweep is the only one it has.
Status LabBench::start_probe_server() {
  control_path_ = folder_.path() + "/probe.sock";
  const std::string where = sandbox_.topology().namespace_of(lab::Host::offsite_gw);
  const auto listening = std::make_shared<std::promise<Status>>();
  auto is_listening = listening->get_future();
  probe_server_ = std::jthread([this, where, listening](const std::stop_token& stop) {
    Log log = Log::silent();
    bool told = false;
    const Status served = lab::run_inside(where, [&]() -> Status {
      LT_TRY(const auto control, tuner::ControlAddress::parse("unix:" + control_path_));
      LT_TRY(auto server, tuner::ProbeServer::create({.control = control}, log));
      told = true;
      listening->set_value({});
      return server.serve(stop);
    });
    if (!told) listening->set_value(served);
  });
  return is_listening.get();
}

// What the machine lacks says nothing about the arm.
static bool is_benchs_fault(const Error& error) {
  return error.code == Errc::not_permitted || error.code == Errc::not_found || error.code == Errc::limit;
}

Result<tuner::Started> LabBench::prepare(const tuner::Arm& arm, const std::stop_token&) {
  const auto began = std::chrono::steady_clock::now();
  Status started;
  switch (arm.carrier) {
    case tuner::ArmCarrier::bare: data_ = sandbox_.topology().offsite.wan_v4.address; break;
    case tuner::ArmCarrier::native: started = start_native(arm); break;
    case tuner::ArmCarrier::openvpn: started = start_openvpn(arm); break;
    case tuner::ArmCarrier::wireguard:
      if (!wireguard_program_) return fail(wireguard_program_.error());
      started = start_wireguard(arm);
      break;
  }
  tuner::Started result;
  result.took = std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - began);
  if (started) return result;
  if (is_benchs_fault(started.error())) return fail(started.error());
  result.failure = started.error();
  return result;
}

Status LabBench::start_native(const tuner::Arm& arm) {
  LT_TRY(const auto knobs, native_knobs_of(arm));
  LT_TRY(const auto folder, folder_.add("start-" + std::to_string(++starts_)));
  const TrialPlace place;
  LT_TRY(native_, NativePair::start(sandbox_, {.folder = folder, .knobs = knobs, .place = place}));
  data_ = place.offsite.address;
  mtu_ = knobs.mtu;
  return {};
}

Status LabBench::start_openvpn(const tuner::Arm& arm) {
  LT_TRY(const auto knobs, openvpn_knobs_of(arm));
  LT_TRY(const auto folder, folder_.add("start-" + std::to_string(++starts_)));
  LT_TRY(openvpn_, OpenVpnPair::write_and_start(sandbox_, *openvpn_keys_, knobs, openvpn_version_, folder));
  data_ = *IpAddress::parse(openvpn_offsite_address);
  mtu_ = knobs.tun_mtu;
  return {};
}

Status LabBench::start_wireguard(const tuner::Arm& arm) {
  LT_TRY(const auto asked, wireguard_mtu_of(arm));
  LT_TRY(const auto folder, folder_.add("start-" + std::to_string(++starts_)));
  const std::uint32_t mtu = asked.value_or(wireguard_mtu_usual);
  LT_TRY(wireguard_, WireGuardPair::start(sandbox_, *wireguard_program_, folder, mtu));
  data_ = *IpAddress::parse(wireguard_offsite_address);
  mtu_ = mtu;
  return {};
}

Result<tuner::ProbeClientOptions> LabBench::probe_client() const {
  LT_TRY(const auto control, tuner::ControlAddress::parse("unix:" + control_path_));
  return tuner::ProbeClientOptions{.control = control};
}

Result<tuner::Physics> LabBench::physics(const std::stop_token& stop) {
  LT_TRY(const auto client, probe_client());
  std::optional<tuner::Physics> physics;
  LT_CHECK(lab::run_inside(sandbox_.topology().namespace_of(lab::Host::office_gw), [&]() -> Status {
    LT_TRY(physics, tuner::survey_line({.client = client, .data = sandbox_.topology().offsite.wan_v4.address}, bare_segments_, stop));
    return {};
  }));
  LT_CHECK(add_cipher_speeds(*physics));
  if (openvpn_keys_) physics->notes.push_back(installed_openvpn_dco().sentence);
  if (!wireguard_program_) physics->notes.push_back("WireGuard is not tried: " + wireguard_program_.error().what);
  return *physics;
}

Result<tuner::GateOutcome> LabBench::gate(const std::stop_token& stop) { return walk(*data_, mtu_, stop); }

Result<tuner::GateOutcome> LabBench::walk(const IpAddress& data, std::optional<std::uint32_t> mtu,
                                          const std::stop_token& stop) const {
  LT_TRY(const auto client, probe_client());
  const auto counters_of = [this](lab::Host host) {
    return [this, host]() -> Result<tuner::IpCounters> {
      tuner::IpCounters counters;
      LT_CHECK(lab::run_inside(sandbox_.topology().namespace_of(host), [&]() -> Status {
        LT_TRY(counters, tuner::read_ip_counters());
        return {};
      }));
      return counters;
    };
  };
  std::optional<tuner::GateOutcome> outcome;
  LT_CHECK(lab::run_inside(sandbox_.topology().namespace_of(lab::Host::office_gw), [&]() -> Status {
    LT_TRY(outcome, tuner::walk_gate({.client = client,
                                      .data = data,
                                      .mtu = mtu,
                                      .watch = watch_,
                                      .near_counters = counters_of(lab::Host::office_gw),
                                      .far_counters = counters_of(lab::Host::offsite_gw)},
                                     stop));
    return {};
  }));
  return *outcome;
}

Result<tuner::Sample> LabBench::measure(const tuner::TrialPlan& plan, const std::stop_token& stop) {
  LT_TRY(const auto client, probe_client());
  std::optional<tuner::Sample> sample;
  LT_CHECK(lab::run_inside(sandbox_.topology().namespace_of(lab::Host::office_gw), [&]() -> Status {
    LT_TRY(sample, tuner::measure_by_probe(client, *data_, std::nullopt, plan, stop, 0, mtu_ ? nullptr : &bare_segments_));
    return {};
  }));
  return *sample;
}

Status LabBench::dismantle() {
  if (native_) native_->end();
  native_.reset();
  if (openvpn_) openvpn_->end();
  openvpn_.reset();
  if (wireguard_) wireguard_->end();
  wireguard_.reset();
  data_.reset();
  mtu_.reset();
  return {};
}

std::vector<tuner::Fact> LabBench::facts() const {
  std::vector<tuner::Fact> facts{
      {"linktune", LINKTUNE_VERSION}, {"kernel", tuner::kernel_version()}, {std::string(line_fact), line_}};
  if (openvpn_keys_) facts.push_back({"openvpn", openvpn_version_.text()});
  if (wireguard_program_) facts.push_back({"wireguard-go", wireguard_go_version(*wireguard_program_)});
  return facts;
}

}  // namespace lt::app

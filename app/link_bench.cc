#include "app/link_bench.h"

#include <unistd.h>

#include <algorithm>

#include "app/arm_knobs.h"
#include "app/control.h"
#include "app/device_rate.h"
#include "base/text.h"
#include "configs/toml_reader.h"
#include "tuner/fields.h"
#include "tuner/gate_walk.h"
#include "tuner/line_survey.h"
#include "tuner/probe_host.h"

namespace lt::app {

namespace {

constexpr Milliseconds answer_patience{10'000};  // an end under trial is taken down in four seconds
constexpr Milliseconds beat_patience{3'000};
constexpr Milliseconds up_patience{15'000};
constexpr Milliseconds look{100};
// Of the link's own conversation. A path under test that fails meanwhile fails with the line: it is given up after
// tuner::silence_max, and by then the link has been silent at least this long.
constexpr Milliseconds silence_of_line{4'000};
static_assert(silence_of_line + beat_time < tuner::silence_max);

// What a site, its port or the line between does says nothing about the arm.
bool is_benchs_fault(const Error& error) {
  switch (error.code) {
    case Errc::not_permitted:
    case Errc::not_found:
    case Errc::limit:
    case Errc::busy:
    case Errc::unreachable:
    case Errc::rejected:
    case Errc::protocol:
    case Errc::interrupted:
    case Errc::exists:
    case Errc::io: return true;
    case Errc::invalid:
    case Errc::timed_out:
    case Errc::closed:
    case Errc::unsupported: break;
  }
  return false;
}

// A stop of one token or the other.
class Either {
 public:
  Either(const std::stop_token& one, const std::stop_token& other)
      : one_(one, [this] { source_.request_stop(); }), other_(other, [this] { source_.request_stop(); }) {}
  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }

 private:
  std::stop_source source_;
  std::stop_callback<std::function<void()>> one_;
  std::stop_callback<std::function<void()>> other_;
};

// Whoever wants OpenVPN tried hears before any time is spent that one end cannot.
Status check_openvpn(const std::string& site, const std::optional<configs::OpenVpnVersion>& version) {
  if (!version) return fail(Errc::not_found, "openvpn is not installed at " + site + ": sudo apt-get install openvpn there, or sweep with --no-openvpn");
  if (*version >= configs::openvpn_version_min) return {};
  return fail(Errc::unsupported, "OpenVPN " + version->text() + " at " + site + " is too old: install " + configs::openvpn_version_min.text() + " or newer there, or sweep with --no-openvpn");
}

Result<IpAddress> address_field(const Json& json, std::string_view name) {
  LT_TRY(const std::string text, tuner::text_field(json, name, 64));
  const auto address = IpAddress::parse(text);
  if (!address) return fail(Errc::protocol, "the other site's `" + std::string(name) + "` is no address");
  return *address;
}

}  // namespace

Result<std::unique_ptr<LinkBench>> LinkBench::create(const LinkBenchOptions& options) {
  if (::geteuid() != 0) return fail(Errc::not_permitted, "a sweep makes devices and starts daemons: run it as root");
  LT_TRY(auto config, configs::load_link_config(options.config_path));
  LT_TRY(auto way, SweepWay::of(config));
  std::unique_ptr<LinkBench> bench(new LinkBench(std::move(config), options, std::move(way)));
  LT_CHECK(bench->open_lease());
  bench->beating_ = std::jthread([raw = bench.get()](const std::stop_token& stop) { raw->keep_beating(stop); });
  bench->watching_ = std::jthread([raw = bench.get()](const std::stop_token& stop) { raw->keep_watch(stop); });
  return bench;
}

LinkBench::~LinkBench() {
  beating_ = {};
  watching_ = {};
  const bool is_leased = present_lease().has_value();
  if (const Status down = dismantle(); down && is_leased) {
    if (const auto closed = line_.ask(CloseRequest{}, answer_patience); !closed) { /* its lease ends by itself */
    }
  }
  line_.hang_up();
  const std::lock_guard lock(mutex_);
  host_.reset();
}

Status LinkBench::open_lease() {
  LT_CHECK(line_.reach());  // nothing is made here for a site that does not answer
  LT_TRY(auto host, TrialHost::create(config_, options_.run_directory));
  LT_TRY(const Json answer, line_.ask(OpenRequest{.site = config_.site,
                                                  .keys = host->shown(),
                                                  .trial_address = host->address().address.text(),
                                                  .planned = std::min(options_.planned, planned_max)}, answer_patience));
  LT_TRY(const std::string lease, tuner::text_field(answer, "lease", 32));
  const auto raw = from_hex(lease);
  LT_TRY(peer_.site, tuner::text_field(answer, "site", 32));
  if (!raw || raw->size() != 16 || !configs::is_site_name(peer_.site)) return fail(Errc::protocol, "the other site's lease makes no sense");
  LT_TRY(const Json keys, tuner::object_field(answer, "keys"));
  LT_TRY(peer_.keys, trial_keys_from_json(keys));
  LT_TRY(peer_.trial_address, address_field(answer, "trial_address"));
  LT_TRY(const std::uint64_t port, tuner::whole_field(answer, "trial_port", {1, 65535}));
  LT_TRY(const bool listens, tuner::truth_field(answer, "listens"));
  peer_port_ = static_cast<std::uint16_t>(port);
  if (listens == config_.listen.has_value()) return fail(Errc::invalid, "both sites listen, or both connect: correct [link] at one of them");
  if (peer_port_ != config_.sweep.trial_port) {
    return fail(Errc::invalid, "the port of trials is " + std::to_string(config_.sweep.trial_port) + " here and " + std::to_string(peer_port_) + " at the other site: write the same sweep.trial_port at both");
  }
  LT_TRY(const Json far, tuner::object_field(answer, "facts"));
  std::vector<tuner::Fact> facts{{std::string(sites_fact), config_.site + " to " + peer_.site}};
  for (const auto* const name : {"linktune", "kernel", "openvpn"}) {
    if (!tuner::has_field(far, name)) continue;
    LT_TRY(const std::string value, tuner::text_field(far, name, 128));
    facts.push_back({peer_.site + "_" + name, value});
  }
  facts.push_back({"linktune", LINKTUNE_VERSION});
  facts.push_back({"kernel", tuner::kernel_version()});
  const auto version = openvpn_here();
  if (version) facts.push_back({"openvpn", version->text()});
  if (options_.with_openvpn) {
    std::optional<configs::OpenVpnVersion> theirs;
    if (tuner::has_field(far, "openvpn")) {
      LT_TRY(const std::string text, tuner::text_field(far, "openvpn", 128));
      LT_TRY(theirs, configs::parse_openvpn_version("OpenVPN " + text));
    }
    LT_CHECK(check_openvpn(config_.site, version));
    LT_CHECK(check_openvpn(peer_.site, theirs));
  }
  const std::lock_guard lock(mutex_);
  facts_ = std::move(facts);
  host_ = std::move(host);
  lost_ = std::stop_source();
  heard_ = SteadyClock().now();
  LeaseId id{};
  std::copy(raw->begin(), raw->end(), id.begin());
  lease_ = id;
  host_->note({.who = config_.site, .what = "nothing yet", .until = "its end"});
  return {};
}

std::optional<LeaseId> LinkBench::present_lease() {
  const std::lock_guard lock(mutex_);
  return lease_;
}

// A lost connection is made anew; the lease goes on where the other site still holds it.
Result<Json> LinkBench::ask(const SweepRequest& request, const std::stop_token& stop) {
  auto answer = line_.ask(request, answer_patience, stop);
  if (answer) heard_ = SteadyClock().now();
  const auto lease = present_lease();
  if (answer || answer.error().code != Errc::unreachable || !lease) return answer;
  if (const auto resumed = line_.ask(ResumeRequest{*lease}, answer_patience, stop); !resumed) {
    if (resumed.error().code == Errc::rejected) lose_lease();
    return fail(resumed.error());
  }
  return line_.ask(request, answer_patience, stop);
}

void LinkBench::keep_beating(const std::stop_token& stop) {
  Instant next = SteadyClock().now();
  while (!stop.stop_requested()) {
    std::this_thread::sleep_for(look);
    const auto lease = present_lease();
    if (!lease || SteadyClock().now() < next) continue;
    auto answer = line_.ask(BeatRequest{}, beat_patience, stop);
    if (!answer && answer.error().code == Errc::unreachable) {
      if (const auto resumed = line_.ask(ResumeRequest{*lease}, beat_patience, stop); resumed) answer = Json::object();
    }
    next = SteadyClock().now() + beat_time;
    if (answer) heard_ = SteadyClock().now();
    if (!answer && answer.error().code == Errc::rejected) lose_lease();
  }
}

void LinkBench::keep_watch(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::this_thread::sleep_for(look);
    if (!present_lease()) continue;
    const auto silent = std::chrono::duration_cast<Milliseconds>(SteadyClock().now() - heard_.load());
    if (silent > silence_of_line) was_silent_ = true;
    if (silent > lease_time) lose_lease();
  }
}

// What was made here goes, as it goes at the other site: whatever is being measured ends at once.
void LinkBench::lose_lease() {
  const std::lock_guard lock(mutex_);
  lost_.request_stop();
  host_.reset();
  lease_.reset();
}

Result<tuner::Started> LinkBench::prepare(const tuner::Arm& arm, const std::stop_token& stop) {
  const auto began = std::chrono::steady_clock::now();
  if (!present_lease()) LT_CHECK(open_lease());
  was_silent_ = false;
  const Either either(stop, lost_.get_token());
  Status started = start_both(arm, either.token());
  if (started) started = wait_until_up(arm, either.token());
  tuner::Started result;
  result.took = std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - began);
  if (started) return result;
  if (!stop.stop_requested() && lost_.stop_requested()) {
    return fail(Errc::unreachable, "the line to " + peer_.site + " is cut, or its agent has ended: the trial was taken down at both ends");
  }
  if (is_benchs_fault(started.error())) return fail(started.error());
  if (was_silent_) return fail(silence(started.error()));
  result.failure = started.error();
  return result;
}

Status LinkBench::start_both(const tuner::Arm& arm, const std::stop_token& stop) {
  target_.reset();
  const auto far = ask(StartRequest{arm}, stop);
  if (!far) return fail(with_context(far.error(), "at " + peer_.site));
  const std::lock_guard lock(mutex_);
  if (!host_) return fail(Errc::unreachable, "the lease is lost");
  host_->note({.who = config_.site, .what = tuner::canonical_text(arm), .until = "its end"});
  return host_->start(arm, peer_);
}

// Both say that they are up, and a packet of full size has gone there and back.
Status LinkBench::wait_until_up(const tuner::Arm& arm, const std::stop_token& stop) {
  const auto until = std::chrono::steady_clock::now() + up_patience;
  std::uint32_t full_size = 0;
  if (arm.carrier == tuner::ArmCarrier::openvpn) {
    LT_TRY(const auto knobs, openvpn_knobs_of(arm));
    full_size = knobs.tun_mtu;
  }
  for (;;) {
    const auto state = ask(StateRequest{}, stop);
    if (!state) return fail(with_context(state.error(), "at " + peer_.site));
    bool is_ready = false;
    std::string last_words;
    {
      const std::lock_guard lock(mutex_);
      if (!host_) return fail(Errc::unreachable, "the lease is lost");
      LT_TRY(is_ready, host_->is_ready());
      last_words = host_->last_words();
    }
    LT_TRY(const bool far_ready, tuner::truth_field(*state, "ready"));
    if (is_ready && far_ready) {
      LT_CHECK(take_target(*state, arm));
      if (full_size == 0 || carries_packet([](const Argv& argv) { return argv; }, peer_.trial_address, full_size)) return {};
    }
    if (stop.stop_requested()) return fail(Errc::interrupted, "interrupted");
    if (std::chrono::steady_clock::now() > until) {
      const std::string what = full_size == 0 ? "the two ends did not join" : "OpenVPN carried no packet of " + std::to_string(full_size) + " bytes";
      return fail(Errc::timed_out, what + ": " + last_words);
    }
    std::this_thread::sleep_for(look);
  }
}

Status LinkBench::take_target(const Json& state, const tuner::Arm& arm) {
  Target target;
  LT_TRY(target.data, address_field(state, "data"));
  LT_TRY(const std::uint64_t port, tuner::whole_field(state, "probe_port", {1, 65535}));
  LT_TRY(const std::string token, tuner::text_field(state, "token", 128));
  target.probe.control.tcp = Endpoint{line_.way().peer.text(), static_cast<std::uint16_t>(port)};
  LT_TRY(target.probe.token, tuner::ProbeToken::parse(token));
  if (arm.carrier == tuner::ArmCarrier::native) {
    LT_TRY(const auto knobs, native_knobs_of(arm));
    target.mtu = knobs.mtu;
  } else if (arm.carrier == tuner::ArmCarrier::openvpn) {
    LT_TRY(const auto knobs, openvpn_knobs_of(arm));
    target.mtu = knobs.tun_mtu;
  }
  if (arm.carrier == tuner::ArmCarrier::bare) {
    LT_CHECK(check_bare(target.data));
    target.data_port = peer_port_;  // the one that is open on the way
  } else if (target.data != peer_.trial_address) {
    return fail(Errc::protocol, "the other site measures somewhere else than it said");
  }
  target_ = target;
  return {};
}

// The bare line leads to where the link's own connection leads, and nowhere else.
Status LinkBench::check_bare(const IpAddress& data) const {
  LT_TRY(const Json status, ask_daemon(control_path(options_.run_directory, config_.site), "status"));
  const auto peer = status.contains("peer") && status["peer"].is_string() ? Endpoint::parse(status["peer"].get<std::string>()) : std::nullopt;
  if (!peer) return fail(Errc::unreachable, "the link does not say where the other site is");
  if (IpAddress::parse(peer->host) == data) return {};
  return fail(Errc::rejected, "the bare line cannot be measured from here: " + peer_.site + " has the address " + data.text() +
                                  " and is seen as " + peer->host + ", so something translates addresses between: begin the sweep at the other site");
}

template <class T>
Result<T> LinkBench::unless_lost(Result<T> asked, const std::stop_token& stop) const {
  if (asked || stop.stop_requested() || !lost_.stop_requested()) return asked;
  return fail(Errc::unreachable, "the line to " + peer_.site + " was cut during the trial, or its agent has ended: the trial was taken down at both ends");
}

Result<tuner::Physics> LinkBench::physics(const std::stop_token& stop) {
  LT_TRY(const auto started, prepare({.label = "bare line", .carrier = tuner::ArmCarrier::bare}, stop));
  if (started.failure) return fail(*started.failure);
  const Either either(stop, lost_.get_token());
  auto surveyed = unless_lost(tuner::survey_line({.client = target_->probe, .data = target_->data}, bare_segments_, either.token()), stop);
  if (surveyed) surveyed->device_rate = device_rate_towards(target_->data);
  LT_CHECK(dismantle());
  return surveyed;
}

// The line was silent for everybody: that says nothing about the arm.
Error LinkBench::silence(const Error& seen) const {
  return {Errc::unreachable, "the line to " + peer_.site + " dropped during the trial: the link itself was silent, too (" + seen.text() + ")", 0};
}

Result<tuner::GateOutcome> LinkBench::gate(const std::stop_token& stop) {
  if (!target_) return fail(Errc::rejected, "nothing is prepared");
  was_silent_ = false;
  const Either either(stop, lost_.get_token());
  auto outcome = unless_lost(tuner::walk_gate({.client = target_->probe, .data = target_->data, .mtu = target_->mtu,
                                       .near_counters = [] { return tuner::read_ip_counters(); }},
                                      either.token()),
                     stop);
  if (outcome && outcome->failure && was_silent_) return fail(silence(*outcome->failure));
  return outcome;
}

Result<tuner::Sample> LinkBench::measure(const tuner::TrialPlan& plan, const std::stop_token& stop) {
  if (!target_) return fail(Errc::rejected, "nothing is prepared");
  was_silent_ = false;
  const Either either(stop, lost_.get_token());
  auto sample = unless_lost(tuner::measure_by_probe(target_->probe, target_->data, std::nullopt, plan, either.token(), target_->data_port,
                                                            target_->mtu ? nullptr : &bare_segments_), stop);
  if (sample && sample->failure && was_silent_) return fail(silence(*sample->failure));
  return sample;
}

Status LinkBench::dismantle() {
  target_.reset();
  {
    const std::lock_guard lock(mutex_);
    if (host_) host_->stop();
  }
  if (!present_lease()) return {};
  const auto stopped = ask(StopRequest{}, lost_.get_token());
  if (stopped || !present_lease()) return {};
  return fail(with_context(stopped.error(), "at " + peer_.site));
}

std::vector<tuner::Fact> LinkBench::facts() const { return facts_; }

}  // namespace lt::app

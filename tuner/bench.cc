#include "tuner/bench.h"

#include "tuner/fields.h"
#include "tuner/when_free.h"

namespace lt::tuner {

namespace {

ProbeRequest request_for(const TrialPlan& plan, Load load, bool is_first) {
  ProbeRequest request;
  request.duration = plan.duration;
  request.omit = plan.omit;
  request.idle = is_first ? plan.idle : Milliseconds(0);
  request.flows = plan.flows;
  request.load = load;
  request.congestion = plan.congestion;
  request.echo_per_second = plan.echo_per_second;
  request.echo_bytes = plan.echo_bytes;
  return request;
}

}  // namespace

Milliseconds TrialPlan::measuring_time() const {
  return idle + static_cast<Milliseconds::rep>(loads.size()) * (omit + duration);
}

Status validate(const TrialPlan& plan) {
  if (plan.loads.empty() || plan.loads.size() > 3) {
    return fail(Errc::invalid, "a trial has one to three loads: up, down, both");
  }
  ProbeRequest request = request_for(plan, plan.loads.front(), true);
  request.data = *IpAddress::parse("127.0.0.1");  // the address is the bench's to know
  return validate(request);
}

Json to_json(const TrialPlan& plan) {
  Json loads = Json::array();
  for (const Load load : plan.loads)
    loads.push_back(std::string(name_of(load)));
  return {{"loads", loads},
          {"duration_ms", plan.duration.count()},
          {"omit_ms", plan.omit.count()},
          {"idle_ms", plan.idle.count()},
          {"flows", plan.flows},
          {"congestion", plan.congestion},
          {"echo_per_second", plan.echo_per_second},
          {"echo_bytes", plan.echo_bytes}};
}

Result<TrialPlan> trial_plan_from_json(const Json& value) {
  TrialPlan plan;
  plan.loads.clear();
  LT_TRY(const Json loads, list_field(value, "loads", 3));
  for (const Json& item : loads) {
    const auto load = item.is_string() ? load_from_name(item.get<std::string>()) : std::nullopt;
    if (!load) return fail(Errc::invalid, "`loads` must hold up, down or both");
    plan.loads.push_back(*load);
  }
  LT_TRY(const std::uint64_t duration, whole_field(value, "duration_ms", {0, 1'000'000}));
  LT_TRY(const std::uint64_t omit, whole_field(value, "omit_ms", {0, 1'000'000}));
  LT_TRY(const std::uint64_t idle, whole_field(value, "idle_ms", {0, 1'000'000}));
  plan.duration = Milliseconds(duration);
  plan.omit = Milliseconds(omit);
  plan.idle = Milliseconds(idle);
  LT_TRY(const std::uint64_t flows, whole_field(value, "flows", {1, probe_flows_max}));
  plan.flows = static_cast<unsigned>(flows);
  LT_TRY(plan.congestion, text_field(value, "congestion", 64));
  LT_TRY(const std::uint64_t rate, whole_field(value, "echo_per_second", {0, echo_per_second_max}));
  plan.echo_per_second = static_cast<unsigned>(rate);
  LT_TRY(const std::uint64_t bytes, whole_field(value, "echo_bytes", {0, echo_bytes_max}));
  plan.echo_bytes = static_cast<unsigned>(bytes);
  LT_CHECK(validate(plan));
  return plan;
}

Result<Physics> Bench::physics(const std::stop_token&) {
  Physics physics;
  physics.notes.emplace_back("this bench does not probe the line: nothing is ruled out or bounded");
  return physics;
}

Result<GateOutcome> Bench::gate(const std::stop_token&) {
  GateOutcome outcome;
  outcome.add({"traffic", GateVerdict::skipped, "this bench sends no traffic for correctness"});
  return outcome;
}

Result<Sample> measure_by_probe(const ProbeClientOptions& client, const IpAddress& data,
                                const std::optional<IpAddress>& source, const TrialPlan& plan,
                                const std::stop_token& stop, std::uint16_t data_port, BareSegments* bare_line) {
  std::vector<ProbeResult> results;
  for (const Load load : plan.loads) {
    ProbeRequest request = request_for(plan, load, results.empty());
    request.data = data;
    request.source = source;
    request.data_port = data_port;
    LT_TRY(ProbeResult result, bare_line != nullptr ? run_bare_probe(client, request, *bare_line, stop)
                                                    : when_free(stop, [&] { return run_probe(client, request, stop); }));
    results.push_back(std::move(result));
    if (results.back().path_failure) break;  // the arm is down; more tests would only say so again
  }
  return sample_of(results);
}

}  // namespace lt::tuner

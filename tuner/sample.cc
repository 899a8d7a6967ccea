#include "tuner/sample.h"

#include <algorithm>

#include "tuner/fields.h"
#include "tuner/probe_json.h"
#include "tuner/statistics.h"

namespace lt::tuner {

namespace {

constexpr std::size_t series_length_max = 4096;
constexpr std::size_t interval_steps = 5;  // 0.5 s
constexpr std::size_t moving_intervals = 4;

double share(double part, const CpuUse& cpu) {
  const double whole = cpu.window_seconds * cpu.cpus;
  return whole > 0 ? part / whole : 0;
}

double share_of_machine(const CpuUse& cpu) {
  return share(cpu.busy_seconds, cpu);
}
double share_stolen(const CpuUse& cpu) {
  return share(cpu.steal_seconds, cpu);
}

void take_way(Sample& sample, const FlowResult& flow, const ProbeRequest& request, bool is_up) {
  (is_up ? sample.up : sample.down) = flow.goodput();
  (is_up ? sample.series_up : sample.series_down) = flow.series;
  sample.variation = std::max(sample.variation, series_variation(flow.series, request.omit));
  sample.retransmits += flow.retransmits;
  sample.congestion_pinned = sample.congestion_pinned && flow.congestion == request.congestion;
}

Json series_to_json(const std::vector<std::uint64_t>& series) {
  return Json(series);
}

}  // namespace

Sample Sample::failed(Error error) {
  Sample sample;
  sample.failure = std::move(error);
  return sample;
}

double series_variation(std::span<const std::uint64_t> series, Milliseconds omit) {
  const auto skipped =
      std::min(series.size(), static_cast<std::size_t>((omit + series_step - 1ms) / series_step));
  const auto measured = series.subspan(skipped);
  std::vector<double> intervals;
  for (std::size_t at = 0; at + interval_steps <= measured.size(); at += interval_steps) {
    double bytes = 0;
    for (const std::uint64_t step : measured.subspan(at, interval_steps))
      bytes += static_cast<double>(step);
    intervals.push_back(bytes);
  }
  std::vector<double> moving;
  for (std::size_t at = 0; at + moving_intervals <= intervals.size(); ++at) {
    moving.push_back(mean(Numbers(intervals).subspan(at, moving_intervals)));
  }
  if (moving.size() < 2 || mean(moving) <= 0) return 0;
  return deviation(moving) / mean(moving);
}

Sample sample_of(std::span<const ProbeResult> results) {
  Sample sample;
  double busy_seconds = 0;
  double gbit = 0;
  for (const ProbeResult& result : results) {
    if (result.path_failure && !sample.failure) sample.failure = result.path_failure;
    if (result.up) take_way(sample, *result.up, result.request, true);
    if (result.down) take_way(sample, *result.down, result.request, false);
    if (result.idle.latency.count > 0 && sample.idle.count == 0) sample.idle = result.idle.latency;
    if (result.loaded.latency.us_p95 > sample.loaded.us_p95) sample.loaded = result.loaded.latency;
    sample.loss_up = std::max(sample.loss_up, result.loaded.loss_up());
    sample.loss_down = std::max(sample.loss_down, result.loaded.loss_down());
    for (const CpuUse* cpu : {&result.client_cpu, &result.server_cpu}) {
      sample.cpu_share = std::max(sample.cpu_share, share_of_machine(*cpu));
      sample.steal_share = std::max(sample.steal_share, share_stolen(*cpu));
    }
    double moved = 0;
    for (const auto* flow : {&result.up, &result.down}) {
      if (*flow) moved += static_cast<double>((*flow)->bytes.value) * 8e-9;
    }
    gbit += moved;
    busy_seconds += result.cpu_seconds_per_gbit() * moved;
  }
  if (gbit > 0) sample.cpu_seconds_per_gbit = busy_seconds / gbit;
  return sample;
}

Json to_json(const Sample& sample) {
  Json value;
  value["failure"] = sample.failure ? error_to_json(*sample.failure) : Json(nullptr);
  value["up_bits_per_second"] = sample.up ? Json(sample.up->value) : Json(nullptr);
  value["down_bits_per_second"] = sample.down ? Json(sample.down->value) : Json(nullptr);
  value["idle"] = latency_to_json(sample.idle);
  value["loaded"] = latency_to_json(sample.loaded);
  value["loss_up"] = sample.loss_up;
  value["loss_down"] = sample.loss_down;
  value["cpu_seconds_per_gbit"] = sample.cpu_seconds_per_gbit;
  value["cpu_share"] = sample.cpu_share;
  value["steal_share"] = sample.steal_share;
  value["variation"] = sample.variation;
  value["retransmits"] = sample.retransmits;
  value["congestion_pinned"] = sample.congestion_pinned;
  value["start_ms"] = sample.start_time.count();
  value["series_step_ms"] = series_step.count();
  value["series_up_bytes"] = series_to_json(sample.series_up);
  value["series_down_bytes"] = series_to_json(sample.series_down);
  return value;
}

Result<Sample> sample_from_json(const Json& value) {
  Sample sample;
  if (has_field(value, "failure")) {
    LT_TRY(const Json failure, object_field(value, "failure"));
    LT_TRY(sample.failure, error_from_json(failure));
  }
  if (has_field(value, "up_bits_per_second")) {
    LT_TRY(const std::uint64_t rate, whole_field(value, "up_bits_per_second"));
    sample.up = BitsPerSecond{rate};
  }
  if (has_field(value, "down_bits_per_second")) {
    LT_TRY(const std::uint64_t rate, whole_field(value, "down_bits_per_second"));
    sample.down = BitsPerSecond{rate};
  }
  LT_TRY(const Json idle, object_field(value, "idle"));
  LT_TRY(sample.idle, latency_from_json(idle));
  LT_TRY(const Json loaded, object_field(value, "loaded"));
  LT_TRY(sample.loaded, latency_from_json(loaded));
  LT_TRY(sample.loss_up, number_field(value, "loss_up"));
  LT_TRY(sample.loss_down, number_field(value, "loss_down"));
  LT_TRY(sample.cpu_seconds_per_gbit, number_field(value, "cpu_seconds_per_gbit"));
  LT_TRY(sample.cpu_share, number_field(value, "cpu_share"));
  LT_TRY(sample.steal_share, number_field(value, "steal_share"));
  LT_TRY(sample.variation, number_field(value, "variation"));
  LT_TRY(sample.retransmits, whole_field(value, "retransmits"));
  LT_TRY(sample.congestion_pinned, truth_field(value, "congestion_pinned"));
  LT_TRY(const std::uint64_t start, whole_field(value, "start_ms", {0, 86'400'000}));
  sample.start_time = Milliseconds(start);
  LT_TRY(sample.series_up, whole_list_field(value, "series_up_bytes", series_length_max));
  LT_TRY(sample.series_down, whole_list_field(value, "series_down_bytes", series_length_max));
  return sample;
}

}  // namespace lt::tuner

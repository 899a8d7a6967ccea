// Sample: the numbers that one fresh start of one arm gave. What a journal keeps and a table is
// made of.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/units.h"
#include "tuner/probe.h"

namespace lt::tuner {

struct Sample {
  std::optional<Error> failure;  // the arm did not carry the trial; the numbers are then incomplete
  std::optional<BitsPerSecond> up;  // goodput, receiver's; absent when not asked for
  std::optional<BitsPerSecond> down;
  std::vector<std::uint64_t> series_up;  // bytes in each series_step, the omitted part too
  std::vector<std::uint64_t> series_down;
  Latency idle;
  Latency loaded;     // of the load with the longer wait (p95)
  double loss_up{0};  // share of echo packets lost under load, 0..1
  double loss_down{0};
  double cpu_seconds_per_gbit{0};  // both ends together
  double cpu_share{0};             // of the busier machine, 0..1
  double steal_share{0};           // of the machine that lost more to its hypervisor, 0..1
  double variation{0};             // see series_variation; of the less steady direction
  std::uint64_t retransmits{0};
  bool congestion_pinned{true};  // every sender ran what was asked for
  Milliseconds start_time{0};    // from nothing to carrying traffic

  /// A sample of an arm that could not be measured.
  [[nodiscard]] static Sample failed(Error error);
};

/// How far the rate wandered: deviation over mean of the moving mean of 4 intervals of 0.5 s, after
/// `omit`. 0 when the series is too short to say.
/// @source statistics.md 2.2: steady when below 5 %, the rule of goresponsiveness on its 4-interval
/// moving mean
[[nodiscard]] double series_variation(std::span<const std::uint64_t> series, Milliseconds omit);
inline constexpr double steady_variation_max = 0.05;

/// The sample of one trial from its tests: one for each way, or one for both ways at once.
[[nodiscard]] Sample sample_of(std::span<const ProbeResult> results);

[[nodiscard]] Json to_json(const Sample& sample);
/// @error invalid: names the field
[[nodiscard]] Result<Sample> sample_from_json(const Json& value);

}  // namespace lt::tuner

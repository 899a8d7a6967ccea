// Goal: what "best" means, as one figure to raise and a limit to keep. Weights cannot be explained
// to an owner; a limit can. @source statistics.md 7
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tuner/bench.h"

namespace lt::tuner {

enum class Goal : std::uint8_t {
  throughput,  // most goodput, whatever it costs
  latency,     // least wait under load, of those that keep most of the goodput
  balanced,    // most goodput, of those that keep the wait under load short
  cpu,         // least CPU time, of those that keep nearly all goodput
};

[[nodiscard]] std::string_view name_of(Goal goal);
[[nodiscard]] std::optional<Goal> goal_from_name(std::string_view name);

inline constexpr double wait_us_allowed = 30'000;       // balanced: above the idle line
inline constexpr double goodput_share_latency = 0.90;   // of the most: what `latency` may give up
inline constexpr double goodput_share_cpu = 0.95;       // and `cpu`

/// One number of one trial, larger is better: bit/s of the slower way, or 1 over seconds of wait
/// under load, or 1 over CPU seconds for each Gbit. Nothing when the trial does not hold it.
[[nodiscard]] std::optional<double> figure_of(const Sample& sample, const TrialPlan& plan,
                                              Goal goal);

/// What an arm must keep to be chosen. Made from the bare line and the best goodput seen.
struct Limit {
  std::optional<double> wait_us_max{};            // p95 under load
  std::optional<double> bits_per_second_min{};
  std::string sentence{};  // the goal with its numbers, for people

  [[nodiscard]] bool keeps(double wait_us, double bits_per_second) const;
};

/// What is known of the line when the limit is made. 0: not known.
struct LimitBasis {
  double bare_idle_us{0};        // median
  double bare_loaded_us{0};      // p95
  double bits_per_second_best{0};  // of any tunnel, median
};

[[nodiscard]] Limit limit_of(Goal goal, const LimitBasis& basis);

}  // namespace lt::tuner

// Doubt: every reason to distrust the numbers of a sweep, each with advice. None stops a sweep; all
// are printed.
#pragma once

#include <string>
#include <vector>

#include "tuner/sweep.h"
#include "tuner/verdict.h"

namespace lt::tuner {

enum class DoubtReason : std::uint8_t {
  few_blocks,             // fewer than blocks_for_decision
  no_bare_line,           // nothing shows the drift
  bare_line_drifts,       // it moved by more than the effect that is looked for
  stolen_time,            // the hypervisor gave our CPUs to others
  unsteady_series,        // the rate had not settled when it was measured
  cpu_bound,              // the machine was the limit, not the line
  congestion_not_pinned,  // a sender ran another congestion control than was asked for
  wild_starts,            // single starts far from the rest of their arm
  harness_failures,       // the bench itself failed
  echo_lost,              // no latency: UDP does not pass
  unfinished,             // stopped or out of time
  unchecked,              // the gate could not look at some arm
};

inline constexpr double drift_max = smallest_effect;  // above it, drift can pass for an effect
inline constexpr double steal_share_max = 0.02;       // statistics.md 6
inline constexpr double cpu_share_max = 0.90;         // of all CPUs of one end
inline constexpr double unsteady_units_max =
    0.25;  // share of units that may be unsteady before it is said

[[nodiscard]] std::string_view name_of(DoubtReason reason);

struct Doubt {
  DoubtReason reason{DoubtReason::few_blocks};
  std::string text;    // what was seen
  std::string advice;  // what to do about it
};

[[nodiscard]] std::vector<Doubt> doubts(const SweepResult& result, const Verdict& verdict);

}  // namespace lt::tuner

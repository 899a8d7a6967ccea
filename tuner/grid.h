// Grid: what a sweep's choice is held against. Every arm of the space is measured in the same interleaved blocks,
// without any wit: slow, and hard to fool. Pure functions; app/cmd_grid.h runs the trials.
//
// The best of many noisy figures is flattered by its luck, so it is not compared by the figure that made it the best:
// choice and best meet once more, in fresh blocks of their own (the duel).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tuner/space.h"
#include "tuner/statistics.h"
#include "tuner/sweep.h"

namespace lt::tuner {

/// The arms of a grid: the space of this line; `is_whole`: and each arm that is one knob away from one of them.
[[nodiscard]] std::vector<Arm> grid_arms(const SpaceOptions& options, bool is_whole);

/// An arm in the grid's order.
struct GridPlace {
  std::size_t arm{0};       // place in SweepHeader::arms
  double ratio{0};          // of its figure to the first's; 0: never measured
  std::string out_because;  // why it cannot be the best; empty: it can
};

/// All tunnels of a ranking, by the goal's figure: those that failed a trial or break the goal's limit come last.
[[nodiscard]] std::vector<GridPlace> grid_order(const Evidence& grid, Goal goal);

/// What the first arm of a ranking reaches, as a share of what the second reaches, by blocks that hold both.
struct Duel {
  std::size_t blocks{0};
  double ratio{0};                     // 0: never measured
  std::optional<Interval> interval{};  // 95 %
};
[[nodiscard]] Duel duel_of(const Evidence& ranking, std::size_t arm, std::size_t versus, Goal goal);

/// "Within 5 % of the grid's best": by the ratio itself, as the interval is wider than what is asked on many lines.
inline constexpr double near_the_best = 0.95;
/// The largest share of a grid's time that a sweep may take.
inline constexpr double time_share_allowed = 0.20;

}  // namespace lt::tuner

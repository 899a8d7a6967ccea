// Sequential halving: who goes on after a round. No claim is made here; the confirmation makes them.
//
// Arms are ordered by block-centred effects of the goal's figure. An arm that failed a trial or the
// gate is out; an arm whose every trial lies beyond the goal's limit comes behind all that keep it.
// @source statistics.md 3.2
#pragma once

#include <span>
#include <vector>

#include "tuner/decision.h"
#include "tuner/evidence.h"

namespace lt::tuner {

inline constexpr std::size_t finalists_max = 3;

/// The goal's limit by what is known so far. @pre header.question
[[nodiscard]] Limit limit_so_far(const Evidence& evidence);
/// The same for another goal than the header's, or where the header asks none.
[[nodiscard]] Limit limit_by(const Evidence& evidence, Goal goal);

/// `arms`, best first, by the blocks of `stage` up to and including `round`.
[[nodiscard]] std::vector<Placing> placings(const Evidence& evidence, Stage stage, std::size_t round,
                                            std::span<const std::size_t> arms);

/// How many of `arms` go on: half, rounded up, but never fewer than finalists_max.
[[nodiscard]] std::size_t kept_of(std::size_t arms);
/// Rounds until finalists_max are left.
[[nodiscard]] std::size_t rounds_of(std::size_t arms);

/// Sets is_kept of the first `count` that can win at all. @return their arms, best first
[[nodiscard]] std::vector<std::size_t> keep_first(std::vector<Placing>& placings, std::size_t count);

/// The rounds of the search that are complete, and who is left behind them.
struct Search {
  std::vector<PathStep> steps;
  std::vector<std::size_t> alive;  // best first once a round is complete
  std::size_t entrants{0};
  bool is_round_open{false};  // the last step's round lacks blocks
};
[[nodiscard]] Search walk_search(const Evidence& evidence, std::span<const std::size_t> entrants);

/// Arms of a block without the bare line, each once, by rising place.
[[nodiscard]] std::vector<std::size_t> tunnels_of(const Block& block, const SweepHeader& header);

}  // namespace lt::tuner

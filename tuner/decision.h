// Decision: what a staged sweep may claim, and how it got there.
//
// A claim rests on the confirmation alone: blocks that were measured after the finalists were
// chosen, looked at once. Everything else here says how the finalists came to be, what is known of
// noise, and what the choice costs. All figures come from the journal. @source statistics.md 3, 4, 7
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tuner/calibration.h"
#include "tuner/goal.h"
#include "tuner/stage.h"
#include "tuner/statistics.h"

namespace lt::tuner {

enum class Claim : std::uint8_t {
  better,        // the simultaneous interval lies above "equal", and not all within the tolerance; both cross-checks agree
  worse,         // the same the other way round
  equivalent,    // the interval lies within the tolerance, whether or not it holds "equal", and the bootstrap agrees
  inconclusive,  // neither: more blocks would be needed
};

[[nodiscard]] std::string_view name_of(Claim claim);

/// One pair of confirmed arms, by the goal's figure, paired by block.
struct Comparison {
  std::size_t arm{0};
  std::size_t versus{0};
  std::size_t blocks{0};               // that measured both
  double ratio{1};                     // of arm to versus
  std::optional<Interval> interval{};  // of the ratio, 95 %, all pairs at once
  std::optional<Interval> plain{};     // 95 % of this pair alone
  std::optional<Interval> equivalence{};  // the interval of the two one-sided tests, all pairs at once
  std::optional<Interval> bootstrap{};  // hierarchical, at the level of `interval`
  double permutation_p{1};              // sign flips, two-sided
  bool checks_agree{true};              // bootstrap and permutation say what the interval says
  Claim claim{Claim::inconclusive};
  std::size_t blocks_needed{0};  // in all, to settle a difference of the tolerance; 0: not known
};

/// One arm in one round of the search, and what became of it.
struct Placing {
  std::size_t arm{0};
  double ratio{1};  // of its figure to the leader's of that round
  std::size_t units{0};
  bool is_kept{false};
  std::string reason{};  // why not: "behind", "over the limit", "failed: ..."
};

/// One step of the path to the decision.
struct PathStep {
  Stage stage{Stage::search};
  std::size_t round{0};
  std::size_t blocks{0};
  std::vector<Placing> placings{};  // best first
};

/// What one knob did, between two arms that differ in nothing else, by the blocks that hold both.
struct KnobEffect {
  std::string knob{};
  std::string from{};  // its value in `versus`; "default" when that does not set it
  std::string to{};    // its value in `arm`
  std::size_t arm{0};
  std::size_t versus{0};
  std::size_t blocks{0};
  std::optional<Interval> goodput{};  // of the ratio, 95 % of this pair alone
  std::optional<Interval> wait{};     // of p95 under load
  std::optional<Interval> cpu{};      // seconds for each Gbit
  std::string sentence{};
};

/// Whether a fresh start changes the result. Never said without the sham beside it.
struct RestartFinding {
  std::size_t starts{0};
  std::size_t shams{0};
  double start_deviation{0};  // of log goodput between fresh starts of the present settings
  double sham_deviation{0};   // between repetitions on one start
  double bare_deviation{0};   // of the bare line over the same blocks: drift
  bool is_shown{false};       // starts differ by more than shams and drift explain (F test, 95 %)
  std::string sentence{};
};

/// What the last few per cent of goodput cost in waiting under load.
struct Price {
  std::size_t fastest{0};
  std::size_t calmer{0};          // least wait among those within price_share of the fastest
  double goodput_share{0};        // what the calmer one gives up
  double fastest_wait_us{0};      // p95 under load
  double calmer_wait_us{0};
  std::optional<std::size_t> longest{};  // waits at least price_wait_factor times as long, for nothing
  double longest_wait_us{0};
  std::string sentence{};
};
inline constexpr double price_share = 0.04;
inline constexpr double price_wait_factor = 1.5;

struct Decision {
  Goal goal{Goal::balanced};
  Limit limit{};
  double within{0.05};      // the tolerance: what counts as equal
  double confidence{0.95};
  Calibration calibration{};
  std::vector<PathStep> path{};
  std::vector<std::size_t> confirmed{};     // arms of the confirmation, the bare line not among them
  std::size_t blocks{0};                    // of the confirmation
  std::vector<Comparison> comparisons{};    // every pair of confirmed arms that carried all trials
  std::vector<std::size_t> over_limit{};    // confirmed, and beyond the goal's limit
  std::optional<std::size_t> best{};        // highest figure among those that keep the limit
  std::vector<std::size_t> not_worse{};     // not shown worse than the best; the best is in it
  std::optional<std::size_t> choice{};      // of not_worse, by the tie-break
  std::string choice_reason{};              // which rule of the tie-break chose
  std::size_t incumbent{0};
  Claim claim{Claim::inconclusive};         // of the choice against the incumbent
  std::vector<std::size_t> pareto{};        // confirmed arms that no other is shown to dominate
  double detectable{0};                     // smallest relative difference that these blocks show; 0: not known
  std::size_t blocks_needed{0};             // to settle the claim; 0: settled or not known
  std::optional<Price> price{};
  RestartFinding restart{};
  std::vector<KnobEffect> knobs{};
  std::string sentence{};

  /// The pair (one, other), turned round when it is kept as (other, one).
  [[nodiscard]] std::optional<Comparison> between(std::size_t one, std::size_t other) const;
};

/// What the evidence of a staged sweep allows to say; also of one that is not finished.
/// @pre evidence.header.question
[[nodiscard]] Decision decide(const Evidence& evidence);

/// Shares by which waits and CPU times must differ for the tie-break to prefer one arm.
inline constexpr double tie_share = 0.10;

}  // namespace lt::tuner

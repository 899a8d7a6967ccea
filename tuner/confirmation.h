// Confirmation: the pairs of finalists, judged by fresh blocks only, looked at once.
//
// The best is chosen by the same data, so all pairs are judged at once (Bonferroni). A claim needs
// the t interval, a hierarchical bootstrap and a sign-flip test to agree; where they do not, the
// claim is "inconclusive". The sign flips are exact on few blocks, and can show nothing on too few (2 of
// 2^n ways): a difference needs as many blocks as they need, 7 for three pairs at 95 %; sameness, which
// they say nothing of, needs ten. @source statistics.md 3.3 and 4
#pragma once

#include <span>
#include <vector>

#include "tuner/decision.h"
#include "tuner/figures.h"

namespace lt::tuner {

inline constexpr std::size_t bootstrap_resamples = 2'000;
inline constexpr std::size_t sign_flip_draws = 4'000;
inline constexpr std::size_t blocks_for_difference = 6;  // whatever the confidence

struct Judging {
  double within{0.05};
  double confidence{0.95};
  std::size_t pairs{1};         // that are judged at once
  std::size_t blocks_min{10};   // fewer never show that two are the same
  std::uint64_t seed{0};        // of bootstrap and permutation
};

/// @param epochs  of each block that `differences` came from: rising
[[nodiscard]] Comparison compare(std::size_t arm, std::size_t versus, const Figures& figures,
                                 const std::vector<Block>& blocks, const Judging& judging);

/// Every pair of `arms`, the first of each pair the one with the lower place in `arms`.
[[nodiscard]] std::vector<Comparison> compare_all(std::span<const std::size_t> arms,
                                                  const Figures& figures,
                                                  const std::vector<Block>& blocks, Judging judging);

/// The interval of the mean of differences from several epochs: within each as usual, between them
/// by random effects. One epoch: the t interval.
/// @return nothing when there are fewer than 2 differences
/// @source DerSimonian, Laird, "Meta-analysis in clinical trials", 1986
[[nodiscard]] std::optional<Interval> pooled_interval(const std::vector<std::vector<double>>& epochs,
                                                      double confidence);

/// The same pair seen from the other side.
[[nodiscard]] Comparison turned(Comparison comparison);

}  // namespace lt::tuner

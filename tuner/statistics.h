// Location, spread and intervals of small sets of numbers.
//
// Throughput is judged on the log scale: a ratio becomes a sum, and exp() of an interval's ends is
// an interval of the ratio. The experimental unit is the fresh start of an arm, never an interval
// of it. Source of the method: statistics.md 2 and 3, restated in docs/MEASURING.md.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "tuner/random.h"

namespace lt::tuner {

using Numbers = std::span<const double>;

struct Interval {
  double low{0};
  double high{0};

  [[nodiscard]] bool contains(double value) const { return low <= value && value <= high; }
  [[nodiscard]] bool overlaps(const Interval& other) const {
    return low <= other.high && other.low <= high;
  }
};

/// @pre of all below, unless said otherwise: values is not empty, each value is finite
[[nodiscard]] double mean(Numbers values);
/// Sample deviation (n - 1); 0 for a single value.
[[nodiscard]] double deviation(Numbers values);
[[nodiscard]] double median(Numbers values);
/// The value below which `fraction` of the values lie, linear between ranks.
/// @source Hyndman, Fan, "Sample quantiles in statistical packages", 1996, type 7
[[nodiscard]] double quantile(Numbers values, double fraction);
/// Median absolute deviation from the median, times 1.4826: the deviation of a normal sample.
/// @source Rousseeuw, Croux, "Alternatives to the median absolute deviation", 1993
[[nodiscard]] double robust_deviation(Numbers values);
/// (p95 - p5) / median: how far apart fresh starts come out. 0 when the median is 0.
[[nodiscard]] double relative_spread(Numbers values);
/// exp of the mean of the logarithms. @pre each value > 0
[[nodiscard]] double log_mean(Numbers values);

/// mean +- t * s / sqrt(n). @return nothing for fewer than 2 values
[[nodiscard]] std::optional<Interval> student_t_interval(Numbers values, double confidence);
/// The same on the log scale, given back as plain values: an interval of the log mean.
/// @return nothing for fewer than 2 values, or when one is not positive
[[nodiscard]] std::optional<Interval> log_interval(Numbers values, double confidence);

/// Interval of the ratio a/b from blocks that measured both, by paired log differences.
/// @return nothing for fewer than 2 pairs, or when a value is not positive. @pre a.size() ==
/// b.size()
[[nodiscard]] std::optional<Interval> paired_ratio_interval(Numbers a, Numbers b,
                                                            double confidence);

/// Share of successes with its uncertainty. @pre trials > 0, successes <= trials
/// @source Wilson, JASA 1927
[[nodiscard]] Interval wilson_interval(std::size_t successes, std::size_t trials,
                                       double confidence);

/// Percentile bootstrap of any statistic of one set.
/// @source Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13
using Statistic = std::function<double(Numbers)>;
[[nodiscard]] Interval bootstrap_interval(Numbers values, const Statistic& statistic,
                                          double confidence, std::size_t resamples, Random& random);

/// Two-level bootstrap of the ratio of log means: blocks are drawn first, then samples within each,
/// so that what a block has in common is not counted as many times as it was sampled.
/// a[i] and b[i] are the samples of block i. @pre a.size() == b.size() > 0, no block empty, values
/// > 0
using Blocks = std::vector<std::vector<double>>;
[[nodiscard]] Interval hierarchical_ratio_interval(const Blocks& a, const Blocks& b,
                                                   double confidence, std::size_t resamples,
                                                   Random& random);

/// Blocks needed to see a relative difference `effect` when paired log differences deviate by
/// `spread`.
/// @return at least 2, at most blocks_max. @pre effect > 0, spread >= 0
/// @source statistics.md 2.3: n = ceil((t_(1-a/2,n-1) + t_(power,n-1))^2 s^2 / h^2), iterated on n
inline constexpr std::size_t blocks_max = 10'000;
[[nodiscard]] std::size_t blocks_to_detect(double effect, double spread, double confidence,
                                           double power);

/// The same turned round: the smallest log difference that `blocks` blocks show. @pre blocks >= 2
[[nodiscard]] double effect_detectable(std::size_t blocks, double spread, double confidence,
                                       double power);

/// How likely differences at least this lopsided are when their signs are chance: two-sided, every
/// choice of signs for up to sign_flips_exact differences, else `draws` random ones.
/// @return 1 for no differences
/// @source Fisher, "The Design of Experiments", 1935, chapter 3
inline constexpr std::size_t sign_flips_exact = 14;
[[nodiscard]] double sign_flip_probability(Numbers differences, std::size_t draws, Random& random);

/// How likely a mean this far above zero is when the true one is zero (one-sided t test).
/// @return 1 for fewer than 2 values
[[nodiscard]] double one_sided_probability(Numbers values);

/// Deviation of single values from differences of neighbours: slow drift drops out.
/// 0 for no differences. @source von Neumann, "Distribution of the ratio of the mean square
/// successive difference to the variance", 1941
[[nodiscard]] double neighbour_deviation(Numbers differences);

}  // namespace lt::tuner

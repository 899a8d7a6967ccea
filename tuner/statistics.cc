#include "tuner/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/assert.h"
#include "tuner/distributions.h"

namespace lt::tuner {

namespace {

std::vector<double> logarithms(Numbers values) {
  std::vector<double> logs;
  logs.reserve(values.size());
  for (const double value : values)
    logs.push_back(std::log(value));
  return logs;
}

bool all_positive(Numbers values) {
  return std::all_of(values.begin(), values.end(), [](double value) { return value > 0; });
}

Interval percentile_interval(std::vector<double> draws, double confidence) {
  return {quantile(draws, (1 - confidence) / 2), quantile(draws, (1 + confidence) / 2)};
}

std::vector<double> resample(Numbers values, Random& random) {
  std::vector<double> drawn(values.size());
  for (double& value : drawn)
    value = values[random.below(values.size())];
  return drawn;
}

double resampled_mean(Numbers values, Random& random) {
  if (values.size() == 1) return values.front();
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    sum += values[random.below(values.size())];
  return sum / static_cast<double>(values.size());
}

Interval exponential(const Interval& logs) {
  return {std::exp(logs.low), std::exp(logs.high)};
}

}  // namespace

double mean(Numbers values) {
  LT_ASSERT(!values.empty());
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double deviation(Numbers values) {
  if (values.size() < 2) return 0;
  const double centre = mean(values);
  double squares = 0;
  for (const double value : values)
    squares += (value - centre) * (value - centre);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

double median(Numbers values) {
  return quantile(values, 0.5);
}

double quantile(Numbers values, double fraction) {
  LT_ASSERT(!values.empty() && fraction >= 0 && fraction <= 1);
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const double rank = fraction * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(rank);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], rank - static_cast<double>(below));
}

double robust_deviation(Numbers values) {
  const double centre = median(values);
  std::vector<double> distances;
  distances.reserve(values.size());
  for (const double value : values)
    distances.push_back(std::abs(value - centre));
  return 1.4826 * median(distances);
}

double relative_spread(Numbers values) {
  const double centre = median(values);
  if (centre == 0) return 0;
  return (quantile(values, 0.95) - quantile(values, 0.05)) / centre;
}

double log_mean(Numbers values) {
  LT_ASSERT(all_positive(values));
  return std::exp(mean(logarithms(values)));
}

std::optional<Interval> student_t_interval(Numbers values, double confidence) {
  if (values.size() < 2) return std::nullopt;
  const auto count = static_cast<double>(values.size());
  const double reach =
      student_t_quantile((1 + confidence) / 2, count - 1) * deviation(values) / std::sqrt(count);
  const double centre = mean(values);
  return Interval{centre - reach, centre + reach};
}

std::optional<Interval> log_interval(Numbers values, double confidence) {
  if (!all_positive(values)) return std::nullopt;
  const auto logs = student_t_interval(logarithms(values), confidence);
  if (!logs) return std::nullopt;
  return exponential(*logs);
}

std::optional<Interval> paired_ratio_interval(Numbers a, Numbers b, double confidence) {
  LT_ASSERT(a.size() == b.size());
  if (!all_positive(a) || !all_positive(b)) return std::nullopt;
  std::vector<double> differences(a.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    differences[i] = std::log(a[i]) - std::log(b[i]);
  const auto logs = student_t_interval(differences, confidence);
  if (!logs) return std::nullopt;
  return exponential(*logs);
}

Interval wilson_interval(std::size_t successes, std::size_t trials, double confidence) {
  LT_ASSERT(trials > 0 && successes <= trials);
  const auto n = static_cast<double>(trials);
  const double share = static_cast<double>(successes) / n;
  const double z = normal_quantile((1 + confidence) / 2);
  const double denominator = 1 + z * z / n;
  const double centre = (share + z * z / (2 * n)) / denominator;
  const double reach = z * std::sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / denominator;
  return {std::max(0.0, centre - reach), std::min(1.0, centre + reach)};
}

Interval bootstrap_interval(Numbers values, const Statistic& statistic, double confidence,
                            std::size_t resamples, Random& random) {
  LT_ASSERT(!values.empty() && resamples > 0);
  std::vector<double> draws(resamples);
  for (double& draw : draws)
    draw = statistic(resample(values, random));
  return percentile_interval(std::move(draws), confidence);
}

Interval hierarchical_ratio_interval(const Blocks& a, const Blocks& b, double confidence,
                                     std::size_t resamples, Random& random) {
  LT_ASSERT(a.size() == b.size() && !a.empty() && resamples > 0);
  Blocks logs_a;
  Blocks logs_b;
  for (std::size_t i = 0; i < a.size(); ++i) {
    logs_a.push_back(logarithms(a[i]));
    logs_b.push_back(logarithms(b[i]));
  }
  std::vector<double> draws(resamples);
  for (double& draw : draws) {
    double difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      const std::size_t block = random.below(a.size());
      difference += resampled_mean(logs_a[block], random) - resampled_mean(logs_b[block], random);
    }
    draw = difference / static_cast<double>(a.size());
  }
  return exponential(percentile_interval(std::move(draws), confidence));
}

namespace {

double quantiles_of(std::size_t blocks, double confidence, double power) {
  const auto degrees = static_cast<double>(blocks - 1);
  return student_t_quantile((1 + confidence) / 2, degrees) + student_t_quantile(power, degrees);
}

}  // namespace

std::size_t blocks_to_detect(double effect, double spread, double confidence, double power) {
  LT_ASSERT(effect > 0 && spread >= 0);
  const auto suffices = [&](std::size_t n) {
    const double quantiles = quantiles_of(n, confidence, power);
    return static_cast<double>(n) >= quantiles * quantiles * spread * spread / (effect * effect);
  };
  // What is needed falls as n grows (t falls with its degrees), so the least n that suffices is
  // found by halving.
  std::size_t low = 2;
  std::size_t high = blocks_max;
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    if (suffices(middle)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

double effect_detectable(std::size_t blocks, double spread, double confidence, double power) {
  LT_ASSERT(blocks >= 2 && spread >= 0);
  return quantiles_of(blocks, confidence, power) * spread / std::sqrt(static_cast<double>(blocks));
}

namespace {

// The sums are compared with a breath of room: flipping all signs gives the same sum but for
// rounding.
bool is_as_lopsided(double sum, double observed) {
  return std::abs(sum) >= observed * (1 - 1e-9);
}

}  // namespace

double sign_flip_probability(Numbers differences, std::size_t draws, Random& random) {
  if (differences.empty()) return 1;
  const double observed = std::abs(std::accumulate(differences.begin(), differences.end(), 0.0));
  const auto flipped_sum = [&](std::uint64_t signs) {
    double sum = 0;
    for (std::size_t i = 0; i < differences.size(); ++i)
      sum += ((signs >> i) & 1U) != 0 ? differences[i] : -differences[i];
    return sum;
  };
  std::size_t hits = 0;
  if (differences.size() <= sign_flips_exact) {
    const std::uint64_t choices = 1ULL << differences.size();
    for (std::uint64_t signs = 0; signs < choices; ++signs)
      hits += is_as_lopsided(flipped_sum(signs), observed) ? 1U : 0U;
    return static_cast<double>(hits) / static_cast<double>(choices);
  }
  for (std::size_t i = 0; i < draws; ++i) {
    double sum = 0;
    for (const double difference : differences)
      sum += (random.next() >> 63) != 0 ? difference : -difference;
    hits += is_as_lopsided(sum, observed) ? 1U : 0U;
  }
  return static_cast<double>(hits + 1) / static_cast<double>(draws + 1);
}

double one_sided_probability(Numbers values) {
  if (values.size() < 2) return 1;
  const auto count = static_cast<double>(values.size());
  const double error = deviation(values) / std::sqrt(count);
  if (error == 0) return mean(values) > 0 ? 0 : 1;
  return student_t_above(mean(values) / error, count - 1);
}

double neighbour_deviation(Numbers differences) {
  if (differences.empty()) return 0;
  double squares = 0;
  for (const double difference : differences)
    squares += difference * difference;
  return std::sqrt(squares / (2 * static_cast<double>(differences.size())));
}

}  // namespace lt::tuner

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
  std::vector<double> draws(resamples);
  for (double& draw : draws) {
    double difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      const std::size_t block = random.below(a.size());
      difference += mean(logarithms(resample(a[block], random))) -
                    mean(logarithms(resample(b[block], random)));
    }
    draw = difference / static_cast<double>(a.size());
  }
  return exponential(percentile_interval(std::move(draws), confidence));
}

std::size_t blocks_to_detect(double effect, double spread, double confidence, double power) {
  LT_ASSERT(effect > 0 && spread >= 0);
  const auto suffices = [&](std::size_t n) {
    const auto degrees = static_cast<double>(n - 1);
    const double quantiles =
        student_t_quantile((1 + confidence) / 2, degrees) + student_t_quantile(power, degrees);
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

}  // namespace lt::tuner

#include "tuner/statistics.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "tuner/outliers.h"

using namespace lt;
using namespace lt::tuner;

using Values = std::vector<double>;

TEST_CASE("median and quantiles lie between ranks", "[tuner][statistics]") {
  CHECK(median(Values{3}) == 3);
  CHECK(median(Values{4, 1, 3, 2}) == 2.5);
  CHECK(quantile(Values{10, 20, 30, 40, 50}, 0.25) == 20);
  CHECK(quantile(Values{10, 20, 30, 40}, 0.95) == Approx(38.5));
  CHECK(quantile(Values{1, 2}, 0) == 1);
  CHECK(quantile(Values{1, 2}, 1) == 2);
}

TEST_CASE("deviation is the sample's, and one value has none", "[tuner][statistics]") {
  CHECK(deviation(Values{2, 4, 4, 4, 5, 5, 7, 9}) == Approx(2.13809).margin(1e-5));
  CHECK(deviation(Values{5}) == 0);
}

TEST_CASE("the robust deviation is not moved by one wild value", "[tuner][statistics]") {
  CHECK(robust_deviation(Values{1, 2, 3, 4, 5}) == Approx(1.4826));
  CHECK(robust_deviation(Values{1, 2, 3, 4, 5000}) == Approx(1.4826));
}

TEST_CASE("the log mean is the geometric mean", "[tuner][statistics]") {
  CHECK(log_mean(Values{1, 100}) == Approx(10));
  CHECK(log_mean(Values{8}) == Approx(8));
}

TEST_CASE("a Student interval is mean and reach, and needs two values", "[tuner][statistics]") {
  CHECK_FALSE(student_t_interval(Values{1}, 0.95));
  const auto interval = student_t_interval(Values{9, 10, 11}, 0.95);
  REQUIRE(interval);
  CHECK(interval->low == Approx(10 - 4.30265 / std::sqrt(3)).margin(1e-4));
  CHECK(interval->high == Approx(10 + 4.30265 / std::sqrt(3)).margin(1e-4));
}

TEST_CASE("an interval on the log scale refuses what is not positive", "[tuner][statistics]") {
  CHECK_FALSE(log_interval(Values{1, 0, 2}, 0.95));
  CHECK_FALSE(paired_ratio_interval(Values{1, 2}, Values{1, -1}, 0.95));
  const auto interval = log_interval(Values{90, 100, 110}, 0.95);
  REQUIRE(interval);
  CHECK(interval->contains(log_mean(Values{90, 100, 110})));
}

TEST_CASE("pairing removes drift that both arms share", "[tuner][statistics]") {
  const Values slow{100, 200, 400, 800};
  const Values fast{110, 220, 440, 880};
  const auto paired = paired_ratio_interval(fast, slow, 0.95);
  REQUIRE(paired);
  CHECK(paired->low == Approx(1.1));
  CHECK(paired->high == Approx(1.1));
  CHECK(log_interval(fast, 0.95)->overlaps(*log_interval(slow, 0.95)));
}

TEST_CASE("Wilson's interval never leaves 0 to 1", "[tuner][statistics]") {
  const Interval none = wilson_interval(0, 5, 0.95);
  CHECK(none.low == Approx(0).margin(1e-12));
  CHECK(none.high == Approx(0.4345).margin(1e-4));
  const Interval half = wilson_interval(5, 10, 0.95);
  CHECK(half.low == Approx(0.2366).margin(1e-4));
  CHECK(half.high == Approx(0.7634).margin(1e-4));
  CHECK(wilson_interval(5, 5, 0.95).high == Approx(1));
}

TEST_CASE("the Student interval covers the truth 95 times in 100", "[tuner][statistics]") {
  Random random(11);
  int covered = 0;
  constexpr int runs = 4000;
  for (int i = 0; i < runs; ++i) {
    Values values(6);
    for (double& value : values)
      value = 10 + random.normal();
    if (student_t_interval(values, 0.95)->contains(10)) ++covered;
  }
  CHECK(static_cast<double>(covered) / runs == Approx(0.95).margin(0.014));  // 4 standard errors
}

TEST_CASE("a bootstrap of the same seed is the same interval, and holds the median",
          "[tuner][statistics]") {
  const Values values{9, 10, 10, 11, 12, 10, 9, 13};
  Random first(3);
  Random second(3);
  const Statistic of_median = [](Numbers numbers) { return median(numbers); };
  const Interval a = bootstrap_interval(values, of_median, 0.95, 500, first);
  const Interval b = bootstrap_interval(values, of_median, 0.95, 500, second);
  CHECK(a.low == b.low);
  CHECK(a.high == b.high);
  CHECK(a.contains(10));
  CHECK(a.low >= 9);
  CHECK(a.high <= 13);
}

TEST_CASE("the two-level bootstrap is wider than one that takes samples for blocks",
          "[tuner][statistics]") {
  // Four blocks that differ much, ten samples in each that hardly differ: there are 4 units,
  // not 40.
  Random data(17);
  Blocks a(4);
  Blocks b(4);
  Blocks a_flat;
  Blocks b_flat;
  for (std::size_t block = 0; block < 4; ++block) {
    const double level = std::exp(0.2 * data.normal());
    for (int i = 0; i < 10; ++i) {
      a[block].push_back(100 * level * std::exp(0.01 * data.normal()));
      b[block].push_back(100);
      a_flat.push_back({a[block].back()});
      b_flat.push_back({100});
    }
  }
  Random random(1);
  const Interval nested = hierarchical_ratio_interval(a, b, 0.95, 1000, random);
  const Interval flat = hierarchical_ratio_interval(a_flat, b_flat, 0.95, 1000, random);
  CHECK(nested.high - nested.low > 1.5 * (flat.high - flat.low));
}

TEST_CASE("the blocks needed are those of the printed example", "[tuner][statistics]") {
  // spread 10 %, 95 % confidence, 80 % power: about 34, 10 and 5 blocks for 5, 10 and 20 %.
  CHECK(blocks_to_detect(0.05, 0.10, 0.95, 0.80) == 34);
  CHECK(blocks_to_detect(0.10, 0.10, 0.95, 0.80) == 10);
  CHECK(blocks_to_detect(0.20, 0.10, 0.95, 0.80) == 5);
  CHECK(blocks_to_detect(0.05, 0, 0.95, 0.80) == 2);
  CHECK(blocks_to_detect(0.0001, 1, 0.95, 0.80) == blocks_max);
}

TEST_CASE("an outlier is named by its place, and equal values have none", "[tuner][outliers]") {
  CHECK(outliers(Values{10, 11, 9, 10, 30, 10}) == std::vector<std::size_t>{4});
  CHECK(outliers(Values{5, 5, 5, 5}).empty());
  CHECK(outliers(Values{}).empty());
  CHECK(modified_z_scores(Values{1, 2, 3, 4, 5})[4] == Approx(2 / 1.4826));
}

TEST_CASE("the spread is the distance of p95 and p5 over the median", "[tuner][statistics]") {
  CHECK(relative_spread(Values{100, 100, 100}) == 0);
  CHECK(relative_spread(Values{90, 100, 110}) == Approx(0.18));
  CHECK(relative_spread(Values{0, 0, 0}) == 0);
}

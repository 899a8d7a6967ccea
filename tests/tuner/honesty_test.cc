// Calibrated honesty: thousands of simulated sweeps, whose truth is known. How often is a claim
// wrong, how often does an interval hold the truth, how often is the pick a good one?
//
// The world is that of the study: drift of 10 % that remembers (0.97), measurements that repeat to
// 4 %, 3 % of starts 30 % low, starts that differ by 5 or 15 %. Everything comes from the seeds.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/tuner/simulated_line.h"
#include "tuner/confirmation.h"
#include "tuner/decision.h"

using namespace lt;
using namespace lt::tuner;

namespace {

Arm arm_of(std::size_t number) {
  return *parse_arm("native mtu=" + std::to_string(1400 + number));
}

struct World {
  std::vector<double> rates;  // of arm 0, which is the incumbent, and the others
  double restart{0.05};
  double noise{0.04};
  double drift{0.10};
  double bad_restarts{0.03};
  std::chrono::minutes budget{25};
};

struct Outcome {
  SweepResult result;
  Decision decision;
};

Outcome sweep_of(const World& world, std::uint64_t seed) {
  ManualClock clock;
  SweepOptions options;
  LineOptions line;
  options.arms = {*parse_arm("bare")};
  for (std::size_t i = 0; i < world.rates.size(); ++i) {
    options.arms.push_back(arm_of(i));
    line.arms[canonical_text(arm_of(i))] = {world.rates[i], 5'000, 1.5};
  }
  options.seed = seed;
  options.plan.idle = 500ms;
  options.question = Question{};
  options.question->budget = world.budget;
  options.question->incumbent = arm_of(0);
  options.now = [&] { return clock.now(); };
  options.wall_now = [] { return std::string("2026-01-31T12:00:00Z"); };
  line.seed = derive_seed(seed, 99);
  line.restart = world.restart;
  line.noise = world.noise;
  line.drift = world.drift;
  line.bad_restarts = world.bad_restarts;
  SimulatedLine bench(line, clock);
  auto result = run_sweep(bench, options, bench);
  REQUIRE(result);
  Decision decision = decide(*result);
  return {std::move(*result), std::move(decision)};
}

double rate_of(const World& world, const SweepHeader& header, std::size_t arm) {
  for (std::size_t i = 0; i < world.rates.size(); ++i) {
    if (canonical_text(header.arms[arm]) == canonical_text(arm_of(i))) return world.rates[i];
  }
  return 0;
}

}  // namespace

TEST_CASE("of 1,000 sweeps over equal arms, at most 5 % claim that one is BETTER, and the intervals hold the truth",
          "[tuner][honesty]") {
  constexpr int sweeps = 1'000;
  const World world{.rates = std::vector<double>(6, 800e6)};
  int false_claims = 0;
  int with_interval = 0;
  int all_hold = 0;
  int plain = 0;
  int plain_hold = 0;
  for (std::uint64_t seed = 1; seed <= sweeps; ++seed) {
    const Decision decision = sweep_of(world, seed).decision;
    const bool claims = std::any_of(
        decision.comparisons.begin(), decision.comparisons.end(), [](const Comparison& pair) {
          return pair.claim == Claim::better || pair.claim == Claim::worse;
        });
    false_claims += claims || decision.claim == Claim::better ? 1 : 0;
    if (decision.comparisons.empty()) continue;
    ++with_interval;
    all_hold += std::all_of(decision.comparisons.begin(), decision.comparisons.end(),
                            [](const Comparison& pair) {
                              return pair.interval && pair.interval->contains(1);
                            })
                    ? 1
                    : 0;
    for (const Comparison& pair : decision.comparisons) {
      ++plain;
      plain_hold += pair.plain && pair.plain->contains(1) ? 1 : 0;
    }
  }
  const double joint = 100.0 * all_hold / with_interval;
  const double single = 100.0 * plain_hold / plain;
  WARN("false BETTER " << false_claims << " of " << sweeps << "; coverage of single intervals "
                       << single << " %, of all intervals of a sweep at once " << joint << " %");
  CHECK(with_interval >= 990);
  CHECK(false_claims <= 50);
  CHECK(single >= 93);
  CHECK(single <= 97);
  CHECK(joint >= 93);
}

TEST_CASE("sweeps over equal arms whose time holds 6 to 9 blocks claim a difference in at most 5 % as well, and see a large one",
          "[tuner][honesty]") {
  const auto count = [](double ratio, std::uint64_t seeds) {
    World world{.rates = std::vector<double>(4, 800e6)};
    world.rates[1] *= ratio;
    int few = 0;
    int claims = 0;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
      world.budget = std::chrono::minutes(7 + seed % 6);
      const Decision decision = sweep_of(world, seed).decision;
      if (decision.blocks < 6 || decision.blocks > 9) continue;
      ++few;
      claims += std::any_of(decision.comparisons.begin(), decision.comparisons.end(),
                            [](const Comparison& pair) { return pair.claim == Claim::better || pair.claim == Claim::worse; })
                    ? 1
                    : 0;
    }
    return std::pair(claims, few);
  };
  const auto [wrong, of_equal] = count(1, 2'000);
  const auto [right, of_unequal] = count(3, 200);
  WARN("false BETTER " << wrong << " of " << of_equal << ", of three times the rate seen " << right << " of " << of_unequal);
  REQUIRE(of_equal >= 300);
  CHECK(wrong * 20 <= of_equal);
  REQUIRE(of_unequal >= 30);
  CHECK(right * 2 >= of_unequal);
}

TEST_CASE("arms that differ by the tolerance are called EQUIVALENT in at most 5 % of sweeps, equal ones mostly",
          "[tuner][honesty]") {
  constexpr int sweeps = 500;
  const auto equivalents = [](double ratio) {
    const World world{.rates = {800e6, 800e6 * ratio}, .restart = 0.01, .noise = 0.01, .bad_restarts = 0};
    int count = 0;
    for (std::uint64_t seed = 1; seed <= sweeps; ++seed) {
      const Decision decision = sweep_of(world, seed).decision;
      for (const Comparison& pair : decision.comparisons)
        count += pair.claim == Claim::equivalent ? 1 : 0;
    }
    return count;
  };
  const int wrong = equivalents(1.05);
  const int right = equivalents(1.00);
  WARN("wrong EQUIVALENT " << wrong << " of " << sweeps << ", right " << right);
  CHECK(wrong <= sweeps / 20);
  CHECK(right >= sweeps / 2);
}

TEST_CASE("intervals hold the truth of unequal arms, starts that differ by 15 %", "[tuner][honesty]") {
  const World world{.rates = {800e6, 900e6, 1'000e6}, .restart = 0.15};
  int hold = 0;
  int all = 0;
  int wrong = 0;
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    const Outcome outcome = sweep_of(world, seed);
    for (const Comparison& pair : outcome.decision.comparisons) {
      const double truth = rate_of(world, outcome.result.header, pair.arm) /
                           rate_of(world, outcome.result.header, pair.versus);
      ++all;
      hold += pair.plain && pair.plain->contains(truth) ? 1 : 0;
      wrong += (pair.claim == Claim::better && truth < 1) || (pair.claim == Claim::worse && truth > 1) ? 1 : 0;
    }
  }
  const double coverage = 100.0 * hold / all;
  WARN("coverage " << coverage << " % of " << all << " intervals, " << wrong << " claims the wrong way");
  CHECK(coverage >= 93);
  CHECK(coverage <= 97);
  CHECK(wrong <= 5);
}

TEST_CASE("picks are as good as the study found for search with fresh confirmation", "[tuner][honesty]") {
  constexpr int sweeps = 250;
  std::vector<double> hard(12, 950e6);
  std::vector<double> spread;
  for (int i = 0; i < 12; ++i)
    spread.push_back(1'000e6 * (1 - 0.04 * i));
  hard[7] = 1'000e6;
  std::swap(spread[0], spread[5]);  // the incumbent is not the best
  const auto good = [](const std::vector<double>& rates, double restart) {
    const World world{.rates = rates, .restart = restart, .budget = std::chrono::minutes(45)};
    int count = 0;
    for (std::uint64_t seed = 1; seed <= sweeps; ++seed) {
      const Outcome outcome = sweep_of(world, seed);
      if (!outcome.decision.best) continue;
      const double rate = rate_of(world, outcome.result.header, *outcome.decision.best);
      count += rate > 950.5e6 ? 1 : 0;
    }
    return 100.0 * count / sweeps;
  };
  const double hard_calm = good(hard, 0.05);
  const double hard_wild = good(hard, 0.15);
  const double spread_calm = good(spread, 0.05);
  const double spread_wild = good(spread, 0.15);
  WARN("good picks, starts differing by 5 / 15 %: hard " << hard_calm << " / " << hard_wild
                                                        << " %, spread " << spread_calm << " / "
                                                        << spread_wild << " %");
  // The study: 55 / 27 % with 10 blocks, 67 / 36 % with 20; spread 99.5 / 93 %. Within what 250
  // sweeps can tell.
  CHECK(hard_calm >= 47);
  CHECK(hard_wild >= 20);
  CHECK(spread_calm >= 95);
  CHECK(spread_wild >= 80);
}

TEST_CASE("blocks of several epochs are pooled by random effects, wider where epochs differ",
          "[tuner][honesty]") {
  const std::vector<std::vector<double>> alike{{0.10, 0.12, 0.11, 0.09}, {0.11, 0.10, 0.12, 0.10}};
  const std::vector<std::vector<double>> apart{{0.10, 0.12, 0.11, 0.09}, {0.31, 0.30, 0.32, 0.30}};
  const auto one = pooled_interval({{0.10, 0.12, 0.11, 0.09}}, 0.95);
  const auto same = pooled_interval(alike, 0.95);
  const auto wide = pooled_interval(apart, 0.95);
  REQUIRE((one && same && wide));
  CHECK(same->high - same->low < one->high - one->low);
  CHECK(wide->high - wide->low > 1);  // two epochs that differ say little
  CHECK(wide->contains(0.2));
  CHECK_FALSE(pooled_interval({{0.1}, {0.2}}, 0.95));
  CHECK_FALSE(pooled_interval({{0.1}}, 0.95));
}

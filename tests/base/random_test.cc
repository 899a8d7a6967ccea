#include "base/random.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <numeric>
#include <vector>

using namespace lt;

TEST_CASE("splitmix64 gives the numbers of its authors", "[base][random]") {
  // S. Vigna's splitmix64.c, seed 1234567.
  std::uint64_t state = 1234567;
  for (const std::uint64_t expected :
       {6457827717110365317ULL, 3203168211198807973ULL, 9817491932198370423ULL,
        4593380528125082431ULL, 16408922859458223821ULL}) {
    CHECK(splitmix64(state) == expected);
  }
}

TEST_CASE("xoshiro256** gives the numbers of its authors", "[base][random]") {
  // xoshiro256starstar.c, state 1, 2, 3, 4.
  Random random(std::array<std::uint64_t, 4>{1, 2, 3, 4});
  for (const std::uint64_t expected :
       {11520ULL, 0ULL, 1509978240ULL, 1215971899390074240ULL, 1216172134540287360ULL,
        607988272756665600ULL, 16172922978634559625ULL, 8476171486693032832ULL,
        10595114339597558777ULL, 2904607092377533576ULL}) {
    CHECK(random.next() == expected);
  }
}

TEST_CASE("the generator's first numbers never change, so an order of trials can be repeated",
          "[base][random]") {
  Random random(42);
  // Computed by an independent implementation of xoshiro256** seeded through splitmix64.
  CHECK(random.next() == 1546998764402558742ULL);
  CHECK(random.next() == 6990951692964543102ULL);
  CHECK(random.next() == 12544586762248559009ULL);
}

TEST_CASE("a shuffle keeps every value and comes out the same for the same seed",
          "[base][random]") {
  std::vector<int> first(20);
  std::iota(first.begin(), first.end(), 0);
  std::vector<int> second = first;
  const std::vector<int> original = first;
  Random(7).shuffle(std::span(first));
  Random(7).shuffle(std::span(second));
  CHECK(first == second);
  CHECK(first != original);
  std::sort(second.begin(), second.end());
  CHECK(second == original);
}

TEST_CASE("each order of three comes up about as often as any other", "[base][random]") {
  Random random(1);
  std::map<std::vector<int>, int> counts;
  for (int i = 0; i < 6000; ++i) {
    std::vector<int> values{0, 1, 2};
    random.shuffle(std::span(values));
    ++counts[values];
  }
  REQUIRE(counts.size() == 6);
  for (const auto& [order, count] : counts)
    CHECK(std::abs(count - 1000) < 150);  // 5 deviations of 29
}

TEST_CASE("a bounded number stays below its bound, and bound 1 leaves only 0", "[base][random]") {
  Random random(3);
  for (int i = 0; i < 1000; ++i)
    CHECK(random.below(7) < 7);
  CHECK(random.below(1) == 0);
  CHECK(random.below(UINT64_MAX) < UINT64_MAX);
}

TEST_CASE("normal deviates have mean 0 and deviation 1", "[base][random]") {
  Random random(5);
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < 20000; ++i) {
    const double value = random.normal();
    sum += value;
    squares += value * value;
  }
  CHECK(sum / 20000 == Approx(0).margin(0.03));  // 4 standard errors
  CHECK(squares / 20000 == Approx(1).margin(0.05));
}

TEST_CASE("a chance of nothing never comes and a chance of one always does", "[base][random]") {
  Random random(7);
  for (int i = 0; i < 1000; ++i) {
    CHECK_FALSE(random.chance(0));
    CHECK(random.chance(1));
  }
}

TEST_CASE("the unit interval excludes one", "[base][random]") {
  CHECK(unit_interval(0) == 0.0);
  CHECK(unit_interval(~std::uint64_t{0}) < 1.0);
}

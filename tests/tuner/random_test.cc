#include "tuner/random.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <numeric>
#include <vector>

using namespace lt::tuner;

TEST_CASE("splitmix64 gives the reference sequence for seed 1234567", "[tuner][random]") {
  // The vector is published with the algorithm at
  // rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64.
  std::uint64_t state = 1234567;
  CHECK(splitmix64(state) == 6457827717110365317ULL);
  CHECK(splitmix64(state) == 3203168211198807973ULL);
  CHECK(splitmix64(state) == 9817491932198370423ULL);
}

TEST_CASE("the generator's first numbers never change, so an order of trials can be repeated",
          "[tuner][random]") {
  Random random(42);
  // Computed by an independent implementation of xoshiro256** seeded through splitmix64.
  CHECK(random.next() == 1546998764402558742ULL);
  CHECK(random.next() == 6990951692964543102ULL);
  CHECK(random.next() == 12544586762248559009ULL);
}

TEST_CASE("a shuffle keeps every value and comes out the same for the same seed",
          "[tuner][random]") {
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

TEST_CASE("each order of three comes up about as often as any other", "[tuner][random]") {
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

TEST_CASE("a bounded number stays below its bound, and bound 1 leaves only 0", "[tuner][random]") {
  Random random(3);
  for (int i = 0; i < 1000; ++i)
    CHECK(random.below(7) < 7);
  CHECK(random.below(1) == 0);
  CHECK(random.below(UINT64_MAX) < UINT64_MAX);
}

TEST_CASE("streams of different purposes differ, and those of the same do not", "[tuner][random]") {
  CHECK(derive_seed(1, 2) == derive_seed(1, 2));
  CHECK(derive_seed(1, 2) != derive_seed(1, 3));
  CHECK(derive_seed(1, 2) != derive_seed(2, 2));
  CHECK(derive_seed(1, 2) != derive_seed(2, 1));
}

TEST_CASE("normal deviates have mean 0 and deviation 1", "[tuner][random]") {
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

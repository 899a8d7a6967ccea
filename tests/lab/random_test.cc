#include "lab/random.h"

#include <catch2/catch.hpp>

using namespace lt::lab;

TEST_CASE("splitmix64 gives the numbers of its authors", "[lab][random]") {
  // S. Vigna's splitmix64.c, seed 1234567.
  std::uint64_t state = 1234567;
  for (const std::uint64_t expected :
       {6457827717110365317ULL, 3203168211198807973ULL, 9817491932198370423ULL,
        4593380528125082431ULL, 16408922859458223821ULL}) {
    CHECK(splitmix64(state) == expected);
  }
}

TEST_CASE("xoshiro256** gives the numbers of its authors", "[lab][random]") {
  // xoshiro256starstar.c, state 1, 2, 3, 4.
  Random random(std::array<std::uint64_t, 4>{1, 2, 3, 4});
  for (const std::uint64_t expected :
       {11520ULL, 0ULL, 1509978240ULL, 1215971899390074240ULL, 1216172134540287360ULL,
        607988272756665600ULL, 16172922978634559625ULL, 8476171486693032832ULL,
        10595114339597558777ULL, 2904607092377533576ULL}) {
    CHECK(random.next() == expected);
  }
}

TEST_CASE("a chance of nothing never comes and a chance of one always does", "[lab][random]") {
  Random random(7);
  for (int i = 0; i < 1000; ++i) {
    CHECK_FALSE(random.chance(0));
    CHECK(random.chance(1));
  }
}

TEST_CASE("the unit interval excludes one", "[lab][random]") {
  CHECK(unit_interval(0) == 0.0);
  CHECK(unit_interval(~std::uint64_t{0}) < 1.0);
}

TEST_CASE("purposes of one seed are independent sequences", "[lab][random]") {
  CHECK(mix(1, 1) != mix(1, 2));
  CHECK(mix(1, 1) != mix(2, 1));
  CHECK(mix(0, 0) != mix(0, 1));
}

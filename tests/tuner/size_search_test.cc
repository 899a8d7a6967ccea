#include "tuner/size_search.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "tuner/random.h"

using namespace lt;
using namespace lt::tuner;

namespace {

struct Line {
  unsigned carries{0};   // larger ones are lost without a word
  unsigned refuses{0};   // larger ones are refused by the sender; 0: never
  double loss{0};
  unsigned queue{0};     // bytes of one batch that it holds; the rest is lost; 0: any number
};

struct Found {
  unsigned size;
  unsigned datagrams;
  unsigned rounds;
};

Found search(SizeSearch search, const Line& line, Random& random) {
  Found found{0, 0, 0};
  while (!search.is_over()) {
    const auto sizes = search.next();
    REQUIRE_FALSE(sizes.empty());
    REQUIRE(sizes.size() <= SizeSearch::sizes_max);
    REQUIRE(std::is_sorted(sizes.begin(), sizes.end()));
    REQUIRE(++found.rounds < 200);
    unsigned queued = 0;
    for (const unsigned size : sizes) {
      queued += size;
      const bool is_refused = line.refuses > 0 && size > line.refuses;
      if (!is_refused) ++found.datagrams;
      if (is_refused)
        search.refused(size);
      else if (size <= line.carries && random.unit() >= line.loss &&
               (line.queue == 0 || queued <= line.queue))
        search.arrived(size);
      else
        search.lost(size);
    }
  }
  found.size = search.largest_arrived();
  return found;
}

const std::vector<unsigned> likely{548, 1252, 1424, 1464, 1472, 8972, 65507};

}  // namespace

TEST_CASE("every size that a line may carry is found to the byte", "[tuner][path]") {
  Random random(7);
  for (unsigned carries = 20; carries <= 65507; carries += carries < 1600 ? 1 : 977) {
    const Found found = search(SizeSearch(20, 65507, likely), {carries, 0, 0}, random);
    INFO("the line carries " << carries);
    REQUIRE(found.size == carries);
    REQUIRE(found.datagrams < 400);
  }
}

TEST_CASE("an end of the line that the sender's own device sets is found in a few rounds",
          "[tuner][path]") {
  Random random(7);
  for (const unsigned carries : {20U, 548U, 1252U, 1400U, 1464U, 1472U, 1473U, 8972U, 65507U}) {
    const Found found = search(SizeSearch(20, 65507, likely), {carries, carries, 0}, random);
    INFO("the line carries " << carries);
    CHECK(found.size == carries);
    CHECK(found.rounds <= 8);
  }
}

TEST_CASE("a large size that nobody expects takes rounds, and one that somebody does takes few", "[tuner][path]") {
  Random random(7);
  const Line line{65'455, 65'455, 0};
  const Found unexpected = search(SizeSearch(20, 65507, likely), line, random);
  CHECK(unexpected.size == 65'455);
  CHECK(unexpected.rounds <= 30);
  auto expected = likely;
  expected.insert(expected.end() - 1, 65'455);
  const Found found = search(SizeSearch(20, 65507, expected), line, random);
  CHECK(found.size == 65'455);
  CHECK(found.rounds <= 4);
}

TEST_CASE("a likely size ends the search after the byte above it", "[tuner][path]") {
  Random random(7);
  const Found found = search(SizeSearch(20, 65507, likely), {1464, 1472, 0}, random);
  CHECK(found.size == 1464);
  CHECK(found.rounds <= 1 + 2 * SizeSearch::tries);
}

TEST_CASE("a queue that holds two of the largest packets makes no path look smaller", "[tuner][path]") {
  Random random(7);
  for (const unsigned carries : {1500U, 9000U, 16'000U, 40'001U, 65'197U, 65'483U, 65'507U}) {
    const Found found = search(SizeSearch(20, 65507, likely), {carries, carries, 0, SizeSearch::bytes_max}, random);
    INFO("the line carries " << carries);
    CHECK(found.size == carries);
  }
}

TEST_CASE("a line that loses 5 % of its packets looks no smaller", "[tuner][path]") {
  const std::uint64_t seed = 20260101;
  Random random(seed);
  INFO("seed " << seed);
  unsigned wrong = 0;
  for (int run = 0; run < 1'000; ++run) {
    if (search(SizeSearch(20, 65507, likely), {1464, 0, 0.05}, random).size != 1464) ++wrong;
  }
  // The size itself, and the one below, would have to be lost four times in a row: 6e-6 each.
  CHECK(wrong <= 1);
}

TEST_CASE("a line that carries nothing is given up after a few datagrams", "[tuner][path]") {
  Random random(7);
  const Found found = search(SizeSearch(20, 65507, likely), {0, 0, 0}, random);
  CHECK(found.size == 0);
  CHECK(found.datagrams == SizeSearch::tries);
}

TEST_CASE("one that arrives counts, although its size had been given up", "[tuner][path]") {
  SizeSearch search(20, 100, {});
  search.arrived(20);
  for (unsigned i = 0; i < SizeSearch::tries; ++i)
    search.lost(60);
  CHECK(search.next().back() < 60);
  search.arrived(60);
  CHECK(search.largest_arrived() == 60);
  CHECK(search.is_over());
}

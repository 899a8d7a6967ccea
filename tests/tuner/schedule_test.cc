#include "tuner/schedule.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>

using namespace lt::tuner;

TEST_CASE("each block holds every arm once, and blocks differ in order", "[tuner][schedule]") {
  std::set<std::vector<std::size_t>> orders;
  for (std::size_t block = 0; block < 20; ++block) {
    std::vector<std::size_t> order = block_order(1, block, 8);
    orders.insert(order);
    std::sort(order.begin(), order.end());
    std::vector<std::size_t> all(8);
    std::iota(all.begin(), all.end(), std::size_t{0});
    CHECK(order == all);
  }
  CHECK(orders.size() > 18);
}

TEST_CASE("the order is a function of seed, block and number of arms, bit for bit",
          "[tuner][schedule]") {
  // Computed by an independent implementation of the generator and the shuffle.
  CHECK(block_order(42, 0, 6) == std::vector<std::size_t>{4, 0, 3, 5, 2, 1});
  CHECK(block_order(42, 1, 6) == std::vector<std::size_t>{0, 1, 2, 5, 4, 3});
  CHECK(block_order(42, 0, 6) == block_order(42, 0, 6));
  CHECK(block_order(42, 0, 0).empty());
  CHECK(block_order(42, 0, 1) == std::vector<std::size_t>{0});
}

TEST_CASE("what is left are the blocks that are not complete", "[tuner][schedule]") {
  CHECK(blocks_left(4, {1, 3, 9}) == std::vector<std::size_t>{0, 2});
  CHECK(blocks_left(2, {0, 1}).empty());
}

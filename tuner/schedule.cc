#include "tuner/schedule.h"

#include <numeric>
#include <span>

#include "tuner/random.h"

namespace lt::tuner {

std::vector<std::size_t> block_order(std::uint64_t seed, std::size_t block, std::size_t arms) {
  std::vector<std::size_t> order(arms);
  std::iota(order.begin(), order.end(), std::size_t{0});
  Random(derive_seed(seed, block)).shuffle(std::span(order));
  return order;
}

std::vector<std::size_t> blocks_left(std::size_t blocks, const std::set<std::size_t>& complete) {
  std::vector<std::size_t> left;
  for (std::size_t block = 0; block < blocks; ++block) {
    if (!complete.contains(block)) left.push_back(block);
  }
  return left;
}

}  // namespace lt::tuner

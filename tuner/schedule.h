// The order of trials: randomised complete blocks. In each block every arm is started once, in an
// order of its own, so that drift of line and machine meets all arms alike.
//
// The order is a pure function of seed, block and number of arms; together with the journal it says
// what comes next. @source statistics.md 3.1; Abedi, Brecht, ICPE 2017 (arms measured in a row
// "differ" by 38 %)
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

namespace lt::tuner {

/// Places of the arms in the order of their trials: a permutation of 0 .. arms-1.
[[nodiscard]] std::vector<std::size_t> block_order(std::uint64_t seed, std::size_t block,
                                                   std::size_t arms);

/// Blocks of 0 .. blocks-1 that are not `complete`, rising: what is left to do.
[[nodiscard]] std::vector<std::size_t> blocks_left(std::size_t blocks,
                                                   const std::set<std::size_t>& complete);

}  // namespace lt::tuner

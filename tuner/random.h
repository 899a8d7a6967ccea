// What the tuner draws: seeds, and bytes that nothing can compress. The order of trials is part of the evidence, so
// the generator behind it is that of base/random.h, written down bit for bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/random.h"

namespace lt::tuner {

/// Mixes two numbers into one seed: streams of different (seed, purpose) are independent.
[[nodiscard]] std::uint64_t derive_seed(std::uint64_t seed, std::uint64_t purpose);

/// A seed from the system, for a run that was given none. It is printed with every report.
[[nodiscard]] std::uint64_t fresh_seed();

/// Bytes that no path can compress, so that none looks faster than it is; always the same.
/// @pre count is a multiple of 8
[[nodiscard]] std::vector<std::uint8_t> incompressible(std::size_t count);

}  // namespace lt::tuner

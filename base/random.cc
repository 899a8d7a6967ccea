#include "base/random.h"

#include <cmath>
#include <numbers>

#include "base/assert.h"

namespace lt {

std::uint64_t Random::below(std::uint64_t bound) {
  LT_ASSERT(bound > 0);
  // Values below 2^64 mod bound would be hit once too often.
  const std::uint64_t rejected = (0 - bound) % bound;
  for (;;) {
    const std::uint64_t value = next();
    if (value >= rejected) return value % bound;
  }
}

double Random::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - unit()));
  return radius * std::cos(2.0 * std::numbers::pi * unit());
}

}  // namespace lt

#include "tuner/random.h"

#include <sys/random.h>

#include <chrono>

#include "base/assert.h"
#include "base/bytes.h"

namespace lt::tuner {

std::uint64_t derive_seed(std::uint64_t seed, std::uint64_t purpose) {
  std::uint64_t state = seed;
  const std::uint64_t mixed = splitmix64(state);
  state = mixed ^ purpose;
  return splitmix64(state);
}

std::uint64_t fresh_seed() {
  std::uint64_t seed = 0;
  if (::getrandom(&seed, sizeof seed, 0) == static_cast<ssize_t>(sizeof seed)) return seed;
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

std::vector<std::uint8_t> incompressible(std::size_t count) {
  LT_ASSERT(count % 8 == 0);
  std::vector<std::uint8_t> bytes(count);
  Random random(1);
  for (std::size_t at = 0; at < count; at += 8)
    store_be64(bytes.data() + at, random.next());
  return bytes;
}

}  // namespace lt::tuner

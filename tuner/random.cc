#include "tuner/random.h"

#include <sys/random.h>

#include <bit>
#include <chrono>
#include <cmath>
#include <numbers>

#include "base/assert.h"
#include "base/bytes.h"

namespace lt::tuner {

std::uint64_t splitmix64(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

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

Random::Random(std::uint64_t seed) : state_{} {
  for (std::uint64_t& word : state_)
    word = splitmix64(seed);
}

std::uint64_t Random::next() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

std::uint64_t Random::below(std::uint64_t bound) {
  LT_ASSERT(bound > 0);
  // Values below 2^64 mod bound would be hit once too often.
  const std::uint64_t rejected = (0 - bound) % bound;
  for (;;) {
    const std::uint64_t value = next();
    if (value >= rejected) return value % bound;
  }
}

double Random::unit() {
  return static_cast<double>(next() >> 11) * 0x1.0p-53;
}

double Random::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - unit()));
  return radius * std::cos(2.0 * std::numbers::pi * unit());
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

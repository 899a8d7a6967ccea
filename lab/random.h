// Random: xoshiro256** seeded by splitmix64. Written out, since the distributions of <random>
// differ between libraries, and a seed in a report must mean the same everywhere. Not for secrets.
//
// Source: D. Blackman, S. Vigna, "Scrambled Linear Pseudorandom Number Generators", ACM TOMS 47
// (2021); the authors' reference code (public domain), against whose values
// tests/lab/random_test.cc compares.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace lt::lab {

/// Steps `state` and returns its next value.
constexpr std::uint64_t splitmix64(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

/// A number that depends on every bit of both: for independent sequences of one seed.
constexpr std::uint64_t mix(std::uint64_t seed, std::uint64_t purpose) {
  std::uint64_t state = seed;
  state = splitmix64(state) ^ (purpose * 0xd6e8feb86659fd93ULL);
  return splitmix64(state);
}

/// The upper 53 bits as a number in [0, 1).
constexpr double unit_interval(std::uint64_t bits) {
  return static_cast<double>(bits >> 11) * 0x1.0p-53;
}

class Random {
 public:
  explicit constexpr Random(std::uint64_t seed) {
    for (std::uint64_t& word : state_)
      word = splitmix64(seed);
  }
  explicit constexpr Random(const std::array<std::uint64_t, 4>& state) : state_(state) {}

  constexpr std::uint64_t next() {
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

  /// True with `probability`; one number is drawn whatever it is.
  constexpr bool chance(double probability) { return unit_interval(next()) < probability; }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace lt::lab

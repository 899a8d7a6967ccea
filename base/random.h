// Random: a generator written down bit for bit. The distributions of <random> and std::shuffle differ between libraries,
// and a seed in a report, or in a scene of the lab, must mean the same everywhere. Not for secrets.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace lt {

/// One step of SplitMix64; `state` advances by the golden gamma.
/// @source Steele, Lea, Flood, OOPSLA 2014; constants of the reference code by Vigna (prng.di.unimi.it)
[[nodiscard]] constexpr std::uint64_t splitmix64(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

/// The upper 53 bits as a number in [0, 1).
[[nodiscard]] constexpr double unit_interval(std::uint64_t bits) {
  return static_cast<double>(bits >> 11) * 0x1.0p-53;
}

/// xoshiro256**, seeded through SplitMix64.
/// @source Blackman, Vigna, "Scrambled linear pseudorandom number generators", ACM TOMS 47, 2021
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

  /// A whole number in [0, bound), without bias: the lowest 2^64 mod bound values are drawn again.
  /// @pre bound > 0
  [[nodiscard]] std::uint64_t below(std::uint64_t bound);
  /// A real number in [0, 1) of 53 bits.
  [[nodiscard]] constexpr double unit() { return unit_interval(next()); }
  /// A normal deviate of mean 0 and deviation 1 (Box and Muller, 1958; one of the pair is dropped).
  [[nodiscard]] double normal();
  /// True with `probability`; one number is drawn whatever it is.
  [[nodiscard]] constexpr bool chance(double probability) { return unit() < probability; }

  /// Fisher and Yates, from the last place down: place i changes with below(i + 1).
  template <class T>
  void shuffle(std::span<T> values) {
    for (std::size_t i = values.size(); i > 1; --i) {
      std::swap(values[i - 1], values[below(i)]);
    }
  }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace lt

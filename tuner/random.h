// Random: the tuner's own generator and shuffle, written down bit for bit.
//
// The order of trials is part of the evidence, so it must come out the same with every compiler:
// `std::shuffle` and the `std::` distributions differ between library implementations.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace lt::tuner {

/// One step of SplitMix64; `state` advances by the golden gamma.
/// @source Steele, Lea, Flood, OOPSLA 2014; constants of the reference code by Vigna
/// (prng.di.unimi.it)
[[nodiscard]] std::uint64_t splitmix64(std::uint64_t& state);

/// Mixes two numbers into one seed: streams of different (seed, purpose) are independent.
[[nodiscard]] std::uint64_t derive_seed(std::uint64_t seed, std::uint64_t purpose);

/// A seed from the system, for a run that was given none. It is printed with every report.
[[nodiscard]] std::uint64_t fresh_seed();

/// xoshiro256**, seeded through SplitMix64. Not for secrets.
/// @source Blackman, Vigna, "Scrambled linear pseudorandom number generators", ACM TOMS 2021
class Random {
 public:
  explicit Random(std::uint64_t seed);

  [[nodiscard]] std::uint64_t next();
  /// A whole number in [0, bound), without bias: the lowest 2^64 mod bound values are drawn again.
  /// @pre bound > 0
  [[nodiscard]] std::uint64_t below(std::uint64_t bound);
  /// A real number in [0, 1) of 53 bits.
  [[nodiscard]] double unit();
  /// A normal deviate of mean 0 and deviation 1 (Box and Muller, 1958; one of the pair is dropped).
  [[nodiscard]] double normal();

  /// Fisher and Yates, from the last place down: place i changes with below(i + 1).
  template <class T>
  void shuffle(std::span<T> values) {
    for (std::size_t i = values.size(); i > 1; --i) {
      std::swap(values[i - 1], values[below(i)]);
    }
  }

 private:
  std::array<std::uint64_t, 4> state_;
};

/// Bytes that no path can compress, so that none looks faster than it is; always the same.
/// @pre count is a multiple of 8
[[nodiscard]] std::vector<std::uint8_t> incompressible(std::size_t count);

}  // namespace lt::tuner

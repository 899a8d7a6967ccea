// Dice: everything that happens by chance in a simulation comes from here, and so from one seed.
#pragma once

#include <chrono>
#include <cstdint>

namespace lt::sim {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}

  /// @source splitmix64, Steele, Lea and Flood 2014
  std::uint64_t next() {
    std::uint64_t mixed = (state_ += 0x9e3779b97f4a7c15U);
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9U;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebU;
    return mixed ^ (mixed >> 31);
  }
  /// Uniform, both ends included.
  std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + next() % (high - low + 1); }
  std::chrono::nanoseconds between(std::chrono::nanoseconds low, std::chrono::nanoseconds high) {
    return std::chrono::nanoseconds(
        low.count() + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(high.count() - low.count() + 1)));
  }
  bool chance(double probability) { return static_cast<double>(next() >> 11) * 0x1p-53 < probability; }
  /// A stream of its own, so that one part of the simulation does not disturb the chances of another.
  Dice fork() { return Dice(next()); }

 private:
  std::uint64_t state_;
};

}  // namespace lt::sim

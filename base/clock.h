// Time through a door: what needs the time takes a Clock or an Instant, so that tests can hand in their own.
#pragma once

#include <chrono>
#include <concepts>

namespace lt {

/// A moment of the monotonic clock; steps of the wall clock do not touch it.
using Instant = std::chrono::steady_clock::time_point;

template <class T>
concept Clock = requires(const T clock) {
  { clock.now() } -> std::same_as<Instant>;
};

struct SteadyClock {
  [[nodiscard]] Instant now() const { return std::chrono::steady_clock::now(); }
};

/// A clock that a test moves by hand.
class ManualClock {
 public:
  [[nodiscard]] Instant now() const { return now_; }
  void advance(std::chrono::nanoseconds by) { now_ += by; }

 private:
  Instant now_{std::chrono::hours(1)};
};

static_assert(Clock<SteadyClock> && Clock<ManualClock>);

}  // namespace lt

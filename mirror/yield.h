// YieldControl: how fast a mirror may go without others on the line noticing. Pure.
//
// Theory of operation. Echoes through the link tell how long packets wait: what exceeds the least
// round trip of the last minutes stands in a queue. The rate is steered so that this queue holds a
// small `target` of delay:
//
//   growing  nothing waits: a quarter more every interval, until something does
//   holding  rate changes by (target - delay) and against the delay's own change: the first finds
//            the line's rate, the second keeps both from swinging around it; while hardly anything
//            waits it climbs, the steeper the longer: others have gone
//   giving   more than `delay_max` waits: to 85 % of what gets through, and again each `give_every`,
//            down to `rate_min` while others fill the line
//
// What was held before giving is remembered. Once hardly anything waits any more the rate grows back to
// nearly all of it as it did at first, and where that meets a queue, so much is remembered from then on.
//
// A sender that does not use its rate does not raise it.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/units.h"

namespace lt::mirror {

class YieldControl {
 public:
  static constexpr BitsPerSecond rate_first{20'000'000};
  static constexpr BitsPerSecond rate_min{1'000'000};
  static constexpr BitsPerSecond rate_max{100'000'000'000};
  static constexpr Milliseconds interval{100};
  static constexpr Milliseconds give_every{300};
  static constexpr Milliseconds base_memory{300'000};  // a new path's longer delay is believed after it

  /// @param delay_max  most that others' packets may wait more (p95)
  explicit YieldControl(Milliseconds delay_max) : delay_max_(delay_max) {}

  void on_echo(Nanoseconds round_trip, Instant now);
  /// @param carried  bytes that reached the other end so far
  [[nodiscard]] BitsPerSecond rate(Bytes carried, Instant now);
  /// The delay that the last interval saw beyond the least.
  [[nodiscard]] Nanoseconds delay() const { return delay_; }

 private:
  [[nodiscard]] Nanoseconds base() const;
  void steer(double carried_bits, Instant now);
  void grow(double carried_bits, double error, bool is_used);

  Nanoseconds delay_max_;
  double rate_{static_cast<double>(rate_first.value)};
  bool is_growing_{true};
  std::vector<Nanoseconds> echoes_;  // of this interval
  std::deque<std::pair<Instant, Nanoseconds>> least_;  // rising minima within base_memory
  std::optional<Instant> began_;     // of this interval
  Bytes carried_;
  double carried_rate_{0};           // smoothed (unit: bit/s)
  Nanoseconds delay_{0};
  unsigned calm_{0};                 // intervals in a row in which hardly anything waited
  std::optional<Instant> gave_;
  double held_{0};                   // before giving: what the line is known to bear (unit: bit/s)
};

}  // namespace lt::mirror

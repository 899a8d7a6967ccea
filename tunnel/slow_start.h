// SlowStart: which congestion control a lane of cubic runs until it has found out what its path carries. Pure: no socket, no
// clock.
//
// cubic leaves slow start by a guess (HyStart): round trips grow, or ACKs come in one long train. On a lane that carries next to
// nothing, the ACKs of a backup say, what grows is the queue of the other direction, and the guess ends slow start at some tens of
// packets. The lane's first bulk, a restore, then grows by a twentieth a round trip: a minute and more at 600 ms. reno is in slow
// start, too, and does not guess: so a lane has reno while it has no bulk of its own, and cubic, begun afresh, as soon as it
// has. Once slow start has ended, by loss or by a guess about bulk, the lane stays with cubic.
// Source: Ha, Rhee, "Taming the elephants: new TCP slow start", 2011; Linux, net/ipv4/tcp_cubic.c, hystart_update().
#pragma once

#include <chrono>
#include <optional>

#include "tunnel/path_sample.h"

namespace lt::tunnel {

class SlowStart {
 public:
  enum class Control : std::uint8_t { reno, cubic };

  /// Round trips from which on it is worth it. On a shorter path the two round trips until bulk is seen, in which nothing ends
  /// slow start, fill the buffer more often than the guess costs a second.
  static constexpr std::chrono::milliseconds far_from{80};

  /// What a lane is to run before its first sample: ACKs of the other direction may come at once.
  static constexpr Control begins_with = Control::reno;

  /// @param sample  taken about once a round trip  @return what the lane is to run from now on, if that changes
  [[nodiscard]] std::optional<Control> take(const PathSample& sample) {
    if (has_ended_) return std::nullopt;
    if (!sample.is_in_slow_start) {
      has_ended_ = true;
      return change_to(Control::cubic);
    }
    backlogged_ = sample.is_backlogged ? backlogged_ + 1 : 0;
    calm_ = sample.is_backlogged ? 0 : calm_ + 1;
    if (backlogged_ >= backlogged_least) return change_to(Control::cubic);
    return calm_ >= calm_least ? change_to(Control::reno) : std::nullopt;
  }

  /// Nothing more will change: no further sample is of use.
  [[nodiscard]] bool has_ended() const { return has_ended_; }

 private:
  // A burst that is being paced out is no bulk; two round trips of waiting are.
  static constexpr unsigned backlogged_least = 2;
  static constexpr unsigned calm_least = 4;

  std::optional<Control> change_to(Control wanted) {
    if (wanted == control_) return std::nullopt;
    control_ = wanted;
    return wanted;
  }

  Control control_{begins_with};
  bool has_ended_{false};
  unsigned backlogged_{0};  // samples in a row
  unsigned calm_{0};
};

}  // namespace lt::tunnel

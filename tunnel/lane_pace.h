// LanePace: whether a lane is held back: it has work, and gets on with far less of it than the session's lanes can. Pure: no
// socket, no clock. Such a lane still answers PING, so nothing else notices it.
//
//   outbound  the kernel says it: bytes wait behind those that are on their way, and few are acknowledged
//   inbound   the peer's queue is not ours to see: our PING is answered late, for it stands in that queue, and little comes
//
// Source: R11 and C-10 of the catalogue; docs/PROTOCOL.md P-77.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "tunnel/limits.h"

namespace lt::tunnel {

/// What a lane has done since it began.
struct LaneProgress {
  std::uint64_t delivered{0};  // acknowledged by the peer (unit: B)
  std::uint64_t received{0};   // (unit: B)
  bool is_backlogged{false};   // bytes of ours wait that could go
  std::chrono::nanoseconds answer_delay{0};  // of the last PING that was answered, or of one that is not yet
};

/// Bytes a second, each way.
struct LaneRates {
  double outbound{0};
  double inbound{0};
};

class LanePace {
 public:
  /// Samples closer than `pace_interval` are passed over. @param best  of all lanes of the session, lately
  void take(const LaneProgress& progress, const LaneRates& best, Instant now) {
    if (!last_) return remember(progress, now);
    const double seconds = std::chrono::duration<double>(now - at_).count();
    if (now - at_ < std::chrono::nanoseconds(pace_interval) * 9 / 10) return;
    const auto rate = [&](std::uint64_t after, std::uint64_t before) { return static_cast<double>(after - std::min(before, after)) / seconds; };
    const LaneRates rates{rate(progress.delivered, last_->delivered), rate(progress.received, last_->received)};
    const auto decayed = [&](double value) { return value * std::max(0.0, 1 - (1 - pace_kept_a_second) * seconds); };
    best_ = {std::max(decayed(best_.outbound), rates.outbound), std::max(decayed(best_.inbound), rates.inbound)};
    const bool was_backlogged = last_->is_backlogged;
    const bool sends_slowly = progress.is_backlogged && was_backlogged && rates.outbound < pace_share_least * std::max(best.outbound, best_.outbound);
    const bool hears_slowly = !progress.is_backlogged && progress.answer_delay > lane_suspect_after &&
                              rates.inbound < pace_share_least * std::max(best.inbound, best_.inbound);
    slow_samples_ = sends_slowly || hears_slowly ? slow_samples_ + 1 : 0;
    remember(progress, now);
  }

  /// The best that this lane has lately done; what is long ago counts for less.
  [[nodiscard]] const LaneRates& best() const { return best_; }
  [[nodiscard]] bool is_held_back() const { return slow_samples_ >= pace_samples_min; }

 private:
  void remember(const LaneProgress& progress, Instant now) {
    last_ = progress;
    at_ = now;
  }

  std::optional<LaneProgress> last_;
  Instant at_{};
  LaneRates best_;
  unsigned slow_samples_{0};
};

}  // namespace lt::tunnel

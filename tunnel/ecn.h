// Congestion marks for the inner flows: when the queue before a lane stands, ECN-capable packets
// are marked, so that their senders slow down before anything is lost. Room O2.
//
// SojournMarker decides when (CoDel's law, marking where CoDel drops); mark_congestion does it.
// Neither reads a clock nor keeps a packet. Source: RFC 3168, RFC 8289.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/units.h"

namespace lt::tunnel {

/// Sets "congestion experienced" in the IP header, if the packet's sender can take it: ECT(0),
/// ECT(1), or marked already. In IPv4 the header checksum follows (RFC 1624).
///
/// A super-packet is marked as a whole: each of its segments will carry the mark, as if the queue
/// had met them one by one. Its TCP header stays: CWR answers an older mark, and describe() finds
/// it there (the kernel keeps it on the first segment only).
///
/// @param packet  [in,out] changed only in the traffic class and the IPv4 header checksum
/// @return        whether the packet now carries the mark; false: untouched
/// @pre           parse_ip() found it sound
/// @thread        any; allocates nothing
[[nodiscard]] bool mark_congestion(ByteSpan packet) noexcept;

struct SojournOptions {
  Nanoseconds target{5ms};      // of standing delay: what may stay. @source RFC 8289 4.3
  Nanoseconds interval{100ms};  // a round trip of the inner flows; how long it may stand above
  std::size_t backlog_min{0};   // at or below, the queue is as good as empty (unit: B)
};

/// CoDel (RFC 8289 5) with marks for drops: once the delay has stood above `target` for an
/// `interval`, one packet is marked, then the next after interval / sqrt(2), interval / sqrt(3)...
/// until the delay is below the target.
class SojournMarker {
 public:
  explicit SojournMarker(const SojournOptions& options) noexcept : options_(options) {}

  /// To be asked for each packet that leaves the queue.
  ///
  /// @param sojourn  how long this packet has waited, or is sure to wait
  /// @param backlog  what waits behind it (unit: B)
  /// @return         whether to mark it. That counts as marked, whether the packet can carry a mark
  ///                 or not: a queue of packets without ECN would else be marked at full rate as
  ///                 soon as one comes that can
  /// @pre            `now` never goes back
  [[nodiscard]] bool should_mark(Nanoseconds sojourn, std::size_t backlog, Instant now) noexcept;

  /// Between the first mark and the return of the delay below the target.
  [[nodiscard]] bool is_marking() const noexcept { return is_marking_; }
  [[nodiscard]] std::uint64_t marks() const noexcept { return marks_; }

 private:
  [[nodiscard]] bool stands(Nanoseconds sojourn, std::size_t backlog, Instant now) noexcept;
  [[nodiscard]] Nanoseconds step() const noexcept;

  SojournOptions options_;
  bool is_above_{false};
  Instant above_until_{};  // while is_above_: when standing begins to count
  bool is_marking_{false};
  Instant mark_next_{};
  std::uint32_t count_{0};       // marks since marking began
  std::uint32_t count_last_{0};  // count_ when it began
  std::uint64_t marks_{0};
};

}  // namespace lt::tunnel

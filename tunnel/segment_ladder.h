// SegmentLadder: how large the TCP segments of the next connection may be. Pure: no socket, no clock.
//
// A path that drops large packets and tells nobody lets each handshake pass, for that is small, and stops each lane at its
// first PING of full size (RFC 2923, 2.1). Where that has happened to lanes in a row, the client connects with smaller
// segments; its offer of a maximum segment size (RFC 9293, 3.7.1) bounds what the server sends, too, so one end heals both.
//
// Source: docs/PROTOCOL.md P-79.
#pragma once

#include <cstddef>

#include "base/segment_sizes.h"

namespace lt::tunnel {

class SegmentLadder {
 public:
  static constexpr unsigned lanes_in_a_row = 2;

  /// For TCP_MAXSEG (unit: B; 0: as the system finds it).
  [[nodiscard]] std::uint32_t segment_bytes_max() const { return segment_sizes[step_]; }

  /// Full size has passed on a lane, there and back: the segments are small enough, and stay so.
  void on_proven() { unproven_ = 0; }

  /// A lane has fallen silent before full size ever passed on it. When nothing of the ladder was small enough it was not the
  /// size, and the ladder begins anew. @return whether the next connection has segments of another size
  bool on_unproven() {
    if (++unproven_ < lanes_in_a_row) return false;
    unproven_ = 0;
    step_ = (step_ + 1) % segment_sizes.size();
    return true;
  }

 private:
  std::size_t step_{0};
  unsigned unproven_{0};
};

}  // namespace lt::tunnel

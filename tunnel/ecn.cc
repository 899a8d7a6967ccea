#include "tunnel/ecn.h"

#include <cmath>

#include "base/assert.h"
#include "tunnel/ip_packet.h"

namespace lt::tunnel {

namespace {

constexpr Byte ecn_bits = 0x03;
constexpr Byte experienced = 0x03;

// RFC 1624 equation 3, for one word that changes: HC' = ~(~HC + ~m + m').
void follow_change(Byte* checksum, std::uint16_t before, std::uint16_t after) noexcept {
  std::uint32_t sum = static_cast<std::uint16_t>(~load_be16(checksum));
  sum += static_cast<std::uint16_t>(~before);
  sum += after;
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  store_be16(checksum, static_cast<std::uint16_t>(~sum));
}

bool mark_v4(ByteSpan packet) noexcept {
  if ((packet[1] & ecn_bits) == 0) return false;
  const std::uint16_t before = load_be16(&packet[0]);
  packet[1] |= experienced;
  follow_change(&packet[10], before, load_be16(&packet[0]));
  return true;
}

// The traffic class lies across two bytes, its ECN bits in the second one's upper half. No checksum
// covers it: it is not part of the pseudo-header (RFC 8200 8.1).
bool mark_v6(ByteSpan packet) noexcept {
  if ((packet[1] >> 4 & ecn_bits) == 0) return false;
  packet[1] |= experienced << 4;
  return true;
}

}  // namespace

bool mark_congestion(ByteSpan packet) noexcept {
  LT_ASSERT(packet.size() >= ipv4_header_bytes);
  return packet[0] >> 4 == 4 ? mark_v4(packet) : mark_v6(packet);
}

// Whether the delay has been above the target for an interval.
bool SojournMarker::stands(Nanoseconds sojourn, std::size_t backlog, Instant now) noexcept {
  if (sojourn < options_.target || backlog <= options_.backlog_min) {
    is_above_ = false;
    return false;
  }
  if (!is_above_) {
    is_above_ = true;
    above_until_ = now + options_.interval;
    return false;
  }
  return now >= above_until_;
}

Nanoseconds SojournMarker::step() const noexcept {
  return Nanoseconds(static_cast<std::int64_t>(static_cast<double>(options_.interval.count()) /
                                               std::sqrt(static_cast<double>(count_))));
}

bool SojournMarker::should_mark(Nanoseconds sojourn, std::size_t backlog, Instant now) noexcept {
  if (!stands(sojourn, backlog, now)) {
    is_marking_ = false;
    return false;
  }
  if (is_marking_) {
    if (now < mark_next_) return false;
    ++count_;
    mark_next_ += step();
  } else {
    // RFC 8289 5.5: soon after the last time, go on where that left off, instead of from 1.
    const std::uint32_t gained = count_ - count_last_;
    const bool is_recent = now - mark_next_ < 16 * options_.interval;
    count_ = gained > 1 && is_recent ? gained : 1;
    count_last_ = count_;
    is_marking_ = true;
    mark_next_ = now + step();
  }
  ++marks_;
  return true;
}

}  // namespace lt::tunnel

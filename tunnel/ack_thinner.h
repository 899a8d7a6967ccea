// AckThinner: of the bare ACKs of a flow that come within a quarter of a round trip, only the newest travels.
//
// Behind a loss on the line, TCP's order makes all that follows wait a round trip, and then delivers it at once. The
// receiving host acknowledges that burst piece by piece, oldest first. The sending host takes the oldest one's delay for a
// queue and ends its slow start (HyStart of cubic, RFC 9406) at a fraction of what the path holds; its growth from there
// takes a quarter of a minute. The newest ACK alone says the same of the bytes and carries the least delay; and HyStart
// judges a round trip by nine samples or more.
//
//   the first in a while       passes at once
//   a newer one soon after it  waits; a still newer one takes its place, and it is counted as ack_superseded
//   anything else of the flow  lets the one that waits go first, and passes
//
// What says more than "all up to here" never waits: the same ACK with the same window again (something was lost), SACK (what arrived beyond), an
// ECN echo, a payload, SYN, FIN, RST, URG.
// Source: RFC 3449 5.2.1 (ACK filtering), RFC 9406 4.2 (N_RTT_SAMPLE is 8), tc-cake(8) "ack-filter".
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/clock.h"
#include "tunnel/packet_meta.h"

namespace lt::tunnel {

class AckThinner {
 public:
  static constexpr std::size_t flows_max = 32;       // ACKs of more flows than that pass as they are
  static constexpr std::size_t ack_bytes_max = 128;  // an IPv6 header with an extension, TCP's with all options

  /// How far apart the bare ACKs of a flow are kept. @param round_trip  of the lane (unit: ns)
  /// @return 0 on a path too short to gain anything: nothing waits
  [[nodiscard]] static std::chrono::nanoseconds spacing(std::chrono::nanoseconds round_trip) {
    return round_trip < round_trip_min ? std::chrono::nanoseconds(0) : round_trip / 4;
  }

  /// Whether `packet` was copied and waits here. What has to go before it is handed to
  /// `release(PacketMeta, ByteView)`, at most one packet; `supersede()` is told of each that will never travel.
  /// @thread the lane's; allocates nothing
  template <class Release, class Supersede>
  bool holds(PacketMeta meta, ByteView packet, std::chrono::nanoseconds spacing, Instant now, Release&& release,
             Supersede&& supersede);

  /// Hands over what has waited long enough, at most flows_max packets.
  template <class Release>
  void release_due(Instant now, Release&& release) {
    for (Waiting& waiting : flows_)
      if (waiting.bytes > 0 && now >= waiting.until) let_go(waiting, now, release);
  }

  /// Hands over all that waits.
  template <class Release>
  void release_all(Instant now, Release&& release) {
    for (Waiting& waiting : flows_)
      if (waiting.bytes > 0) let_go(waiting, now, release);
  }

  /// When release_due() is wanted; Instant::max() while nothing waits.
  [[nodiscard]] Instant due() const;

 private:
  // HyStart is for windows of many packets: below this a path of 1 Gbit/s holds a few hundred.
  static constexpr std::chrono::nanoseconds round_trip_min = std::chrono::milliseconds(8);

  using FlowKey = std::array<Byte, 37>;  // family, addresses, ports
  struct Segment {
    FlowKey flow{};
    std::optional<std::uint32_t> bare_ack;  // its number, where the segment says nothing else
    std::uint16_t window{0};
  };
  struct Waiting {
    FlowKey flow{};
    std::uint32_t number{0};  // the highest that went, or waits
    std::uint16_t window{0};  // of the one that waits
    Instant until{};          // until then newer ones wait
    std::chrono::nanoseconds spacing{};
    PacketMeta meta;
    std::size_t bytes{0};     // 0: none waits
    std::array<Byte, ack_bytes_max> packet{};
  };

  [[nodiscard]] static std::optional<Segment> tcp_segment(PacketMeta meta, ByteView packet);
  [[nodiscard]] Waiting* find(const FlowKey& flow);
  [[nodiscard]] Waiting* find_free(Instant now);

  template <class Release>
  static void let_go(Waiting& waiting, Instant now, Release&& release) {
    release(waiting.meta, ByteView(waiting.packet.data(), waiting.bytes));
    waiting.bytes = 0;
    waiting.until = now + waiting.spacing;
  }

  std::array<Waiting, flows_max> flows_{};
};

template <class Release, class Supersede>
bool AckThinner::holds(PacketMeta meta, ByteView packet, std::chrono::nanoseconds spacing, Instant now, Release&& release,
                       Supersede&& supersede) {
  const auto segment = tcp_segment(meta, packet);
  if (!segment) return false;
  Waiting* waiting = find(segment->flow);
  if (waiting == nullptr) {
    if (!segment->bare_ack || spacing.count() == 0) return false;
    waiting = find_free(now);
    if (waiting == nullptr) return false;
    *waiting = {.flow = segment->flow, .number = *segment->bare_ack, .until = now + spacing, .spacing = spacing};
    return false;
  }
  const bool is_newer = segment->bare_ack && static_cast<std::int32_t>(*segment->bare_ack - waiting->number) > 0;
  // With another window it does not report a loss (RFC 5681 2); the host has read what it had acknowledged.
  const bool moves_window = segment->bare_ack == waiting->number && waiting->bytes > 0 && segment->window != waiting->window;
  if (!is_newer && !moves_window) {
    if (waiting->bytes > 0) let_go(*waiting, now, release);
    return false;
  }
  waiting->number = *segment->bare_ack;
  if (waiting->bytes == 0 && now >= waiting->until) {
    waiting->spacing = spacing;
    waiting->until = now + spacing;
    return false;
  }
  if (waiting->bytes > 0) supersede();
  waiting->window = segment->window;
  waiting->meta = meta;
  waiting->bytes = packet.size();
  std::copy(packet.begin(), packet.end(), waiting->packet.begin());
  return true;
}

}  // namespace lt::tunnel

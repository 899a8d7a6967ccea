// Segmentation and checksums in software: what the kernel or a network card would do to an
// offloaded packet.
//
// Used where nobody else will: our own device has no offload, the kernel refuses a good
// super-packet (security.md B-27), or the gso_size is too small to cross the wire (P2). The
// segments are what Linux would make: see tcp_gso_segment,
// __udp_gso_segment and inet_gso_segment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "tunnel/drop_reason.h"
#include "tunnel/ip_packet.h"
#include "tunnel/packet_meta.h"

namespace lt::tunnel {

/// Whether the sender has to cut `meta`'s packet up before it may cross the wire (P-36).
[[nodiscard]] constexpr bool needs_segmentation(PacketMeta meta) noexcept {
  return is_super(meta.kind) && meta.gso_size < gso_size_min;
}

/// Cuts one super-packet into finished packets, one at a time. A view of the packet: valid as long
/// as its bytes.
/// @thread any; allocates nothing
class Segmenter {
 public:
  /// @drop what parse_ip drops; bad_offload (also for a packet that is not a super-packet),
  /// fragment_with_offload
  [[nodiscard]] static OrDrop<Segmenter> create(PacketMeta meta, ByteView packet) noexcept;

  /// How many segments there are in all.
  [[nodiscard]] std::size_t count() const noexcept;
  /// The size of the largest segment, headers included: what `next` needs to write into (unit: B).
  [[nodiscard]] std::size_t bytes_max() const noexcept {
    return packet_.headers_bytes() + gso_size_;
  }

  /// Writes the next segment to the start of `into`, with all lengths and checksums final.
  /// @return the segment, or nothing behind the last one
  /// @pre into.size() >= bytes_max(); `into` does not overlap the packet
  [[nodiscard]] std::optional<ByteSpan> next(ByteSpan into) noexcept;

 private:
  Segmenter(const IpPacket& packet, PacketMeta meta) noexcept
      : packet_(packet), tcp_(is_tcp(meta.kind)), gso_size_(meta.gso_size) {}
  void finish(ByteSpan segment, std::size_t index, bool last) const noexcept;

  IpPacket packet_;
  bool tcp_;
  std::size_t gso_size_;
  std::size_t done_{0};  // payload bytes handed out (unit: B)
};

/// Calls `sink(ByteView)` with each finished segment of `packet`; `scratch` is overwritten from one
/// to the next.
/// @param scratch  at least as large as one segment with its headers; the MTU is, for an admitted
/// packet
/// @return         the number of segments
/// @drop           as Segmenter::create; over_mtu when a segment would not fit into `scratch`
template <class Sink>
[[nodiscard]] OrDrop<std::size_t> segment(PacketMeta meta, ByteView packet, ByteSpan scratch,
                                          Sink&& sink) {
  auto segmenter = Segmenter::create(meta, packet);
  if (!segmenter) return drop(segmenter.error());
  if (segmenter->bytes_max() > scratch.size()) return drop(DropReason::over_mtu);
  std::size_t segments = 0;
  for (; auto one = segmenter->next(scratch); ++segments)
    sink(ByteView(*one));
  return segments;
}

/// Finishes the checksum of a packet of kind partial_checksum, so that it becomes plain. What the
/// field held before does not matter. A plain packet is left as it is.
/// @return why the packet is not what `meta` says, or nothing. A super-packet is bad_offload:
/// segment it
/// @drop   what parse_ip drops; bad_offload, fragment_with_offload
/// @thread any; allocates nothing
[[nodiscard]] std::optional<DropReason> complete_checksum(PacketMeta meta,
                                                          ByteSpan packet) noexcept;

}  // namespace lt::tunnel

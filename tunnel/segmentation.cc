#include "tunnel/segmentation.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "tunnel/checksum.h"
#include "tunnel/offload.h"

namespace lt::tunnel {

namespace {

constexpr Byte tcp_fin = 0x01;
constexpr Byte tcp_psh = 0x08;
constexpr Byte tcp_cwr = 0x80;

void store_transport_checksum(const IpPacket& view, ByteSpan packet) noexcept {
  const std::size_t field = std::size_t{view.transport_offset} + checksum_offset(view);
  const ByteSpan transport = packet.subspan(view.transport_offset);
  store_be16(&packet[field], 0);
  const ChecksumSum sum = add_bytes(pseudo_header_sum(view, transport.size()), transport);
  if (view.protocol == protocol_udp) {
    store_checksum_nonzero(&packet[field], sum);
  } else {
    store_checksum(&packet[field], sum);
  }
}

}  // namespace

OrDrop<Segmenter> Segmenter::create(PacketMeta meta, ByteView packet) noexcept {
  const auto view = parse_ip(packet);
  if (!view) return drop(view.error());
  if (!is_super(meta.kind)) return drop(DropReason::bad_offload);
  if (const auto fault = find_offload_fault(meta, *view)) return drop(*fault);
  return Segmenter(*view, meta);
}

std::size_t Segmenter::count() const noexcept {
  const std::size_t payload = packet_.bytes.size() - packet_.headers_bytes();
  return (payload + gso_size_ - 1) / gso_size_;
}

std::optional<ByteSpan> Segmenter::next(ByteSpan into) noexcept {
  const std::size_t headers = packet_.headers_bytes();
  const std::size_t left = packet_.bytes.size() - headers - done_;
  if (left == 0) return std::nullopt;
  const std::size_t payload = std::min(left, gso_size_);
  LT_ASSERT(into.size() >= headers + payload);

  std::memcpy(into.data(), packet_.bytes.data(), headers);
  std::memcpy(into.data() + headers, packet_.bytes.data() + headers + done_, payload);
  const ByteSpan segment = into.first(headers + payload);
  finish(segment, done_ / gso_size_, payload == left);
  done_ += payload;
  return segment;
}

void Segmenter::finish(ByteSpan segment, std::size_t index, bool last) const noexcept {
  Byte* const ip = segment.data();
  if (packet_.family == Family::v4) {
    store_be16(ip + 2, static_cast<std::uint16_t>(segment.size()));
    store_be16(ip + 4, static_cast<std::uint16_t>(load_be16(ip + 4) + index));  // identification
    store_be16(ip + 10, 0);
    store_checksum(ip + 10, add_bytes({}, ByteView(segment).first(ipv4_header_bytes)));
  } else {
    store_be16(ip + 4, static_cast<std::uint16_t>(segment.size() - ipv6_header_bytes));
  }
  Byte* const transport = ip + packet_.transport_offset;
  if (tcp_) {
    store_be32(transport + 4,
               static_cast<std::uint32_t>(load_be32(transport + 4) + index * gso_size_));
    // The end of the data is the end of the last segment only; the congestion window was reduced
    // once.
    if (!last) transport[13] = static_cast<Byte>(transport[13] & ~(tcp_fin | tcp_psh));
    if (index != 0) transport[13] = static_cast<Byte>(transport[13] & ~tcp_cwr);
  } else {
    store_be16(transport + 4,
               static_cast<std::uint16_t>(segment.size() - packet_.transport_offset));
  }
  IpPacket view = packet_;
  view.bytes = segment;
  store_transport_checksum(view, segment);
}

std::optional<DropReason> complete_checksum(PacketMeta meta, ByteSpan packet) noexcept {
  const auto view = parse_ip(packet);
  if (!view) return view.error();
  if (is_super(meta.kind)) return DropReason::bad_offload;
  if (const auto fault = find_offload_fault(meta, *view)) return fault;
  if (meta.kind == PacketKind::partial_checksum) store_transport_checksum(*view, packet);
  return std::nullopt;
}

}  // namespace lt::tunnel

#include "tunnel/virtio.h"

#include <cstring>

#include "tunnel/checksum.h"
#include "tunnel/offload.h"

namespace lt::tunnel {

// <linux/virtio_net.h> of Debian 12 is no C++ (a member is called `class`); the netns tests hold
// the constants against the kernel itself.

VnetHeader load_vnet(const Byte* at) noexcept {
  VnetHeader header;
  std::memcpy(&header, at, vnet_header_bytes);
  return header;
}

void store_vnet(Byte* at, const VnetHeader& header) noexcept {
  std::memcpy(at, &header, vnet_header_bytes);
}

namespace {

constexpr std::size_t tcp_flags_offset = 13;
constexpr Byte tcp_cwr = 0x80;

// Completes a checksum wherever it is, as the kernel's own helper does. @return false: it lies
// outside the packet
bool complete_anywhere(const VnetHeader& header, ByteSpan packet) noexcept {
  const std::size_t start = header.csum_start;
  const std::size_t field = start + header.csum_offset;
  if (start >= packet.size() || packet.size() - start < std::size_t{header.csum_offset} + 2)
    return false;
  store_checksum_nonzero(&packet[field], add_bytes({}, packet.subspan(start)));
  return true;
}

bool points_at_transport_checksum(const VnetHeader& header, const IpPacket& packet) noexcept {
  return (header.flags & vnet_needs_checksum) != 0 &&
         header.csum_start == packet.transport_offset &&
         header.csum_offset == checksum_offset(packet);
}

// A packet that is one segment. Its partial checksum travels as such only where the peer will
// arrive at the same pseudo-header; a Mobile IPv6 home address, for one, is not in the IP header.
OrDrop<PacketMeta> describe_single(const VnetHeader& header, const IpPacket& view,
                                   ByteSpan packet) noexcept {
  if ((header.flags & vnet_needs_checksum) == 0) return PacketMeta{};
  if (view.is_fragment) return drop(DropReason::fragment_with_offload);
  constexpr PacketMeta partial{PacketKind::partial_checksum, 0};
  if (!find_offload_fault(partial, view) && points_at_transport_checksum(header, view) &&
      holds_partial(&packet[view.transport_offset + checksum_offset(view)],
                    pseudo_header_sum(view, view.transport().size()))) {
    return partial;
  }
  if (!complete_anywhere(header, packet)) return drop(DropReason::bad_offload);
  return PacketMeta{};
}

std::optional<PacketKind> kind_of(std::uint8_t gso_type, Family family) noexcept {
  const bool v4 = family == Family::v4;
  switch (gso_type) {
    case vnet_gso_tcp4:
    case vnet_gso_tcp4 | vnet_gso_ecn:
      return v4 ? std::optional(PacketKind::tcp4) : std::nullopt;
    case vnet_gso_tcp6:
    case vnet_gso_tcp6 | vnet_gso_ecn:
      return v4 ? std::nullopt : std::optional(PacketKind::tcp6);
    case vnet_gso_udp:
      return v4 ? PacketKind::udp4 : PacketKind::udp6;
    default:
      return std::nullopt;  // also UFO, which we never offer
  }
}

std::uint8_t gso_type_of(PacketKind kind, ByteView transport) noexcept {
  switch (kind) {
    case PacketKind::plain:
    case PacketKind::partial_checksum:
      return vnet_gso_none;
    case PacketKind::udp4:
    case PacketKind::udp6:
      return vnet_gso_udp;
    case PacketKind::tcp4:
    case PacketKind::tcp6:
      break;
  }
  const std::uint8_t type = kind == PacketKind::tcp4 ? vnet_gso_tcp4 : vnet_gso_tcp6;
  // CWR belongs to the first segment only; the bit tells hardware that cannot know that by itself.
  const bool cwr = (transport[tcp_flags_offset] & tcp_cwr) != 0;
  return cwr ? static_cast<std::uint8_t>(type | vnet_gso_ecn) : type;
}

}  // namespace

OrDrop<PacketMeta> describe(const VnetHeader& header, ByteSpan packet) noexcept {
  const auto view = parse_ip(packet);
  if (!view) return drop(view.error());
  if (header.gso_type == vnet_gso_none) return describe_single(header, *view, packet);

  if (view->is_fragment) return drop(DropReason::fragment_with_offload);
  const auto kind = kind_of(header.gso_type, view->family);
  if (!kind || header.gso_size == 0 || view->transport_header_bytes == 0) {
    return drop(DropReason::bad_offload);
  }
  if (view->bytes.size() - view->headers_bytes() <= header.gso_size) {
    return describe_single(header, *view, packet);  // trimmed down to one segment
  }
  const PacketMeta meta{*kind, header.gso_size};
  if (const auto fault = find_offload_fault(meta, *view)) return drop(*fault);
  if (!points_at_transport_checksum(header, *view)) return drop(DropReason::bad_offload);
  return meta;
}

OrDrop<VnetHeader> rebuild(PacketMeta meta, ByteSpan packet, std::uint32_t mtu) noexcept {
  const auto view = parse_ip(packet);
  if (!view) return drop(view.error());
  if (const auto fault = find_offload_fault(meta, *view)) return drop(*fault);
  if (is_super(meta.kind)) {
    if (meta.gso_size < gso_size_min) return drop(DropReason::gso_size_too_small);
    if (segment_bytes(meta, *view) > mtu) return drop(DropReason::gso_size_too_large);
  } else if (packet.size() > mtu) {
    return drop(DropReason::over_mtu);
  }
  VnetHeader header;
  if (meta.kind == PacketKind::plain) return header;

  const ByteView transport = view->transport();
  header.flags = vnet_needs_checksum;
  header.csum_start = view->transport_offset;
  header.csum_offset = checksum_offset(*view);
  store_partial(&packet[header.csum_start + header.csum_offset],
                pseudo_header_sum(*view, transport.size()));
  if (is_super(meta.kind)) {
    header.gso_type = gso_type_of(meta.kind, transport);
    header.gso_size = meta.gso_size;
    header.hdr_len = static_cast<std::uint16_t>(view->headers_bytes());
  }
  return header;
}

}  // namespace lt::tunnel

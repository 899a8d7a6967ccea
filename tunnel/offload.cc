#include "tunnel/offload.h"

namespace lt::tunnel {

namespace {

constexpr std::size_t tcp_flags_offset = 13;
constexpr Byte tcp_syn = 0x02;
constexpr Byte tcp_rst = 0x04;

bool is_protocol_of(PacketKind kind, const IpPacket& packet) noexcept {
  using enum PacketKind;
  const bool tcp = packet.protocol == protocol_tcp;
  const bool udp = packet.protocol == protocol_udp;
  switch (kind) {
    case plain:
      return true;
    case partial_checksum:
      return tcp || udp;
    case tcp4:
      return tcp && packet.family == Family::v4;
    case tcp6:
      return tcp && packet.family == Family::v6;
    case udp4:
      return udp && packet.family == Family::v4;
    case udp6:
      return udp && packet.family == Family::v6;
  }
  return false;
}

}  // namespace

std::optional<DropReason> find_offload_fault(PacketMeta meta, const IpPacket& packet) noexcept {
  if (is_super(meta.kind) != (meta.gso_size != 0)) return DropReason::bad_offload;
  if (meta.kind == PacketKind::plain) return std::nullopt;
  if (packet.is_fragment) return DropReason::fragment_with_offload;
  if (!is_protocol_of(meta.kind, packet) || packet.transport_header_bytes == 0) {
    return DropReason::bad_offload;
  }
  const ByteView transport = packet.transport();
  if (packet.protocol == protocol_udp && load_be16(&transport[4]) != transport.size()) {
    return DropReason::bad_offload;
  }
  if (!is_super(meta.kind)) return std::nullopt;
  if (packet.bytes.size() - packet.headers_bytes() <= meta.gso_size) return DropReason::bad_offload;
  if (is_tcp(meta.kind) && (transport[tcp_flags_offset] & (tcp_syn | tcp_rst)) != 0) {
    return DropReason::bad_offload;
  }
  return std::nullopt;
}

std::uint16_t checksum_offset(const IpPacket& packet) noexcept {
  return packet.protocol == protocol_tcp ? 16 : 6;
}

std::size_t segment_bytes(PacketMeta meta, const IpPacket& packet) noexcept {
  return is_super(meta.kind) ? packet.headers_bytes() + meta.gso_size : packet.bytes.size();
}

}  // namespace lt::tunnel

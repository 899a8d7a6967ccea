#include "tunnel/ip_packet.h"

namespace lt::tunnel {

namespace {

// Extension headers (IANA "IPv6 Extension Header Types"). ESP (50) and no-next-header (59) end the
// walk.
constexpr std::uint8_t next_hop_by_hop = 0;
constexpr std::uint8_t next_routing = 43;
constexpr std::uint8_t next_fragment = 44;
constexpr std::uint8_t next_authentication = 51;
constexpr std::uint8_t next_destination_options = 60;
constexpr std::uint8_t next_mobility = 135;
constexpr std::uint8_t next_hip = 139;
constexpr std::uint8_t next_shim6 = 140;

bool is_extension(std::uint8_t next) noexcept {
  return next == next_hop_by_hop || next == next_routing || next == next_fragment ||
         next == next_authentication || next == next_destination_options || next == next_mobility ||
         next == next_hip || next == next_shim6;
}

// Notes how long the TCP or UDP header is. A malformed one stays 0: such a packet may pass as it
// is, for its receiver to judge, but never with an offload.
void measure_transport(IpPacket& packet) noexcept {
  if (packet.is_fragment) return;
  const ByteView transport = packet.transport();
  if (packet.protocol == protocol_udp && transport.size() >= udp_header_bytes) {
    packet.transport_header_bytes = udp_header_bytes;
  } else if (packet.protocol == protocol_tcp && transport.size() >= tcp_header_bytes_min) {
    const std::size_t size = std::size_t(transport[12] >> 4) * 4;
    if (size < tcp_header_bytes_min || size > transport.size()) return;
    packet.transport_header_bytes = static_cast<std::uint16_t>(size);
  }
}

OrDrop<IpPacket> parse_ipv4(ByteView packet) noexcept {
  if (packet.size() < ipv4_header_bytes) return drop(DropReason::too_short);
  const std::size_t header_bytes = std::size_t(packet[0] & 0x0f) * 4;
  if (header_bytes < ipv4_header_bytes || header_bytes > packet.size()) {
    return drop(DropReason::bad_header_length);
  }
  if (load_be16(&packet[2]) != packet.size()) return drop(DropReason::bad_length);
  // Source routes make the destination a lie; nothing that a LAN needs carries options (B-18).
  if (header_bytes > ipv4_header_bytes) return drop(DropReason::ip_options);

  IpPacket view{.bytes = packet, .family = Family::v4};
  view.protocol = packet[9];
  view.is_fragment = (load_be16(&packet[6]) & 0x3fff) != 0;  // more-fragments bit and offset
  view.transport_offset = ipv4_header_bytes;
  measure_transport(view);
  return view;
}

OrDrop<IpPacket> parse_ipv6(ByteView packet) noexcept {
  if (packet.size() < ipv6_header_bytes) return drop(DropReason::too_short);
  if (std::size_t{load_be16(&packet[4])} + ipv6_header_bytes != packet.size() ||
      packet.size() > packet_bytes_max) {
    return drop(DropReason::bad_length);
  }
  IpPacket view{.bytes = packet, .family = Family::v6};
  std::size_t at = ipv6_header_bytes;
  std::uint8_t next = packet[6];
  for (unsigned headers = 0; is_extension(next); ++headers) {
    if (headers == extension_headers_max) return drop(DropReason::too_many_headers);
    if (packet.size() - at < 8) return drop(DropReason::bad_header_length);
    const Byte* const header = &packet[at];
    std::size_t size = (std::size_t{header[1]} + 1) * 8;
    if (next == next_fragment) size = 8;  // RFC 8200 4.5: its second byte is reserved
    if (next == next_authentication) size = (std::size_t{header[1]} + 2) * 4;  // RFC 4302 2.2
    if (size < 8 || size > packet.size() - at) return drop(DropReason::bad_header_length);
    // RFC 8200 4.1: hop-by-hop options stand first or nowhere.
    if (next == next_hop_by_hop && headers != 0) return drop(DropReason::bad_header_length);
    // With segments left, the destination that admission judges is not the last one (RFC 5095 for
    // type 0).
    if (next == next_routing && (header[2] == 0 || header[3] != 0)) {
      return drop(DropReason::routing_header);
    }
    const bool is_fragment_header = next == next_fragment;
    next = header[0];
    at += size;
    if (is_fragment_header) {
      view.is_fragment = true;
      if ((load_be16(header + 2) & 0xfff8) != 0)
        break;  // a later fragment: payload follows, no header
    }
  }
  view.protocol = next;
  view.transport_offset = static_cast<std::uint16_t>(at);
  measure_transport(view);
  return view;
}

}  // namespace

OrDrop<IpPacket> parse_ip(ByteView packet) noexcept {
  if (packet.empty()) return drop(DropReason::too_short);
  switch (packet[0] >> 4) {
    case 4:
      return parse_ipv4(packet);
    case 6:
      return parse_ipv6(packet);
    default:
      return drop(packet.size() < ipv4_header_bytes ? DropReason::too_short
                                                    : DropReason::bad_version);
  }
}

}  // namespace lt::tunnel

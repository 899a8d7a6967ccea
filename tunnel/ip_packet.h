// The one parser of IPv4 and IPv6 headers. Everything that decides about a packet decides by this
// view of it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/ip.h"
#include "tunnel/drop_reason.h"

namespace lt::tunnel {

inline constexpr std::size_t ipv4_header_bytes = 20;
inline constexpr std::size_t ipv6_header_bytes = 40;
inline constexpr std::size_t tcp_header_bytes_min = 20;
inline constexpr std::size_t udp_header_bytes = 8;
inline constexpr std::uint8_t protocol_tcp = 6;
inline constexpr std::uint8_t protocol_udp = 17;

/// The most IPv6 extension headers that are walked. @source security.md B-17
inline constexpr unsigned extension_headers_max = 8;

/// The largest IP packet (unit: B). Jumbograms (RFC 2675) are not carried.
inline constexpr std::size_t packet_bytes_max = 65535;

/// A view of a packet whose headers were found sound. Valid as long as the packet's bytes.
struct IpPacket {
  ByteView bytes;  // the whole packet
  Family family{Family::v4};
  std::uint8_t protocol{0};           // behind the last extension header
  bool is_fragment{false};            // a part of a packet, or an IPv6 "atomic" fragment
  std::uint16_t transport_offset{0};  // where `protocol` begins; in a later fragment: its payload
  std::uint16_t transport_header_bytes{
      0};  // TCP or UDP header; 0: another protocol, a fragment, or malformed

  [[nodiscard]] ByteView source() const noexcept {
    return family == Family::v4 ? bytes.subspan(12, 4) : bytes.subspan(8, 16);
  }
  [[nodiscard]] ByteView destination() const noexcept {
    return family == Family::v4 ? bytes.subspan(16, 4) : bytes.subspan(24, 16);
  }
  /// From the TCP or UDP header to the end.
  [[nodiscard]] ByteView transport() const noexcept { return bytes.subspan(transport_offset); }
  /// All that each segment of a super-packet repeats (unit: B).
  [[nodiscard]] std::size_t headers_bytes() const noexcept {
    return std::size_t(transport_offset) + transport_header_bytes;
  }
  /// @pre transport_header_bytes > 0
  [[nodiscard]] std::uint16_t source_port() const noexcept {
    return load_be16(bytes.data() + transport_offset);
  }
  [[nodiscard]] std::uint16_t destination_port() const noexcept {
    return load_be16(bytes.data() + transport_offset + 2);
  }
};

/// P-57. Parses the IP headers of `packet`, and the TCP or UDP header where there is one.
/// @drop too_short, bad_version, bad_header_length, bad_length, ip_options, routing_header,
/// too_many_headers
/// @thread any; allocates nothing
/// @source RFC 791, RFC 8200, RFC 5095; security.md B-16..B-19
[[nodiscard]] OrDrop<IpPacket> parse_ip(ByteView packet) noexcept;

}  // namespace lt::tunnel

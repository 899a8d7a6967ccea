// PacketMeta: what one site tells the other about a packet besides its bytes. Nothing else of the
// kernel's offload header crosses the wire (security.md D9); the receiver derives the rest from its
// own parse.
#pragma once

#include <cstdint>
#include <optional>

namespace lt::tunnel {

/// The values are wire bytes.
enum class PacketKind : std::uint8_t {
  plain = 0,             // complete: every checksum is final
  partial_checksum = 1,  // one TCP or UDP packet whose checksum is still to be completed
  tcp4 = 2,              // super-packets: one header, many segments of gso_size bytes
  tcp6 = 3,
  udp4 = 4,
  udp6 = 5,
};

struct PacketMeta {
  PacketKind kind{PacketKind::plain};
  std::uint16_t gso_size{
      0};  // payload of each segment but the last (unit: B); 0 unless a super-packet

  friend bool operator==(const PacketMeta&, const PacketMeta&) = default;
};

/// @return nothing for a byte that names no kind
[[nodiscard]] constexpr std::optional<PacketKind> packet_kind_from(std::uint8_t wire) noexcept {
  if (wire > std::uint8_t(PacketKind::udp6)) return std::nullopt;
  return PacketKind(wire);
}

[[nodiscard]] constexpr bool is_super(PacketKind kind) noexcept {
  return kind >= PacketKind::tcp4;
}
[[nodiscard]] constexpr bool is_tcp(PacketKind kind) noexcept {
  return kind == PacketKind::tcp4 || kind == PacketKind::tcp6;
}

/// The least gso_size that crosses the wire (unit: B). Smaller ones are cut up by the sender; a
/// peer that sends them anyway wants to make us emit tens of thousands of packets by one write.
/// @source security.md D9, B-13, P2; 536 is the default MSS of RFC 9293 3.7.1
inline constexpr std::uint16_t gso_size_min = 536;

}  // namespace lt::tunnel

// Traffic: packets whose every byte is known, so that whoever takes one out of the far device can tell whether it was
// ever sent, in which order, and whether a bit of it has changed.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "tunnel/virtio.h"

namespace lt::sim {

struct TunPacket {
  tunnel::VnetHeader vnet;
  std::vector<Byte> bytes;
};

/// What a packet of ours says of itself.
struct PacketLabel {
  std::uint32_t flow{0};
  std::uint32_t carrier{0};  // the connection whose lane has read it
  std::uint64_t number{0};
};

inline constexpr std::size_t packet_bytes_least = 64;

/// A packet of `bytes` from the site `side` to the other one; above `mtu` it is a TCP super-packet.
[[nodiscard]] TunPacket make_packet(std::size_t side, const PacketLabel& label, std::size_t bytes, std::size_t mtu);
/// Writes into a packet who carries it.
void set_carrier(ByteSpan packet, std::uint32_t carrier);
/// @return nothing when this is no packet of ours, or not as it was sent
[[nodiscard]] std::optional<PacketLabel> read_packet(std::size_t sent_by, ByteView packet);

}  // namespace lt::sim

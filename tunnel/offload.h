// Whether a PacketMeta is true of the packet it comes with. Asked of the kernel's words and of the
// peer's alike.
#pragma once

#include <optional>

#include "tunnel/ip_packet.h"
#include "tunnel/packet_meta.h"

namespace lt::tunnel {

/// What is wrong with `meta` as a description of `packet`; nothing when it fits.
///
/// A super-packet must hold more than one segment, be TCP or UDP of the kind's family, no fragment,
/// no SYN or RST (which would be repeated in each segment), and its UDP length must cover the
/// packet. Bounds of gso_size are the caller's: they differ by direction.
/// @drop bad_offload, fragment_with_offload
/// @thread any; allocates nothing
/// @source security.md B-13..B-15, B-19
[[nodiscard]] std::optional<DropReason> find_offload_fault(PacketMeta meta,
                                                           const IpPacket& packet) noexcept;

/// The offset of the checksum in a TCP or UDP header (unit: B). @pre the packet's protocol is one
/// of them
[[nodiscard]] std::uint16_t checksum_offset(const IpPacket& packet) noexcept;

/// The largest packet that leaves the far side's network stack for this one: the packet itself, or
/// one segment (unit: B).
[[nodiscard]] std::size_t segment_bytes(PacketMeta meta, const IpPacket& packet) noexcept;

}  // namespace lt::tunnel

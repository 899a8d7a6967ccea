// The offload header that a TUN device puts before each packet (IFF_VNET_HDR), and its two
// translations: describe() turns the kernel's header into what crosses the wire; rebuild() makes a
// header anew from our own parse. A header of the peer's making never reaches the kernel: there is
// no function for that here.
//
// Room O1 (describe) and I6 (rebuild). Source: security.md D9, B-13..B-15, 12.2;
// performance.md 3.1; the VIRTIO specification 1.2, 5.1.6; Linux include/linux/virtio_net.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "tunnel/drop_reason.h"
#include "tunnel/ip_packet.h"
#include "tunnel/packet_meta.h"

namespace lt::tunnel {

/// struct virtio_net_hdr in the machine's own byte order, which is what a TUN device takes unless
/// told otherwise. Packed, so that it may stand at any address in front of a packet.
struct [[gnu::packed]] VnetHeader {
  std::uint8_t flags{0};
  std::uint8_t gso_type{0};
  std::uint16_t hdr_len{
      0};  // headers of a super-packet; written, never believed: forwarded packets lie
  std::uint16_t gso_size{0};
  std::uint16_t csum_start{0};   // from the packet's first byte
  std::uint16_t csum_offset{0};  // from csum_start

  friend bool operator==(const VnetHeader& a, const VnetHeader& b) noexcept {
    return a.flags == b.flags && a.gso_type == b.gso_type && a.hdr_len == b.hdr_len &&
           a.gso_size == b.gso_size && a.csum_start == b.csum_start &&
           a.csum_offset == b.csum_offset;
  }
};
inline constexpr std::size_t vnet_header_bytes = 10;
static_assert(sizeof(VnetHeader) == vnet_header_bytes && alignof(VnetHeader) == 1);

inline constexpr std::uint8_t vnet_needs_checksum = 1;
inline constexpr std::uint8_t vnet_gso_none = 0;
inline constexpr std::uint8_t vnet_gso_tcp4 = 1;
inline constexpr std::uint8_t vnet_gso_tcp6 = 4;
inline constexpr std::uint8_t vnet_gso_udp = 5;     // USO; Linux >= 6.2
inline constexpr std::uint8_t vnet_gso_ecn = 0x80;  // a bit beside the TCP types

[[nodiscard]] VnetHeader load_vnet(const Byte* at) noexcept;
void store_vnet(Byte* at, const VnetHeader& header) noexcept;

/// Says what `packet`, read from our own device with `header`, is.
///
/// A checksum that the wire has no word for (an inner header of a tunnel in this tunnel, SCTP-like
/// protocols) is completed in place, and the packet is plain. A gso_size below gso_size_min is
/// returned as it is: the sender cuts such a packet up (segmentation.h) before it seals. The ECN
/// bit has no word either: it follows from the packet's CWR flag.
///
/// @param packet  [in,out] changed only where a checksum is completed
/// @drop          what parse_ip drops; bad_offload, fragment_with_offload
/// @thread        any; allocates nothing
[[nodiscard]] OrDrop<PacketMeta> describe(const VnetHeader& header, ByteSpan packet) noexcept;

/// P-58, P-59. Makes the header with which `packet`, received from the peer, is written to our own
/// device.
///
/// All of it follows from our parse: kind, header length, where the checksum is. In the packet only
/// the checksum field of an offloaded packet is written: the kernel expects the pseudo-header's sum
/// there, so we compute it.
///
/// @param packet  [in,out] changed only in that field
/// @param mtu     of the device (unit: B)
/// @drop          what parse_ip drops; bad_offload, fragment_with_offload, gso_size_too_small,
/// gso_size_too_large;
///                over_mtu for a packet that is no super-packet
/// @thread        any; allocates nothing
[[nodiscard]] OrDrop<VnetHeader> rebuild(PacketMeta meta, ByteSpan packet,
                                         std::uint32_t mtu) noexcept;

}  // namespace lt::tunnel

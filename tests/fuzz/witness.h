// A second, slow opinion about packets: what our kernel must be spared, and whose addresses are whose. Shares no code
// with tunnel/: it reads RFC 791, 8200, 9293, 768 and the kernel's rules for IFF_VNET_HDR by itself.
#pragma once

#include "tests/fuzz/fuzz.h"
#include "tunnel/virtio.h"

namespace lt::fuzz {

/// The office has 10.1.0.0/16 and fd01::/64 behind it, the other site 10.2.0.0/16 and fd02::/64.
enum class Where { office, offsite, elsewhere };

/// Where an address of 4 or 16 bytes belongs, a broadcast address being elsewhere.
Where where_is(ByteView address);

struct Ends {
  ByteView source;
  ByteView destination;
};
/// @pre an IPv4 or IPv6 header is there
Ends ends_of(ByteView packet);

/// The checksum of the whole transport, pseudo-header included, folded: 0xffff when it is right. @pre a sound packet
std::uint16_t transport_sum(ByteView packet, std::size_t transport_offset);

/// Stops the program unless `packet` may be written to a TUN behind `vnet`: sound lengths, a checksum field inside the
/// packet that holds the pseudo-header's sum, a super-packet of one flow whose segments fit into `mtu`.
void expect_fit_for_kernel(const tunnel::VnetHeader& vnet, ByteView packet, std::uint32_t mtu);

}  // namespace lt::fuzz

// Router: what a hop of the WAN does to a packet for what it is, before any queue: one that is too
// large for the next hop, a fragment where fragments are dropped, ICMP where ICMP is dropped. Pure
// functions of a frame's bytes.
//
// A packet above the path's MTU is cut into fragments, or, where it may not be (DF), dropped, and
// its sender is told by ICMP (RFC 1191); where the path drops ICMP nobody is told: a black hole, as
// the field has them. IPv4, since the lab's WAN carries nothing else.
#pragma once

#include <optional>
#include <vector>

#include "base/bytes.h"
#include "lab/wan_settings.h"

namespace lt::lab {

enum class Ruling : std::uint8_t { pass, cut, too_large, fragment, icmp };

/// What becomes of a whole Ethernet frame.
[[nodiscard]] Ruling judge(ByteView frame, const WanSettings& settings);

/// The frame as frames of IP packets of at most `mtu` bytes. @pre judge() says cut
/// @source RFC 791, 3.2
[[nodiscard]] std::vector<std::vector<Byte>> cut(ByteView frame, Bytes mtu);

/// The frame that tells the sender of a frame that is too large, in the name of whom it was for.
/// Nothing: a packet about which none may be told. @pre judge() says too_large
/// @source RFC 792, destination unreachable, code 4; RFC 1191 for the MTU in it
[[nodiscard]] std::optional<std::vector<Byte>> too_large_answer(ByteView frame, Bytes mtu);

}  // namespace lt::lab

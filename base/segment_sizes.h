// The sizes of TCP segments to try, one after the other, on a path that drops large packets and tells nobody (RFC 2923, 2.1).
#pragma once

#include <array>
#include <cstdint>

namespace lt {

/// What packets of 1400, of 1280 (each IPv6 path) and of 576 bytes (each IPv4 host) hold beside the headers of IPv6 and
/// TCP, in the last case of IPv4; for TCP_MAXSEG. First 0: as the system finds it. (unit: B)
inline constexpr std::array<std::uint32_t, 4> segment_sizes{0, 1340, 1220, 536};

}  // namespace lt

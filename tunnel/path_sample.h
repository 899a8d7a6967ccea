// What a connection tells about the path below it.
#pragma once

#include <chrono>
#include <cstdint>

namespace lt::tunnel {

struct PathSample {
  std::chrono::nanoseconds rtt{};   // smoothed by the kernel over a few packets
  std::uint64_t delivered{0};       // bytes the peer has, in order or not, since it began; may step back a little
  std::uint64_t retransmitted{0};   // bytes sent again since the connection began
  bool is_backlogged{false};        // data waits to be sent: the path is the limit, not the sender
};

}  // namespace lt::tunnel

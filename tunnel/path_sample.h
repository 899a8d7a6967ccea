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
  bool is_in_slow_start{false};     // the first: neither a loss nor a guess has ended it yet

  /// Of what was sent, how much was sent again; 0 where too little was sent to say.
  [[nodiscard]] double resent_share() const {
    constexpr std::uint64_t bytes_to_judge_by = 4 << 20;
    const std::uint64_t sent = delivered + retransmitted;
    return sent < bytes_to_judge_by ? 0 : static_cast<double>(retransmitted) / static_cast<double>(sent);
  }
};

}  // namespace lt::tunnel

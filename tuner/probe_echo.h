// UDP echo: the round trip of small packets at an even pace, and what was lost on each way.
//
// Each packet carries the nonce of its test, a phase, a number and the sender's monotonic time. The
// server answers with the same number of bytes, only to its test's nonce: it is no amplifier and no
// reflector.
#pragma once

#include <array>
#include <atomic>
#include <stop_token>
#include <thread>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "tuner/probe.h"

namespace lt::tuner {

enum class EchoPhase : std::uint8_t { idle = 0, loaded = 1 };
inline constexpr std::size_t echo_phases = 2;
/// A packet that is away for four times the longest round trip that was seen is lost: after 0.2 s at the earliest, and after
/// 2 s in any case. On a line that loses packets each phase of each test waits for it.
inline constexpr Milliseconds echo_patience_least{200};
inline constexpr Milliseconds echo_patience{2'000};
inline constexpr double echo_patience_round_trips = 4;

struct EchoPacket {
  static constexpr std::size_t bytes = 40;
  static constexpr std::uint32_t magic = 0x6c745045;  // "ltPE"

  std::uint64_t nonce{0};
  EchoPhase phase{EchoPhase::idle};
  std::uint32_t number{0};
  std::uint64_t client_ns{0};  // monotonic, the client's
  std::uint64_t server_ns{0};  // monotonic, the server's; 0 on the way there

  /// @pre raw.size() >= bytes
  void encode(ByteSpan raw) const;
  [[nodiscard]] static std::optional<EchoPacket> decode(ByteView raw);
};

struct EchoCount {
  std::uint64_t arrived{0};
  std::uint64_t replied{0};
};

/// Answers until it is destroyed.
class EchoServer {
 public:
  EchoServer(Fd socket, std::uint64_t nonce);
  [[nodiscard]] EchoCount count(EchoPhase phase) const;

 private:
  void serve(const std::stop_token& stop);

  Fd socket_;
  std::uint64_t nonce_;
  struct Counters {
    std::atomic<std::uint64_t> arrived{0};
    std::atomic<std::uint64_t> replied{0};
  };
  std::array<Counters, echo_phases> counters_;  // written by the thread, read by the owner
  std::jthread thread_;                         // last: it uses all of the above
};

struct EchoOptions {
  int socket{-1};  // connected
  std::uint64_t nonce{0};
  EchoPhase phase{EchoPhase::idle};
  Instant begin{};
  Milliseconds duration{0};
  unsigned per_second{200};
  unsigned bytes{echo_bytes_min};
};

/// Sends for `duration` from `begin` on, then waits for what is still out until it counts as lost.
/// Only `sent`, `returned` and `latency` are filled; the rest is the server's to say.
[[nodiscard]] EchoResult run_echo(const EchoOptions& options, const std::stop_token& stop);

}  // namespace lt::tuner

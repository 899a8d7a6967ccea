// Sockets of the data path: plain and blocking, every wait bounded.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <functional>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/ip.h"
#include "base/result.h"
#include "base/units.h"

namespace lt::tuner {

/// First bytes on each data connection: magic, flow number, direction, nonce.
struct FlowGreeting {
  static constexpr std::size_t bytes = 16;
  static constexpr std::uint32_t magic = 0x6c745031;  // "ltP1"

  std::uint64_t nonce{0};
  bool is_up{true};
  std::uint8_t flow{0};

  [[nodiscard]] std::array<Byte, bytes> encode() const;
  /// @return nothing when the magic or a reserved byte is wrong
  [[nodiscard]] static std::optional<FlowGreeting> decode(ByteView raw);
};

struct BoundSocket {
  Fd fd;
  std::uint16_t port{0};
};

/// @param congestion  handed on to what is accepted. @error busy · not_found: the address is not
/// ours
[[nodiscard]] Result<BoundSocket> listen_tcp(const IpAddress& address, std::uint16_t port,
                                             const std::string& congestion);
/// The same, with `prepare` for what must be set before. @error busy · not_found
[[nodiscard]] Result<BoundSocket> listen_tcp(const IpAddress& address, std::uint16_t port,
                                             const std::function<Status(int fd)>& prepare);
[[nodiscard]] Result<BoundSocket> bind_udp(const IpAddress& address, std::uint16_t port);
/// @param prepare  what must be set before the connection is made. @error unreachable · timed_out
[[nodiscard]] Result<Fd> connect_tcp(const IpAddress& address, std::uint16_t port,
                                     const std::optional<IpAddress>& source,
                                     const std::function<Status(int fd)>& prepare,
                                     Instant deadline);
[[nodiscard]] Result<Fd> connect_udp(const IpAddress& address, std::uint16_t port,
                                     const std::optional<IpAddress>& source);

/// Pins TCP_CONGESTION. @error unsupported, not_permitted: the sentence holds the cure
[[nodiscard]] Status set_congestion(int fd, const std::string& name);
[[nodiscard]] std::string congestion_of(int fd);
/// Whether a socket of this process could be pinned to it; the kernel loads it at need. An empty name is the kernel's
/// default. @error as set_congestion
[[nodiscard]] Status check_congestion(const std::string& name);
/// TCP_MAXSEG, before the connection is made: it bounds both ways. 0: leaves it to the system (unit: B)
[[nodiscard]] Status set_segment_bytes_max(int fd, std::uint32_t bytes);

/// What the kernel says of a TCP connection; zeros where it says nothing.
[[nodiscard]] tcp_info tcp_info_of(int fd);

/// Sends or receives exactly these bytes before the deadline. @error timed_out · closed
[[nodiscard]] Status send_all(int fd, ByteView bytes, Instant deadline);
[[nodiscard]] Status receive_all(int fd, ByteSpan bytes, Instant deadline);

/// Waits for one descriptor. @return false at the deadline. @param events as for poll(2)
[[nodiscard]] bool wait_for(int fd, short events, Instant deadline);

/// A blocking send or receive gives up after `patience`.
void set_patience(int fd, Milliseconds patience);
/// Ends the connection by a reset: nothing that is still queued disturbs the next test.
void abort_connection(Fd& fd);

}  // namespace lt::tuner

// The TCP connection under a lane: made, tuned and named here. No record is read or written in this file.
//
// SO_SNDBUF and SO_RCVBUF are never set: that would switch the kernel's own sizing off (160 -> 11 Mbit/s on a
// 190 ms path). Each socket carries the mark by which the routing rules keep it out of the tunnel.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/ip.h"
#include "base/result.h"
#include "base/socket_address.h"
#include "base/units.h"
#include "tunnel/path_sample.h"
#include "tunnel/slow_start.h"

namespace lt::tunnel {

struct StreamOptions {
  std::string congestion_control;  // TCP_CONGESTION; empty: the system's default
  Bytes notsent_lowat{0};          // TCP_NOTSENT_LOWAT; 0: the system's default
  std::uint32_t mark{0};           // SO_MARK; 0: none
  // Who makes the sockets of start_connect(), where this process may not set mark and congestion control itself.
  // Empty: make_outer_socket(). @thread any that connects
  std::function<Result<Fd>(Family)> make_socket{};
};

/// Resolves `endpoint`; numeric hosts ask nobody. Waits for the resolver. @error unreachable: the name is unknown
[[nodiscard]] Result<std::vector<SocketAddress>> resolve(const Endpoint& endpoint);

/// A listening socket. @error busy: the port is taken · not_permitted: a port below 1024 without the right
[[nodiscard]] Result<Fd> listen_on(const Endpoint& endpoint, const StreamOptions& options);

/// A socket for start_connect(), with mark and congestion control set: both may need CAP_NET_ADMIN, the second where
/// the system's list (tcp_allowed_congestion_control) lacks it.
/// @error not_permitted · not_found: the kernel lacks the congestion control, and the sentence names those it has
[[nodiscard]] Result<Fd> make_outer_socket(Family family, const StreamOptions& options);

/// A connection on its way: nonblocking, writable once connect_result() may be asked. `segment_bytes_max`: the most that a
/// segment may hold, either way (unit: B; 0: as the system finds it).
[[nodiscard]] Result<Fd> start_connect(const SocketAddress& address, const StreamOptions& options, std::uint32_t segment_bytes_max = 0);

/// How the connect ended. @error unreachable, timed_out, ...: as the system says
[[nodiscard]] Status connect_result(int fd);

/// Whether the other end of an accepted connection has gone again: what it still says, nobody waits for.
[[nodiscard]] bool has_hung_up(int fd);

/// What the connection tells about its path; nothing where it is no TCP connection. @thread any
[[nodiscard]] std::optional<PathSample> sample_path(int fd);
/// Caps the rate at which it sends (unit: B/s; all ones: none). Needs no privilege. @thread any
void cap_pacing(int fd, std::uint64_t rate);

/// Sets TCP_NOTSENT_LOWAT anew (unit: B).
void limit_unsent(int fd, std::size_t bytes);

/// As the kernel says; "unknown" where it is no TCP connection.
[[nodiscard]] std::string congestion_control_of(int fd);
/// Whether this socket runs cubic and this process may send it to reno and back (slow_start.h): the system's list of what
/// everybody may use (tcp_allowed_congestion_control) says so.
[[nodiscard]] bool may_wait_with_reno(int fd);
/// @pre may_wait_with_reno(fd)
void run_control(int fd, SlowStart::Control control);

/// Sets what a lane needs on a connected socket.
/// @error unsupported: the kernel lacks the congestion control; the sentence names those it has
[[nodiscard]] Status tune(int fd, const StreamOptions& options);

}  // namespace lt::tunnel

#include "channel/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/bytes.h"
#include "base/socket_address.h"

namespace lt::channel {

namespace {

constexpr int notsent_bytes = 256 << 10;  // enough to keep a line busy, little enough to change rates at once
constexpr int backlog = 64;
// Pinned, so that it is alike on every machine. The tunnel loses nothing but at the end of the tun device's
// queue, and who sends much bounds what is under way (mirror/flight_limit.h). So the control that never
// hesitates while nothing is lost begins: bbr allows itself two round trips' worth only, and behind a loss on
// the line bytes take three; cubic takes their wavering for a queue and ends its slow start.
constexpr std::string_view congestion_control_before_loss = "reno";
// Where the queue does overflow, reno would take minutes to grow back. Not bbr: its look for the least round trip
// leaves the outer connection dry for a second, each ten seconds, and an outer bbr forgets its rate (docs/adr/0018).
constexpr std::string_view congestion_control_after_loss = "cubic";

bool set_congestion_control(int socket, std::string_view name) {
  return ::setsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, name.data(), static_cast<socklen_t>(name.size())) == 0;
}

Result<Fd> make_socket(Family family) {
  Fd socket(::socket(family == Family::v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) return fail_errno(errno, "cannot make a socket");
  return socket;
}

}  // namespace

Status prepare_socket(int socket, const std::string& device) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &notsent_bytes, sizeof notsent_bytes);
  set_congestion_control(socket, congestion_control_before_loss);  // every kernel has it
  if (device.empty()) return {};
  if (::setsockopt(socket, SOL_SOCKET, SO_BINDTODEVICE, device.data(), static_cast<socklen_t>(device.size())) != 0) {
    return fail_errno(errno, "the tunnel " + device + " is not there");
  }
  return {};
}

void bear_losses(int socket) {
  set_congestion_control(socket, congestion_control_after_loss);
}

Result<Fd> begin_connecting(const IpAddress& own, const IpAddress& peer, std::uint16_t port,
                            const std::string& device) {
  LT_TRY(Fd socket, make_socket(peer.family));
  LT_CHECK(prepare_socket(socket.get(), device));
  const SocketAddress from = SocketAddress::of(own, 0);
  const SocketAddress to = SocketAddress::of(peer, port);
  if (::bind(socket.get(), from.raw(), from.length) != 0) return fail_errno(errno, "the address " + own.text() + " is not there");
  if (::connect(socket.get(), to.raw(), to.length) != 0 && errno != EINPROGRESS) {
    return fail_errno(errno, "cannot reach the agent at " + Endpoint{peer.text(), port}.text());
  }
  return socket;
}

Result<Fd> listen_on(const IpAddress& own, std::uint16_t port) {
  LT_TRY(Fd socket, make_socket(own.family));
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(socket.get(), own.family == Family::v4 ? IPPROTO_IP : IPPROTO_IPV6,
               own.family == Family::v4 ? IP_FREEBIND : IPV6_FREEBIND, &on, sizeof on);
  const SocketAddress at = SocketAddress::of(own, port);
  const std::string name = Endpoint{own.text(), port}.text();
  if (::bind(socket.get(), at.raw(), at.length) != 0) return fail_errno(errno, "cannot bind " + name);
  if (::listen(socket.get(), backlog) != 0) return fail_errno(errno, "cannot listen on " + name);
  return socket;
}

std::optional<IpAddress> peer_of(int socket) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return std::nullopt;
  if (storage.ss_family == AF_INET) {
    sockaddr_in raw{};
    std::memcpy(&raw, &storage, sizeof raw);
    std::array<Byte, 4> bytes{};
    std::memcpy(bytes.data(), &raw.sin_addr, 4);
    return IpAddress::from_v4(bytes);
  }
  if (storage.ss_family != AF_INET6) return std::nullopt;
  sockaddr_in6 raw{};
  std::memcpy(&raw, &storage, sizeof raw);
  std::array<Byte, 16> bytes{};
  std::memcpy(bytes.data(), &raw.sin6_addr, 16);
  return IpAddress::from_v6(bytes);
}

}  // namespace lt::channel

#include "tuner/probe_socket.h"

#include <poll.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>

#include "base/socket_address.h"
#include "base/text.h"
#include "tuner/probe_host.h"

namespace lt::tuner {

namespace {

std::uint16_t local_port(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return 0;
  in_port_t port = 0;  // at the same place in sockaddr_in and sockaddr_in6
  std::memcpy(&port, reinterpret_cast<const char*>(&storage) + offsetof(sockaddr_in, sin_port),
              sizeof port);
  return ntohs(port);
}

Result<Fd> open_socket(const IpAddress& address, int type) {
  Fd fd(::socket(address.family == Family::v4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) return fail_errno(errno, "cannot open a socket");
  return fd;
}

Status bind_to(int fd, const IpAddress& address, std::uint16_t port) {
  const SocketAddress local = SocketAddress::of(address, port);
  if (::bind(fd, local.raw(), local.length) == 0) return {};
  const int reason = errno;
  if (reason == EADDRNOTAVAIL)
    return fail(Errc::not_found, "no interface here has the address " + address.text());
  return fail_errno(reason, "cannot bind " + address.text() + " port " + std::to_string(port));
}

constexpr std::array<Byte, 2> reserved{};

}  // namespace

std::array<Byte, FlowGreeting::bytes> FlowGreeting::encode() const {
  std::array<Byte, bytes> raw{};
  store_be32(raw.data(), magic);
  raw[4] = flow;
  raw[5] = is_up ? 1 : 0;
  store_be64(raw.data() + 8, nonce);
  return raw;
}

std::optional<FlowGreeting> FlowGreeting::decode(ByteView raw) {
  Reader reader(raw);
  const auto read_magic = reader.u32();
  const auto flow = reader.u8();
  const auto is_up = reader.u8();
  const auto blank = reader.array<2>();
  const auto nonce = reader.u64();
  if (!nonce || reader.left() != 0 || *read_magic != magic || *is_up > 1 || *blank != reserved)
    return std::nullopt;
  return FlowGreeting{*nonce, *is_up == 1, *flow};
}

Result<BoundSocket> listen_tcp(const IpAddress& address, std::uint16_t port,
                               const std::string& congestion) {
  return listen_tcp(address, port, [&](int fd) { return set_congestion(fd, congestion); });
}

Result<BoundSocket> listen_tcp(const IpAddress& address, std::uint16_t port,
                               const std::function<Status(int)>& prepare) {
  LT_TRY(Fd fd, open_socket(address, SOCK_STREAM));
  LT_CHECK(prepare(fd.get()));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  LT_CHECK(bind_to(fd.get(), address, port));
  if (::listen(fd.get(), 128) != 0) return fail_errno(errno, "cannot listen on " + address.text());
  LT_CHECK(set_nonblocking(fd.get(), true));
  const std::uint16_t bound = local_port(fd.get());
  return BoundSocket{std::move(fd), bound};
}

Result<BoundSocket> bind_udp(const IpAddress& address, std::uint16_t port) {
  LT_TRY(Fd fd, open_socket(address, SOCK_DGRAM));
  LT_CHECK(bind_to(fd.get(), address, port));
  const std::uint16_t bound = local_port(fd.get());
  return BoundSocket{std::move(fd), bound};
}

Result<Fd> connect_tcp(const IpAddress& address, std::uint16_t port,
                       const std::optional<IpAddress>& source,
                       const std::function<Status(int)>& prepare, Instant deadline) {
  LT_TRY(Fd fd, open_socket(address, SOCK_STREAM));
  LT_CHECK(prepare(fd.get()));
  if (source) LT_CHECK(bind_to(fd.get(), *source, 0));
  LT_CHECK(set_nonblocking(fd.get(), true));
  const SocketAddress remote = SocketAddress::of(address, port);
  const std::string what = "cannot connect to " + address.text() + " port " + std::to_string(port);
  if (::connect(fd.get(), remote.raw(), remote.length) != 0) {
    if (errno != EINPROGRESS) return fail_errno(errno, what);
    if (!wait_for(fd.get(), POLLOUT, deadline)) return fail(Errc::timed_out, what + ": no answer");
    int outcome = 0;
    socklen_t length = sizeof outcome;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &outcome, &length);
    if (outcome != 0) return fail_errno(outcome, what);
  }
  LT_CHECK(set_nonblocking(fd.get(), false));
  return fd;
}

Result<Fd> connect_udp(const IpAddress& address, std::uint16_t port,
                       const std::optional<IpAddress>& source) {
  LT_TRY(Fd fd, open_socket(address, SOCK_DGRAM));
  if (source) LT_CHECK(bind_to(fd.get(), *source, 0));
  const SocketAddress remote = SocketAddress::of(address, port);
  if (::connect(fd.get(), remote.raw(), remote.length) != 0) {
    return fail_errno(errno, "cannot reach " + address.text());
  }
  return fd;
}

Status set_segment_bytes_max(int fd, std::uint32_t bytes) {
  if (bytes == 0 || ::setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &bytes, sizeof bytes) == 0) return {};
  return fail_errno(errno, "cannot send TCP segments of " + std::to_string(bytes) + " bytes");
}

Status set_congestion(int fd, const std::string& name) {
  if (::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(),
                   static_cast<socklen_t>(name.size())) == 0)
    return {};
  const int reason = errno;
  if (reason == EPERM) {
    return fail(
        Errc::not_permitted,
        "the congestion control " + name +
            " is kept for root; run as root, or add it to net.ipv4.tcp_allowed_congestion_control");
  }
  if (reason == ENOENT) {
    return fail(Errc::unsupported, "this kernel has no congestion control " + name +
                                       "; load it (modprobe tcp_" + name +
                                       ") or choose one of: " + join(congestion_controls(), " "));
  }
  return fail_errno(reason, "cannot set the congestion control " + name);
}

Status check_congestion(const std::string& name) {
  if (name.empty()) return {};
  LT_TRY(const Fd fd, open_socket(IpAddress{}, SOCK_STREAM));
  return set_congestion(fd.get(), name);
}

std::string congestion_of(int fd) {
  std::array<char, 16> name{};
  socklen_t length = name.size();
  if (::getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), &length) != 0) return {};
  return std::string(name.data(), ::strnlen(name.data(), name.size()));
}

tcp_info tcp_info_of(int fd) {
  tcp_info info{};
  socklen_t length = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return {};
  return info;
}

bool wait_for(int fd, short events, Instant deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<Milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd polled{fd, events, 0};
    const int ready =
        ::poll(&polled, 1, static_cast<int>(std::max<Milliseconds::rep>(left.count(), 0)));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

Status send_all(int fd, ByteView bytes, Instant deadline) {
  while (!bytes.empty()) {
    if (!wait_for(fd, POLLOUT, deadline))
      return fail(Errc::timed_out, "the data path takes no bytes");
    const auto count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno != EAGAIN && errno != EINTR)
      return fail_errno(errno, "the data path broke");
    if (count > 0) bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Status receive_all(int fd, ByteSpan bytes, Instant deadline) {
  while (!bytes.empty()) {
    if (!wait_for(fd, POLLIN, deadline))
      return fail(Errc::timed_out, "the data path brings no bytes");
    const auto count = ::recv(fd, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (count == 0) return fail(Errc::closed, "the other end closed a data connection");
    if (count < 0 && errno != EAGAIN && errno != EINTR)
      return fail_errno(errno, "the data path broke");
    if (count > 0) bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

void set_patience(int fd, Milliseconds patience) {
  timeval time{};
  time.tv_sec = patience.count() / 1000;
  time.tv_usec = patience.count() % 1000 * 1000;
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

void abort_connection(Fd& fd) {
  if (!fd.is_open()) return;
  const linger at_once{1, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  fd.reset();
}

}  // namespace lt::tuner

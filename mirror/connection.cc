#include "mirror/connection.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "base/assert.h"
#include "base/socket_address.h"

namespace lt::mirror {

namespace {

constexpr std::size_t read_bytes = 1 << 20;
constexpr int notsent_bytes = 256 << 10;  // enough to keep a line busy, little enough to change rates at once
constexpr int backlog = 64;
// Pinned, so that it is alike on every machine. The only loss inside the tunnel is the end of the tun
// device's queue, which a pause of the outer connection fills: bbr goes on, cubic gives up its rate.
constexpr std::array<std::string_view, 2> inner_congestion_controls{"bbr", "cubic"};

Result<Fd> make_socket(Family family) {
  Fd socket(::socket(family == Family::v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) return fail_errno(errno, "cannot make a socket");
  return socket;
}

// Never Errc::closed: that is the end of the other program, and this is the end of a path.
tl::unexpected<Error> lost(int error) {
  return lt::fail(Error{Errc::unreachable, "the connection is lost", error});
}

bool is_later(int error) {
  return error == EAGAIN || error == EINTR;
}

}  // namespace

Connection::Connection(Fd socket, Instant now)
    : socket_(std::move(socket)), in_(2 * (frame_header_bytes + frame_payload_bytes_max) + read_bytes), heard_(now), spoken_(now) {}

Status Connection::fill(Instant now) {
  if (in_at_ > 0) {
    std::memmove(in_.data(), in_.data() + in_at_, in_end_ - in_at_);
    in_end_ -= in_at_;
    in_at_ = 0;
  }
  if (in_end_ == in_.size()) return {};
  const ssize_t count = ::recv(socket_.get(), in_.data() + in_end_, in_.size() - in_end_, 0);
  if (count == 0) return fail(Errc::closed, "the other end has ended");
  if (count < 0) return is_later(errno) ? Status{} : lost(errno);
  in_end_ += static_cast<std::size_t>(count);
  heard_ = now;
  return {};
}

Result<std::optional<Connection::Frame>> Connection::next_frame() {
  const std::size_t left = in_end_ - in_at_;
  if (left < frame_header_bytes) return std::optional<Frame>{};
  const std::span<const Byte, frame_header_bytes> raw(in_.data() + in_at_, frame_header_bytes);
  LT_TRY(const FrameHeader header, parse_frame_header(raw));
  if (left < frame_header_bytes + header.length) return std::optional<Frame>{};
  const ByteView payload(in_.data() + in_at_ + frame_header_bytes, header.length);
  in_at_ += frame_header_bytes + header.length;
  return std::optional<Frame>(Frame{header.type, payload});
}

std::size_t Connection::put_data(SendWindow& window, std::size_t count) {
  const ByteView piece = window.next(std::min(count, frame_payload_bytes_max - 8));
  if (piece.empty()) return 0;
  put_data_header(pending_, window.next_number(), piece.size());
  pending_.append(piece);
  window.sent(piece.size());
  return piece.size();
}

Status Connection::flush(Instant now) {
  for (;;) {
    if (out_at_ == out_.size()) {
      if (pending_.view().empty()) return {};
      out_ = pending_.take();
      pending_ = Writer();
      out_at_ = 0;
    }
    const ssize_t count = ::send(socket_.get(), out_.data() + out_at_, out_.size() - out_at_, MSG_NOSIGNAL);
    if (count < 0) return is_later(errno) ? Status{} : lost(errno);
    out_at_ += static_cast<std::size_t>(count);
    spoken_ = now;
  }
}

Microseconds Connection::least_round_trip() const {
  tcp_info info{};
  socklen_t length = sizeof info;
  const bool is_known = ::getsockopt(socket_.get(), IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
                        length >= offsetof(tcp_info, tcpi_min_rtt) + sizeof info.tcpi_min_rtt;
  return is_known && info.tcpi_min_rtt != ~0U ? Microseconds(info.tcpi_min_rtt) : Microseconds(0);
}

void Connection::abort() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  socket_.reset();
}

Status prepare_socket(int socket, const std::string& device) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &notsent_bytes, sizeof notsent_bytes);
  for (const std::string_view name : inner_congestion_controls) {
    if (::setsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, name.data(), static_cast<socklen_t>(name.size())) == 0) break;
  }
  if (device.empty()) return {};
  if (::setsockopt(socket, SOL_SOCKET, SO_BINDTODEVICE, device.data(), static_cast<socklen_t>(device.size())) != 0) {
    return fail_errno(errno, "the tunnel " + device + " is not there");
  }
  return {};
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

}  // namespace lt::mirror

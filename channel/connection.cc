#include "channel/connection.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "channel/socket.h"

namespace lt::channel {

namespace {

// A packet of the tun device, as segments. Less than that was never lost there: it is probes of the tail that
// were sent since a loss of the outer connection held up the acknowledgement.
constexpr std::uint32_t lost_segments_min = 45;

// A broken pipe is a connection that was closed before it was reset: the other program has ended, and its
// kernel answered what was still said to it. Anything else is the end of a path, and never Errc::closed.
tl::unexpected<Error> lost(int error) {
  if (error == EPIPE) return fail(Errc::closed, "the other end has ended");
  return lt::fail(Error{Errc::unreachable, "the connection is lost", error});
}

bool is_later(int error) {
  return error == EAGAIN || error == EINTR;
}

}  // namespace

Connection::Connection(Fd socket, Instant now, FrameTable table, std::size_t buffer_bytes)
    : socket_(std::move(socket)), table_(table), in_(buffer_bytes), heard_(now), spoken_(now) {}

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
  LT_TRY(const FrameHeader header, parse_frame_header(raw, table_));
  if (left < frame_header_bytes + header.length) return std::optional<Frame>{};
  const ByteView payload(in_.data() + in_at_ + frame_header_bytes, header.length);
  in_at_ += frame_header_bytes + header.length;
  return std::optional<Frame>(Frame{header.type, payload});
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

Microseconds Connection::watch_path() {
  tcp_info info{};
  socklen_t length = sizeof info;
  const bool is_known = ::getsockopt(socket_.get(), IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
                        length >= offsetof(tcp_info, tcpi_min_rtt) + sizeof info.tcpi_min_rtt;
  if (!is_known) return Microseconds(0);
  if (!bears_losses_ && info.tcpi_total_retrans >= lost_segments_min) {
    bear_losses(socket_.get());
    bears_losses_ = true;
  }
  return Microseconds(info.tcpi_min_rtt != ~0U ? info.tcpi_min_rtt : 0);
}

void Connection::abort() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  socket_.reset();
}

}  // namespace lt::channel

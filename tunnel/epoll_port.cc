#include "tunnel/epoll_port.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.h"

namespace lt::tunnel {

namespace {
constexpr std::size_t operations_max = 256;
}

EpollPort::EpollPort(Fd epoll, Fd wake_event) : epoll_(std::move(epoll)), wake_event_(std::move(wake_event)) {
  pending_.reserve(operations_max);
  completions_.reserve(operations_max);
}

Result<EpollPort> EpollPort::create() {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  Fd wake_event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll.is_open() || !wake_event.is_open()) return fail_errno(errno, "cannot make an event queue");
  epoll_event event{.events = EPOLLIN, .data = {.fd = wake_event.get()}};
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake_event.get(), &event) != 0) {
    return fail_errno(errno, "cannot watch an event");
  }
  return EpollPort(std::move(epoll), std::move(wake_event));
}

Status EpollPort::adopt(int fd) {
  LT_CHECK(set_nonblocking(fd, true));
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.fd = fd}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return fail_errno(errno, "cannot watch a descriptor");
  const auto place = static_cast<std::size_t>(fd);
  if (known_.size() <= place) known_.resize(place + 1);
  known_[place] = {.fd = fd};
  return {};
}

EpollPort::Readiness& EpollPort::readiness(int fd) {
  Readiness& found = known_.at(static_cast<std::size_t>(fd));
  LT_ASSERT(found.fd == fd);
  return found;
}

void EpollPort::read(std::uint64_t tag, int fd, std::span<iovec> vectors, ReadMode mode) {
  pending_.push_back({mode == ReadMode::now ? Kind::read_now : Kind::read, fd, tag, vectors, {}, 0});
}

void EpollPort::write(std::uint64_t tag, int fd, std::span<iovec> vectors) {
  pending_.push_back({Kind::write, fd, tag, vectors, {}, 0});
}

void EpollPort::receive(std::uint64_t tag, int fd, ByteSpan into) {
  pending_.push_back({Kind::receive, fd, tag, {}, {into.data(), into.size()}, 0});
}

void EpollPort::send(std::uint64_t tag, int fd, std::span<iovec> vectors) {
  pending_.push_back({Kind::send, fd, tag, vectors, {}, 0});
}

void EpollPort::cancel_reads(int fd) {
  for (Operation& operation : pending_) {
    if (operation.fd == fd && (operation.kind == Kind::read || operation.kind == Kind::read_now)) {
      operation.kind = Kind::cancelled;
    }
  }
}

namespace {

// Drops the first `count` bytes of `vectors`: they are sent.
void consume(std::span<iovec>& vectors, std::size_t count) {
  while (count > 0) {
    iovec& front = vectors.front();
    const std::size_t taken = std::min(count, front.iov_len);
    front.iov_base = static_cast<Byte*>(front.iov_base) + taken;
    front.iov_len -= taken;
    count -= taken;
    if (front.iov_len == 0) vectors = vectors.subspan(1);
  }
}

ssize_t attempt_send(int fd, std::span<iovec> vectors) {
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = vectors.size();
  return ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace

// Whether the operation has completed; otherwise the kernel would have it wait.
bool EpollPort::try_one(Operation& operation) {
  if (operation.kind == Kind::cancelled) {
    completions_.push_back({operation.tag, -ECANCELED});
    return true;
  }
  Readiness& ready = readiness(operation.fd);
  const bool is_input = operation.kind == Kind::read || operation.kind == Kind::read_now || operation.kind == Kind::receive;
  bool& blocked = is_input ? ready.blocked_in : ready.blocked_out;
  for (;;) {
    if (blocked && operation.kind != Kind::read_now) return false;
    ssize_t count = -1;
    errno = EAGAIN;
    if (!blocked) {
      switch (operation.kind) {
        case Kind::read:
        case Kind::read_now:
          count = ::readv(operation.fd, operation.vectors.data(), static_cast<int>(operation.vectors.size()));
          break;
        case Kind::write:
          count = ::writev(operation.fd, operation.vectors.data(), static_cast<int>(operation.vectors.size()));
          break;
        case Kind::receive:
          count = ::recv(operation.fd, operation.single.iov_base, operation.single.iov_len, MSG_DONTWAIT);
          break;
        case Kind::send: count = attempt_send(operation.fd, operation.vectors); break;
        case Kind::cancelled: break;  // answered above
      }
    }
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) {
      blocked = true;
      if (operation.kind != Kind::read_now) return false;
    }
    if (count > 0 && operation.kind == Kind::send) {
      operation.sent += static_cast<std::size_t>(count);
      consume(operation.vectors, static_cast<std::size_t>(count));
      if (!operation.vectors.empty()) continue;
      count = static_cast<ssize_t>(operation.sent);
    }
    completions_.push_back({operation.tag, count < 0 ? -errno : static_cast<int>(count)});
    return true;
  }
}

// Whether a read that must not wait would be refused on the word of an earlier refusal: packets may have come since.
bool EpollPort::holds_stale_reads() {
  return std::any_of(pending_.begin(), pending_.end(), [this](const Operation& operation) {
    return operation.kind == Kind::read_now && readiness(operation.fd).blocked_in;
  });
}

void EpollPort::try_all() {
  const auto done = std::remove_if(pending_.begin(), pending_.end(), [this](Operation& o) { return try_one(o); });
  pending_.erase(done, pending_.end());
}

Status EpollPort::await_edges(Instant until) {
  std::array<epoll_event, 8> events{};
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
  const int timeout = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout);
  if (count < 0 && errno != EINTR) return fail_errno(errno, "cannot wait for events");
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.fd == wake_event_.get()) {
      std::uint64_t drained = 0;
      [[maybe_unused]] const auto bytes = ::read(wake_event_.get(), &drained, sizeof drained);
      continue;
    }
    Readiness& ready = readiness(event.data.fd);
    if ((event.events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) ready.blocked_in = false;
    if ((event.events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) ready.blocked_out = false;
  }
  return {};
}

Result<std::span<const Completion>> EpollPort::wait(Instant until) {
  completions_.clear();
  if (holds_stale_reads()) LT_CHECK(await_edges(std::chrono::steady_clock::now()));
  try_all();
  if (completions_.empty()) {
    LT_CHECK(await_edges(until));
    try_all();
  }
  return std::span<const Completion>(completions_);
}

void EpollPort::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_event_.get(), &one, sizeof one);
}

}  // namespace lt::tunnel

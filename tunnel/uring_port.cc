#include "tunnel/uring_port.h"

#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <thread>
#include <vector>

#include "base/assert.h"
#include "base/fd.h"
#include "base/sanitizers.h"

#if LT_HAS_THREAD_SANITIZER
extern "C" void __tsan_acquire(void* address);  // of the sanitizer's own library
extern "C" void __tsan_release(void* address);
#endif

namespace lt::tunnel {

namespace {

constexpr unsigned entries = 256;  // more than a round ever queues: 64 deliveries, or 32 reads and a send; 64 cancels at the end; the wake-up
constexpr std::uint64_t wake_tag = ~std::uint64_t{0};
constexpr std::uint64_t cancel_tag = wake_tag - 1;

__kernel_timespec until_timespec(Instant until) {
  const auto left = std::max<std::chrono::nanoseconds>(std::chrono::nanoseconds(0), until - std::chrono::steady_clock::now());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  return {.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
}

// liburing maps and unmaps a ring by system calls that the thread sanitizer does not see: the next ring at the same address,
// of another thread, looks like a race with the last one. The kernel orders the two; these say so. Nothing else is forgiven.
#if LT_HAS_THREAD_SANITIZER
char order_of_rings;
void after_map() { __tsan_acquire(&order_of_rings); }
void before_unmap() { __tsan_release(&order_of_rings); }
#else
void after_map() {}
void before_unmap() {}
#endif

Status init_ring(io_uring& ring) {
  // One thread submits and reaps, and completions are worked off only when it asks: no interrupts of its own work.
  // Older kernels refuse the flags; the ring works without them.
  for (const unsigned flags : {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, 0U}) {
    io_uring_params parameters{};
    parameters.flags = flags;
    const int result = ::io_uring_queue_init_params(entries, &ring, &parameters);
    if (result == 0) {
      after_map();
      return {};
    }
    if (flags == 0) return fail_errno(-result, "io_uring is not to be had");
  }
  return {};
}

}  // namespace

struct UringPort::State {
  io_uring ring{};
  Fd wake_event;
  std::uint64_t wake_count{0};
  msghdr message{};  // of the one send under way
  std::vector<Completion> completions;
  bool is_ring_open{false};

  ~State() {
    if (!is_ring_open) return;
    // The exit alone is carried out later, by the kernel on its own time: until then a packet could still be written
    // into memory that its owner has given back.
    io_uring_sync_cancel_reg all{};
    all.flags = IORING_ASYNC_CANCEL_ANY;
    all.timeout = {.tv_sec = 1, .tv_nsec = 0};
    ::io_uring_register_sync_cancel(&ring, &all);
    before_unmap();
    ::io_uring_queue_exit(&ring);
  }

  io_uring_sqe& next(std::uint64_t tag) {
    io_uring_sqe* entry = ::io_uring_get_sqe(&ring);
    LT_ASSERT(entry != nullptr);  // `entries` bounds what a round queues
    entry->user_data = tag;
    return *entry;
  }

  void watch_wake_event() {
    io_uring_sqe& entry = next(wake_tag);
    ::io_uring_prep_read(&entry, wake_event.get(), &wake_count, sizeof wake_count, 0);
    entry.user_data = wake_tag;
  }
};

UringPort::UringPort(std::unique_ptr<State> state) : state_(std::move(state)) {}
UringPort::UringPort(UringPort&&) noexcept = default;
UringPort::~UringPort() = default;

Result<UringPort> UringPort::create() {
  auto state = std::make_unique<State>();
  LT_CHECK(init_ring(state->ring));
  state->is_ring_open = true;
  state->wake_event = Fd(::eventfd(0, EFD_CLOEXEC));
  if (!state->wake_event.is_open()) return fail_errno(errno, "cannot make an event");
  state->completions.reserve(2 * entries);
  state->watch_wake_event();
  return UringPort(std::move(state));
}

Status UringPort::probe(int tun_fd) {
  // In a thread that ends: the kernel takes a ring down on its own time and then interrupts whoever made it, so that
  // blocking calls with a time limit fail with EINTR.
  Status made;
  std::thread([&made] {
    if (const auto port = create(); !port) made = fail(port.error());
  }).join();
  LT_CHECK(made);
  std::array<Byte, 64> scratch{};
  std::array<iovec, 1> vectors{iovec{scratch.data(), scratch.size()}};
  // Without IOCB_NOWAIT the kernel hands each tun read to a worker thread: slower than epoll.
  if (::preadv2(tun_fd, vectors.data(), 1, -1, RWF_NOWAIT) < 0 && errno == EOPNOTSUPP) {
    return fail(Errc::unsupported, "this kernel's tun cannot be read by io_uring without a worker thread");
  }
  return {};
}

Status UringPort::adopt(int fd) { return set_nonblocking(fd, false); }  // io_uring waits in our place

void UringPort::read(std::uint64_t tag, int fd, std::span<iovec> vectors, ReadMode mode) {
  io_uring_sqe& entry = state_->next(tag);
  ::io_uring_prep_readv(&entry, fd, vectors.data(), static_cast<unsigned>(vectors.size()), 0);
  entry.rw_flags = mode == ReadMode::now ? RWF_NOWAIT : 0;
  entry.user_data = tag;
}

void UringPort::write(std::uint64_t tag, int fd, std::span<iovec> vectors) {
  io_uring_sqe& entry = state_->next(tag);
  ::io_uring_prep_writev(&entry, fd, vectors.data(), static_cast<unsigned>(vectors.size()), 0);
  entry.user_data = tag;
}

void UringPort::receive(std::uint64_t tag, int fd, ByteSpan into) {
  io_uring_sqe& entry = state_->next(tag);
  ::io_uring_prep_recv(&entry, fd, into.data(), into.size(), 0);
  entry.user_data = tag;
}

void UringPort::send(std::uint64_t tag, int fd, std::span<iovec> vectors) {
  state_->message = {};
  state_->message.msg_iov = vectors.data();
  state_->message.msg_iovlen = vectors.size();
  io_uring_sqe& entry = state_->next(tag);
  ::io_uring_prep_sendmsg(&entry, fd, &state_->message, MSG_NOSIGNAL | MSG_WAITALL);
  entry.user_data = tag;
}

void UringPort::cancel_reads(int fd) {
  io_uring_sqe& entry = state_->next(cancel_tag);
  ::io_uring_prep_cancel_fd(&entry, fd, IORING_ASYNC_CANCEL_ALL);
  entry.user_data = cancel_tag;
}

Result<std::span<const Completion>> UringPort::wait(Instant until) {
  io_uring& ring = state_->ring;
  state_->completions.clear();
  __kernel_timespec timeout = until_timespec(until);
  io_uring_cqe* first = nullptr;
  const int result = ::io_uring_submit_and_wait_timeout(&ring, &first, 1, &timeout, nullptr);
  if (result < 0 && result != -ETIME && result != -EINTR && result != -EAGAIN) {
    return fail_errno(-result, "io_uring failed");
  }
  unsigned head = 0;
  unsigned reaped = 0;
  bool woken = false;
  io_uring_cqe* entry = nullptr;
  io_uring_for_each_cqe(&ring, head, entry) {
    ++reaped;
    if (entry->user_data == wake_tag) {
      woken = true;
    } else if (entry->user_data != cancel_tag) {
      state_->completions.push_back({entry->user_data, entry->res});
    }
  }
  ::io_uring_cq_advance(&ring, reaped);
  if (woken) state_->watch_wake_event();
  return std::span<const Completion>(state_->completions);
}

void UringPort::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(state_->wake_event.get(), &one, sizeof one);
}

}  // namespace lt::tunnel

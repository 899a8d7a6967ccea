#include "tunnel/lane.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <latch>
#include <mutex>
#include <thread>

#include "tunnel/epoll_port.h"
#include "tunnel/inbound.h"
#include "tunnel/outbound.h"
#include "tunnel/uring_port.h"

namespace lt::tunnel {

// A port belongs to the thread that made it; the others only wake it, through these.
struct Lane::Threads {
  std::mutex mutex;  // guards the two functions: each is there while its port is
  std::function<void()> wake_outbound;
  std::function<void()> wake_inbound;
  std::latch ports_made{2};
  std::thread outbound;
  std::thread inbound;

  void wake(std::function<void()> Threads::*which) {
    const std::lock_guard lock(mutex);
    if (this->*which) (this->*which)();
  }
  void publish(std::function<void()> Threads::*which, std::function<void()> wake_port) {
    const std::lock_guard lock(mutex);
    this->*which = std::move(wake_port);
  }
};

Lane::Lane(Fd socket, Admission admission, LaneOptions options)
    : socket_(std::move(socket)),
      admission_(std::move(admission)),
      options_(std::move(options)),
      threads_(std::make_unique<Threads>()) {}

Result<std::unique_ptr<Lane>> Lane::start(Fd socket, Established established, Admission admission,
                                          LaneOptions options) {
  const Instant now = std::chrono::steady_clock::now();
  LT_TRY(auto sealer, Sealer::create(std::move(established.outbound), options.ratchet, now));
  LT_TRY(auto opener, Opener::create(std::move(established.inbound), options.ratchet));
  std::unique_ptr<Lane> lane(new Lane(std::move(socket), std::move(admission), std::move(options)));
  lane->tun_mtu_ = established.tun_mtu;
  lane->record_limit_ = established.record_limit;
  lane->state_.times = lane->options_.times;
  lane->state_.last_authenticated.set(now);

  const auto launch = [&]<class Io>(std::type_identity<Io>) {
    Lane* const self = lane.get();
    self->threads_->inbound =
        std::thread([self, opener = std::move(opener), early = std::move(established.early_records)]() mutable {
          self->run_inbound<Io>(std::move(opener), std::move(early));
        });
    self->threads_->outbound = std::thread(
        [self, sealer = std::move(sealer)]() mutable { self->run_outbound<Io>(std::move(sealer)); });
  };
  if (lane->options_.io == IoBackend::io_uring) {
    launch(std::type_identity<UringPort>());
  } else {
    launch(std::type_identity<EpollPort>());
  }
  return lane;
}

Lane::~Lane() {
  stop(GoodbyeReason::shutdown);
  wait();
}

void Lane::wait() {
  if (threads_->outbound.joinable()) threads_->outbound.join();
}

void Lane::stop(GoodbyeReason reason) {
  if (!state_.stop_requested.load(std::memory_order_acquire)) {
    state_.stop_reason.store(static_cast<std::uint8_t>(reason), std::memory_order_relaxed);
    state_.stop_at.set(std::chrono::steady_clock::now());
    state_.stop_requested.store(true, std::memory_order_release);
  }
  threads_->wake(&Threads::wake_outbound);
}

namespace {

template <class Io>
Result<Io> make_port(int tun_fd, int socket_fd) {
  LT_TRY(Io io, Io::create());
  LT_CHECK(io.adopt(tun_fd));
  LT_CHECK(io.adopt(socket_fd));
  return io;
}

}  // namespace

template <class Io>
void Lane::run_inbound(Opener opener, std::vector<Byte> early_records) {
  std::unique_ptr<Inbound<Io>> inbound;  // outlives its port, which may hold operations on its memory
  auto io = make_port<Io>(options_.tun_fd, socket_.get());
  if (io) threads_->publish(&Threads::wake_inbound, [port = &*io] { port->wake(); });
  threads_->ports_made.arrive_and_wait();
  if (!io) {
    inbound_end_ = LaneEnd::failed;
    inbound_reason_ = io.error().text();
  } else {
    inbound = std::make_unique<Inbound<Io>>(
        InboundOptions{.tun_fd = options_.tun_fd,
                       .tun_offload = options_.tun_offload,
                       .socket_fd = socket_.get(),
                       .admission = &admission_,
                       .record_limit = record_limit_,
                       .tun_mtu = tun_mtu_},
        std::move(opener), state_, inbound_drops_, *io, [this] { threads_->wake(&Threads::wake_outbound); });
    inbound_end_ = inbound->run(early_records);
    inbound_reason_ = inbound->reason();
  }
  threads_->publish(&Threads::wake_inbound, nullptr);
  stop(inbound_end_ == LaneEnd::bad_record ? GoodbyeReason::protocol_error : GoodbyeReason::shutdown);
}

// The outbound thread also concludes the lane: it is the last to run.
template <class Io>
void Lane::run_outbound(Sealer sealer) {
  LaneEnd end = LaneEnd::failed;
  {
    std::unique_ptr<Outbound<Io>> outbound;  // outlives its port, which may hold operations on its memory
    auto io = make_port<Io>(options_.tun_fd, socket_.get());
    if (io) threads_->publish(&Threads::wake_outbound, [port = &*io] { port->wake(); });
    threads_->ports_made.arrive_and_wait();
    if (io) {
      outbound = std::make_unique<Outbound<Io>>(
          OutboundOptions{.tun_fd = options_.tun_fd,
                          .socket_fd = socket_.get(),
                          .admission = &admission_,
                          .record_bytes_max = std::min<std::size_t>(options_.record_bytes_max, record_limit_),
                          .tun_mtu = tun_mtu_},
          std::move(sealer), state_, outbound_drops_, *io);
      end = outbound->run();
    }
    threads_->publish(&Threads::wake_outbound, nullptr);
  }
  conclude(end);
}

void Lane::conclude(LaneEnd outbound_end) {
  state_.stop_requested.store(true, std::memory_order_release);
  threads_->wake(&Threads::wake_inbound);
  threads_->inbound.join();
  if (outbound_end == LaneEnd::local_stop) linger();

  // The side that found the cause names it; the other one was only told to stop.
  const bool inbound_knows = inbound_end_ != LaneEnd::local_stop && inbound_end_ != LaneEnd::running;
  report_.end = inbound_knows ? inbound_end_ : outbound_end;
  report_.reason = inbound_reason_.empty() ? name_of(report_.end) : inbound_reason_;
  if (report_.end == LaneEnd::dead) report_.reason = "no authenticated record for too long: the path is dead";
  has_ended_.store(true, std::memory_order_release);
  if (options_.on_end) options_.on_end();
}

// After GOODBYE: end our half, read the other half to its end. Closing earlier would reset the connection and
// take the GOODBYE with it.
void Lane::linger() const {
  ::shutdown(socket_.get(), SHUT_WR);  // P-47
  const Instant until = state_.stop_at.get() + state_.times.patience;  // one patience for GOODBYE and the end of file
  std::array<Byte, 65536> scratch;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd polled{socket_.get(), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&polled, 1, static_cast<int>(left.count())) <= 0) return;
    if (::recv(socket_.get(), scratch.data(), scratch.size(), MSG_DONTWAIT) <= 0) return;
  }
}

}  // namespace lt::tunnel

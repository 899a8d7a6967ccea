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
  std::mutex turn_mutex;  // guards the three below; taken before `mutex` of the successor
  Lane* successor{nullptr};
  bool has_sent_last{false};
  bool has_delivered_last{false};
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
  lane->state_.has_sending_turn.store(!lane->options_.waits_for_turn, std::memory_order_relaxed);
  lane->state_.has_delivery_turn.store(!lane->options_.waits_for_turn, std::memory_order_relaxed);

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

void Lane::stop(GoodbyeReason reason) { request_stop(reason, true); }

void Lane::request_stop(GoodbyeReason reason, bool by_owner) {
  if (!state_.stop_requested.load(std::memory_order_acquire)) {
    state_.stop_reason.store(static_cast<std::uint8_t>(reason), std::memory_order_relaxed);
    state_.stop_at.set(std::chrono::steady_clock::now());
    if (by_owner) is_stopped_by_owner_.store(true, std::memory_order_relaxed);
    state_.stop_requested.store(true, std::memory_order_release);
  }
  threads_->wake(&Threads::wake_outbound);
}

void Lane::abort() {
  state_.abort_requested.store(true, std::memory_order_release);
  stop(GoodbyeReason::shutdown);
  threads_->wake(&Threads::wake_inbound);
}

// --- handing over ---

// P-71
void Lane::hand_over_to(Lane& successor, std::optional<GoodbyeReason> reason) {
  {
    const std::lock_guard lock(threads_->turn_mutex);
    threads_->successor = &successor;
    if (threads_->has_sent_last) successor.take_turn(Turn::sending);
    if (threads_->has_delivered_last) successor.take_turn(Turn::delivery);
  }
  if (reason) {
    stop(*reason);
  } else {
    abort();
  }
}

void Lane::forget_successor(const Lane& successor) {
  const std::lock_guard lock(threads_->turn_mutex);
  if (threads_->successor == &successor) threads_->successor = nullptr;
}

void Lane::take_turn(Turn turn) {
  if (turn == Turn::sending) {
    state_.has_sending_turn.store(true, std::memory_order_release);
    threads_->wake(&Threads::wake_outbound);
  } else {
    state_.has_delivery_turn.store(true, std::memory_order_release);
    threads_->wake(&Threads::wake_inbound);
  }
}

void Lane::finish_turn(Turn turn) {
  const std::lock_guard lock(threads_->turn_mutex);
  (turn == Turn::sending ? threads_->has_sent_last : threads_->has_delivered_last) = true;
  if (threads_->successor != nullptr) threads_->successor->take_turn(turn);
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
  finish_turn(Turn::delivery);
  request_stop(inbound_end_ == LaneEnd::bad_record ? GoodbyeReason::protocol_error : GoodbyeReason::shutdown, false);
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
                          .tun_mtu = tun_mtu_,
                          .queue_target = options_.queue_target},
          std::move(sealer), state_, outbound_drops_, *io);
      end = outbound->run();
    }
    threads_->publish(&Threads::wake_outbound, nullptr);
  }
  conclude(end);
}

void Lane::conclude(LaneEnd outbound_end) {
  if (state_.has_said_goodbye.load(std::memory_order_acquire)) {
    ::shutdown(socket_.get(), SHUT_WR);  // P-47: closing at once would reset the connection and take the GOODBYE with it
  } else {
    state_.abort_requested.store(true, std::memory_order_release);
  }
  finish_turn(Turn::sending);
  threads_->wake(&Threads::wake_inbound);
  threads_->inbound.join();

  report_.end = cause_of_end(outbound_end);
  report_.reason = inbound_reason_.empty() || report_.end != inbound_end_ ? name_of(report_.end) : inbound_reason_;
  if (report_.end == LaneEnd::dead) report_.reason = "no authenticated record for too long: the path is dead";
  if (is_moved()) report_ = {LaneEnd::moved, "its traffic goes on over a fresh connection"};
  has_ended_.store(true, std::memory_order_release);
  if (options_.on_end) options_.on_end();
}

// The side that found the cause names it; the other one was only told to stop.
LaneEnd Lane::cause_of_end(LaneEnd outbound_end) const {
  const bool is_answer = inbound_end_ == LaneEnd::peer_goodbye || inbound_end_ == LaneEnd::closed;
  const bool was_only_told = inbound_end_ == LaneEnd::local_stop ||
                             (is_answer && outbound_end == LaneEnd::local_stop && is_stopped_by_owner_.load());
  return was_only_told ? outbound_end : inbound_end_;
}

bool Lane::is_moved() const {
  constexpr auto moved = static_cast<std::uint8_t>(GoodbyeReason::moved);
  return (report_.end == LaneEnd::local_stop && state_.stop_reason.load(std::memory_order_relaxed) == moved) ||
         (report_.end == LaneEnd::peer_goodbye && state_.peer_reason.load(std::memory_order_relaxed) == moved);
}

}  // namespace lt::tunnel

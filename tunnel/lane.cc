#include "tunnel/lane.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tunnel/epoll_port.h"
#include "tunnel/inbound.h"
#include "tunnel/outbound.h"
#include "tunnel/uring_port.h"

namespace lt::tunnel {

Lane::Lane(Fd socket, Admission admission, LaneOptions options, Instant now)
    : socket_(std::move(socket)),
      admission_(std::move(admission)),
      options_(std::move(options)),
      life_(options_.times, options_.waits_for_turn, now) {}

Result<std::unique_ptr<Lane>> Lane::start(Fd socket, Established established, Admission admission,
                                          LaneOptions options) {
  const Instant now = std::chrono::steady_clock::now();
  LT_TRY(auto sealer, Sealer::create(std::move(established.outbound), options.ratchet, now, options.aead));
  LT_TRY(auto opener, Opener::create(std::move(established.inbound), options.ratchet, options.aead));
  std::unique_ptr<Lane> lane(new Lane(std::move(socket), std::move(admission), std::move(options), now));
  lane->tun_mtu_ = established.tun_mtu;
  lane->record_limit_ = established.record_limit;

  const auto launch = [&]<class Io>(std::type_identity<Io>) {
    Lane* const self = lane.get();
    self->inbound_ =
        std::thread([self, opener = std::move(opener), early = std::move(established.early_records)]() mutable {
          self->run_inbound<Io>(std::move(opener), std::move(early));
        });
    self->outbound_ = std::thread(
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
  if (outbound_.joinable()) outbound_.join();
}

void Lane::stop(GoodbyeReason reason) { life_.stop(reason, std::chrono::steady_clock::now()); }

void Lane::abort() { life_.abort(std::chrono::steady_clock::now()); }

void Lane::hand_over_to(Lane& successor, std::optional<GoodbyeReason> reason) {
  life_.hand_over_to(successor.life_, reason, std::chrono::steady_clock::now());
}

void Lane::forget_successor(const Lane& successor) { life_.forget_successor(successor.life_); }

namespace {

template <class Io>
Result<Io> make_port(std::span<const int> tun_queues, int socket_fd) {
  LT_TRY(Io io, Io::create());
  for (const int queue : tun_queues) LT_CHECK(io.adopt(queue));
  LT_CHECK(io.adopt(socket_fd));
  return io;
}

}  // namespace

template <class Io>
void Lane::run_inbound(Opener opener, std::vector<Byte> early_records) {
  std::unique_ptr<Inbound<Io>> inbound;  // outlives its port, which may hold operations on its memory
  const int written = options_.tun_queues.front();
  auto io = make_port<Io>(std::span(&written, 1), socket_.get());
  if (io) life_.publish(LaneLife::Half::inbound, [port = &*io] { port->wake(); });
  ports_made_.arrive_and_wait();
  if (!io) return life_.on_inbound_end(LaneEnd::failed, io.error().text(), std::chrono::steady_clock::now());
  inbound = std::make_unique<Inbound<Io>>(
      InboundOptions{.tun_fd = written,
                     .tun_offload = options_.tun_offload,
                     .socket_fd = socket_.get(),
                     .admission = &admission_,
                     .record_limit = record_limit_,
                     .tun_mtu = tun_mtu_},
      std::move(opener), life_.state(), inbound_drops_, *io, [this] { life_.wake(LaneLife::Half::outbound); });
  const LaneEnd end = inbound->run(early_records);
  life_.on_inbound_end(end, inbound->reason(), std::chrono::steady_clock::now());
}

// The outbound thread also concludes the lane: it is the last to run.
template <class Io>
void Lane::run_outbound(Sealer sealer) {
  LaneEnd end = LaneEnd::failed;
  {
    std::unique_ptr<Outbound<Io>> outbound;  // outlives its port, which may hold operations on its memory
    auto io = make_port<Io>(options_.tun_queues, socket_.get());
    if (io) life_.publish(LaneLife::Half::outbound, [port = &*io] { port->wake(); });
    ports_made_.arrive_and_wait();
    if (io) {
      outbound = std::make_unique<Outbound<Io>>(
          OutboundOptions{.tun_queues = options_.tun_queues,
                          .socket_fd = socket_.get(),
                          .admission = &admission_,
                          .record_bytes_max = std::min<std::size_t>(options_.record_bytes_max, record_limit_),
                          .tun_mtu = tun_mtu_,
                          .queue_target = options_.queue_target,
                          .waits_with_reno = options_.waits_with_reno,
                          .thins_acks = options_.thins_acks,
                          .unsent_most = options_.unsent_most},
          std::move(sealer), life_.state(), outbound_drops_, *io);
      end = outbound->run();
    }
    life_.publish(LaneLife::Half::outbound, nullptr);
  }
  conclude(end);
}

void Lane::conclude(LaneEnd outbound_end) {
  // P-47: closing at once would reset the connection and take the GOODBYE with it
  if (life_.state().has_said_goodbye.load(std::memory_order_acquire)) ::shutdown(socket_.get(), SHUT_WR);
  life_.on_outbound_end();
  inbound_.join();
  report_ = life_.report(outbound_end);
  has_ended_.store(true, std::memory_order_release);
  if (options_.on_end) options_.on_end();
}

}  // namespace lt::tunnel

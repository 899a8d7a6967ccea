#include "tests/sim/daemon.h"

#include "base/assert.h"
#include "crypto/random.h"

namespace lt::sim {

using namespace tunnel;

namespace {

// What the machine and its shell may hold at a time. A connect lives 3 s and a new one comes each 0.2 s, for each lane.
constexpr std::size_t greetings_max = half_open_max + 16 * 20;
constexpr std::size_t lanes_a_queue_max = 16;
constexpr unsigned idle_turns_max = 50;  // of the link at one moment

}  // namespace

struct Daemon::Lane {
  struct Both : Watcher {
    Thread* first{nullptr};
    Thread* second{nullptr};
    void on_socket() override {
      first->ready();
      second->ready();
    }
  };

  Lane(tunnel::ConnectionId machine_id, Network::Id connection, std::size_t tun_queue, Admission rules, LaneTimes times,
       bool waits, Instant now)
      : id(machine_id), socket(connection), queue(tun_queue), admission(std::move(rules)), life(times, waits, now) {}

  tunnel::ConnectionId id;
  Network::Id socket;
  std::size_t queue;
  Admission admission;
  LaneLife life;
  DropCounters outbound_drops;
  DropCounters inbound_drops;
  Thread* outbound_thread{nullptr};
  Thread* inbound_thread{nullptr};
  std::unique_ptr<Outbound<SimPort>> outbound;  // they outlive their ports
  std::unique_ptr<Inbound<SimPort>> inbound;
  std::unique_ptr<SimPort> outbound_port;
  std::unique_ptr<SimPort> inbound_port;
  Both both;
  bool is_inbound_over{false};
  bool has_ended{false};
  LaneReport report;
};

Daemon::Daemon(const DaemonOptions& options, Schedule& schedule, Network& network, TunSide& tun, Pace& pace,
               std::deque<Thread>& threads, Onlooker& onlooker)
    : options_(options), schedule_(schedule), network_(network), tun_(tun), pace_(pace), threads_(threads), onlooker_(onlooker) {
  const auto prefix = [](const char* text) { return *Prefix::parse(text); };
  const bool is_client = options_.side == 0;
  admission_.local_prefixes = {prefix(is_client ? "10.1.0.0/16" : "10.2.0.0/16")};
  admission_.peer_prefixes = {prefix(is_client ? "10.2.0.0/16" : "10.1.0.0/16")};
  MachineOptions machine;
  machine.role = is_client ? crypto::Role::client : crypto::Role::server;
  machine.tls = options_.tls;
  machine.own_key = options_.own_key;
  machine.peer_key = options_.peer_key;
  crypto::fill_random(machine.offer.boot_id);
  machine.offer.record_limit = options_.record_limit;
  machine.offer.tun_mtu = options_.tun_mtu;
  machine.offer.lane_count = options_.lanes;
  machine.offer.express = options_.express;
  machine.times = options_.times;
  machine.door = options_.door;
  machine_ = std::make_unique<LinkMachine>(machine);
  if (!is_client) network_.listen(this);
  link_ = &threads_.emplace_back(pace_, [this] { run(); });
  link_->ready();
}

// The kernel closes its sockets. A listening one is closed, too.
Daemon::~Daemon() {
  if (options_.side == 1) network_.stop_listening();
  link_->kill();
  for (Lane& lane : lanes_) {
    lane.outbound_thread->kill();
    lane.inbound_thread->kill();
    onlooker_.on_lane_over(options_.side, lane.socket, deeds_of(lane));
    network_.close(lane.socket, options_.side);
  }
  for (Connection& connection : connections_) {
    if (!connection.is_over) network_.close(connection.socket, options_.side);
  }
}

void Daemon::stop() {
  is_stopping_ = true;
  link_->ready();
}

void Daemon::pause() { pace_.is_stopped = true; }

void Daemon::go_on() {
  pace_.is_stopped = false;
  link_->go_on();
  for (Lane& lane : lanes_) {
    lane.outbound_thread->go_on();
    lane.inbound_thread->go_on();
  }
}

// --- the link's thread: Link::run() ---

void Daemon::run() {
  while (!is_stopping_) {
    turn();
    if (is_stopping_) break;
    const Instant moment = now();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(machine_->next_deadline(moment) - moment);
    const Instant until = moment + std::clamp<std::chrono::nanoseconds>(left, std::chrono::nanoseconds(0), std::chrono::seconds(60));
    if (until <= moment) {
      idle_turns_ = moment == idle_turn_at_ ? idle_turns_ + 1 : 0;
      idle_turn_at_ = moment;
      if (idle_turns_ <= idle_turns_max) continue;
      ++pace_.spins;
      return onlooker_.fail("the link spins: its next deadline is never later than now");
    }
    link_->wait(until);
  }
  if (options_.side == 1) network_.stop_listening();
  machine_->shut_down();
  carry_out();
  for (Lane& lane : lanes_) lane.life.stop(GoodbyeReason::shutdown, now());
  for (Connection& connection : connections_) {
    if (!connection.is_over) network_.close(connection.socket, options_.side);
    connection.is_over = true;
  }
  while (!lanes_.empty()) {
    bury_ended_lanes();
    if (!lanes_.empty()) link_->wait(now() + std::chrono::seconds(1));
  }
  has_ended_ = true;
}

void Daemon::turn() {
  ++turns_;
  if (options_.side == 1) accept_all();
  for (Connection& connection : connections_) {
    if (!connection.is_over) serve(connection);
  }
  carry_out();
  bury_ended_lanes();
  connections_.remove_if([](const Connection& connection) { return connection.is_over; });
  hear_lanes();
  machine_->on_tick(now());
  carry_out();
  check_bounds();
  std::vector<bool> read = queues_read();
  if (read != queues_read_) {
    queues_read_ = std::move(read);
    onlooker_.on_lanes(options_.side);
  }
}

void Daemon::accept_all() {
  for (Network::Id socket = network_.accept(); socket != 0; socket = network_.accept()) {
    if (network_.has_hung_up(socket, 1)) {
      network_.close(socket, 1);
      continue;
    }
    const IpAddress address = network_.client_address(socket);
    const auto id = machine_->on_accept(address, address.text(), now());
    if (id) {
      connections_.push_back({.id = *id, .socket = socket, .unsent = {}, .becomes = {}});
      network_.watch(socket, options_.side, this);
    } else {
      network_.close(socket, options_.side);
    }
    carry_out();
  }
}

void Daemon::serve(Connection& connection) {
  if (connection.is_connecting) {
    if (network_.is_broken(connection.socket, 0)) {
      return machine_->on_connect_failed(connection.id, "server", Error{Errc::closed, "refused", 0}, now());
    }
    if (!network_.is_connected(connection.socket)) return;
    connection.is_connecting = false;
    machine_->on_connected(connection.id, *IpAddress::parse("198.51.100.2"), "server", now());
    return carry_out();
  }
  if (!connection.unsent.empty()) flush(connection);
  if (!connection.is_over) receive(connection);
}

void Daemon::receive(Connection& connection) {
  while (!connection.is_over && !connection.becomes) {
    const std::size_t wanted = machine_->bytes_wanted_max(connection.id);
    if (wanted == 0) return;
    std::array<Byte, handshake_bytes_max> bytes;
    const int count = network_.receive(connection.socket, options_.side, ByteSpan(bytes).first(std::min(bytes.size(), wanted)));
    if (count == -EAGAIN) return;
    if (count <= 0) {
      machine_->on_closed(connection.id, Error{Errc::closed, "the peer closed during the handshake", 0}, now());
    } else {
      machine_->on_bytes(connection.id, ByteView(bytes).first(static_cast<std::size_t>(count)), now());
    }
    carry_out();
  }
}

void Daemon::flush(Connection& connection) {
  while (!connection.unsent.empty()) {
    const int count = network_.send(connection.socket, options_.side, connection.unsent);
    if (count == -EAGAIN) return;
    if (count < 0) {
      connection.unsent.clear();
      const Error broken{Errc::closed, "the connection broke during the handshake", 0};
      if (!connection.becomes) return machine_->on_closed(connection.id, broken, now());
      connection.is_over = true;
      network_.close(connection.socket, options_.side);
      return machine_->on_lane_end(connection.id, LaneEnd::closed, broken.text(), now());
    }
    connection.unsent.erase(connection.unsent.begin(), connection.unsent.begin() + count);
  }
  if (connection.becomes) launch(connection);
}

// --- what is to be done: Link::carry_out() ---

void Daemon::carry_out() {
  for (auto actions = machine_->take_actions(); !actions.empty(); actions = machine_->take_actions()) {
    for (LinkAction& action : actions) std::visit([this](auto& wish) { carry_out(wish); }, action);
  }
}

Daemon::Connection* Daemon::find_connection(tunnel::ConnectionId id) {
  for (Connection& connection : connections_) {
    if (connection.id == id && !connection.is_over) return &connection;
  }
  return nullptr;
}

void Daemon::carry_out(DoConnect& wish) {
  const Network::Id socket = network_.connect(this, options_.address);
  connections_.push_back({.id = wish.id, .socket = socket, .is_connecting = true, .unsent = {}, .becomes = {}});
}

void Daemon::carry_out(DoSend& wish) {
  Connection* const connection = find_connection(wish.id);
  if (connection == nullptr) return;
  connection->unsent.insert(connection->unsent.end(), wish.bytes.begin(), wish.bytes.end());
  flush(*connection);
}

void Daemon::carry_out(DoClose& wish) {
  Connection* const connection = find_connection(wish.id);
  if (connection == nullptr) return;
  connection->is_over = true;
  std::array<Byte, 4096> scratch;
  for (int i = 0; i < 16 && network_.receive(connection->socket, options_.side, scratch) > 0; ++i) {
  }
  network_.close(connection->socket, options_.side);
}

void Daemon::carry_out(DoStopLane& wish) {
  for (Lane& lane : lanes_) {
    if (lane.id == wish.id) lane.life.stop(wish.reason, now());
  }
  if (Connection* const connection = find_connection(wish.id)) {
    connection->is_over = true;
    network_.close(connection->socket, options_.side);
  }
}

void Daemon::carry_out(DoTell& wish) { onlooker_.on_event(options_.side, wish.event); }

void Daemon::carry_out(DoStartLane& wish) {
  if (!wish.established.is_join) session_id_ = wish.established.session_id;
  if (wish.established.session_id != session_id_) onlooker_.fail("a lane joins a session that was replaced");
  Connection* const connection = find_connection(wish.id);
  if (connection == nullptr) return machine_->on_lane_end(wish.id, LaneEnd::closed, "the connection broke", now());
  connection->becomes = std::move(wish);
  flush(*connection);
}

// --- a connection becomes a lane: Link::launch(), Lane::start() ---

void Daemon::launch(Connection& connection) {
  connection.is_over = true;
  DoStartLane& wish = *connection.becomes;
  Established& established = wish.established;
  auto sealer = Sealer::create(std::move(established.outbound), options_.ratchet, now());
  auto opener = Opener::create(std::move(established.inbound), options_.ratchet);
  LT_ASSERT(sealer && opener);
  Admission admission(admission_);
  admission.set_mtu(established.tun_mtu);

  Lane* predecessor = nullptr;
  for (Lane& each : lanes_) {
    if (each.queue == established.lane_index) predecessor = &each;
  }
  Lane& lane = lanes_.emplace_back(wish.id, connection.socket, established.lane_index, std::move(admission),
                                   options_.times.lane, predecessor != nullptr, now());
  lane.inbound_thread = &threads_.emplace_back(
      pace_, [this, &lane, early = std::move(established.early_records)] { run_inbound(lane, early); });
  lane.outbound_thread = &threads_.emplace_back(pace_, [this, &lane] { run_outbound(lane); });
  const auto make_port = [&](Thread& thread) {
    return std::make_unique<SimPort>(thread, tun_, lane.queue, network_, lane.socket, options_.side);
  };
  lane.inbound_port = make_port(*lane.inbound_thread);
  lane.outbound_port = make_port(*lane.outbound_thread);
  lane.inbound = std::make_unique<Inbound<SimPort>>(
      InboundOptions{.tun_fd = SimPort::tun_fd,
                     .tun_offload = true,
                     .socket_fd = SimPort::socket_fd,
                     .admission = &lane.admission,
                     .record_limit = established.record_limit,
                     .tun_mtu = established.tun_mtu},
      std::move(*opener), lane.life.state(), lane.inbound_drops, *lane.inbound_port,
      [&lane] { lane.life.wake(LaneLife::Half::outbound); });
  lane.outbound = std::make_unique<Outbound<SimPort>>(
      OutboundOptions{.tun_queues = {SimPort::tun_fd},
                      .socket_fd = SimPort::socket_fd,
                      .admission = &lane.admission,
                      .record_bytes_max = std::min<std::size_t>(256 * 1024, established.record_limit),
                      .tun_mtu = established.tun_mtu},
      std::move(*sealer), lane.life.state(), lane.outbound_drops, *lane.outbound_port);
  lane.life.publish(LaneLife::Half::inbound, [port = lane.inbound_port.get()] { port->wake(); });
  lane.life.publish(LaneLife::Half::outbound, [port = lane.outbound_port.get()] { port->wake(); });
  // Both threads hear of the socket.
  lane.both.first = lane.inbound_thread;
  lane.both.second = lane.outbound_thread;
  network_.watch(lane.socket, options_.side, &lane.both);
  lane.inbound_thread->ready();
  lane.outbound_thread->ready();
  if (predecessor != nullptr) predecessor->life.hand_over_to(lane.life, wish.ends, now());
}

// Lane::run_inbound(), Lane::run_outbound(), Lane::conclude()
void Daemon::run_inbound(Lane& lane, ByteView early) {
  const LaneEnd end = lane.inbound->run(early);
  lane.life.on_inbound_end(end, lane.inbound->reason(), now());
  lane.is_inbound_over = true;
  lane.outbound_thread->ready();
}

void Daemon::run_outbound(Lane& lane) {
  const LaneEnd end = lane.outbound->run();
  lane.life.publish(LaneLife::Half::outbound, nullptr);
  if (lane.life.state().has_said_goodbye) network_.shut(lane.socket, options_.side);
  lane.life.on_outbound_end();
  while (!lane.is_inbound_over) lane.outbound_thread->wait(now() + std::chrono::seconds(60));
  lane.report = lane.life.report(end);
  lane.has_ended = true;
  link_->ready();
}

// --- lanes run and end ---

void Daemon::hear_lanes() {
  for (const Lane& lane : lanes_) {
    const LaneState& state = lane.life.state();
    machine_->on_lane_heard(lane.id, state.heard_at(now()), state.has_proof(),
                            std::max(state.inbound.wire_bytes.load(), state.outbound.wire_bytes.load()));
    if (!machine_->wants_progress(lane.id, now())) continue;
    const tunnel::PathSample path = network_.sample(lane.socket, options_.side);
    machine_->on_lane_progress(lane.id,
                               {.delivered = path.delivered,
                                .received = state.inbound.wire_bytes.load(),
                                .is_backlogged = path.is_backlogged,
                                .answer_delay = state.answer_delay(now())},
                               now());
  }
}

bool Daemon::is_proven() const {
  return std::any_of(lanes_.begin(), lanes_.end(), [&](const Lane& lane) {
    return machine_->lane_at(lane.queue) == lane.id && !lane.has_ended &&
           now() - lane.life.state().last_proof() <= options_.times.suspect;
  });
}

LaneDeeds Daemon::deeds_of(const Lane& lane) const {
  const LaneState& state = lane.life.state();
  LaneDeeds deeds;
  deeds.admitted = state.outbound.packets;
  deeds.outbound_drops = lane.outbound_drops.total();
  deeds.delivered = state.inbound.packets;
  deeds.inbound_drops = lane.inbound_drops.total();
  deeds.has_ended = lane.has_ended;
  deeds.has_said_goodbye = state.has_said_goodbye;
  deeds.has_heard_goodbye = state.peer_reason != 0;
  deeds.end = lane.report.end;
  deeds.ratchets = state.outbound.ratchets;
  return deeds;
}

void Daemon::bury_ended_lanes() {
  std::list<Lane> ended;
  for (auto each = lanes_.begin(); each != lanes_.end();) {
    const auto next = std::next(each);
    if (each->has_ended) ended.splice(ended.end(), lanes_, each);
    each = next;
  }
  for (const Lane& gone : ended) {
    for (Lane& running : lanes_) running.life.forget_successor(gone.life);
    if (gone.report.end == LaneEnd::moved) ++take_overs_;
    ratchets_ += gone.life.state().outbound.ratchets;
    network_.close(gone.socket, options_.side);
    gone.outbound_thread->kill();
    gone.inbound_thread->kill();
    onlooker_.on_lane_over(options_.side, gone.socket, deeds_of(gone));
    machine_->on_lane_end(gone.id, gone.report.end, gone.report.reason, now());
  }
}

std::uint64_t Daemon::ratchets() const {
  std::uint64_t sum = ratchets_;
  for (const Lane& lane : lanes_) sum += lane.life.state().outbound.ratchets;
  return sum;
}

std::optional<Network::Id> Daemon::lane_connection(std::size_t index) const {
  const auto id = machine_->lane_at(index);
  for (const Lane& lane : lanes_) {
    if (lane.id == id) return lane.socket;
  }
  return std::nullopt;
}

std::vector<bool> Daemon::queues_read() const {
  std::vector<bool> read(options_.lanes);
  for (std::size_t i = 0; i < read.size(); ++i) read[i] = lane_connection(i).has_value();
  return read;
}

void Daemon::check_bounds() {
  if (machine_->greetings() > greetings_max) onlooker_.fail("greetings pile up");
  if (connections_.size() > 2 * greetings_max) onlooker_.fail("connections pile up");
  if (lanes_.size() > lanes_a_queue_max * options_.lanes) onlooker_.fail("ended lanes pile up");
}

}  // namespace lt::sim

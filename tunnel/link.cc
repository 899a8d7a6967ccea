#include "tunnel/link.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.h"
#include "crypto/kdf.h"
#include "crypto/random.h"

namespace lt::tunnel {

PrefixHash hash_prefixes(std::vector<Prefix> client, std::vector<Prefix> server) {
  const auto joined = [](std::vector<Prefix>& prefixes) {
    std::vector<std::string> texts;
    for (const Prefix& prefix : prefixes) texts.push_back(prefix.text());
    std::sort(texts.begin(), texts.end());
    std::string text;
    for (const std::string& each : texts) text += each + ",";
    return text;
  };
  const std::string text = "client " + joined(client) + " server " + joined(server);
  return crypto::hmac_sha256(as_bytes("LT1 prefixes"), {as_bytes(text)});
}

Link::Link(LinkOptions options) : options_(std::move(options)) {
  const auto& admission = options_.admission;
  prefix_hash_ = options_.connect ? hash_prefixes(admission.local_prefixes, admission.peer_prefixes)
                                  : hash_prefixes(admission.peer_prefixes, admission.local_prefixes);
  crypto::fill_random(boot_id_);
}

MachineOptions Link::machine_options() const {
  MachineOptions options;
  options.role = options_.connect ? crypto::Role::client : crypto::Role::server;
  options.tls = options_.tls;
  options.own_key = options_.own_key;
  options.peer_key = options_.peer_key;
  if (options_.psk) options.psk = options_.psk->reveal();
  options.offer = {.boot_id = boot_id_,
                   .record_limit = options_.record_limit,
                   .tun_mtu = options_.tun_mtu,
                   .prefix_hash = prefix_hash_,
                   .lane_count = options_.lanes,
                   .express = options_.express};
  options.times = options_.times;
  options.door = options_.door;
  return options;
}

Result<std::unique_ptr<Link>> Link::create(LinkOptions options) {
  LT_ASSERT(options.listen.has_value() != options.connect.has_value() && options.tls != nullptr);
  LT_ASSERT(options.lanes >= 1 && options.lanes <= lane_count_max && options.lanes <= options.tun_queues.size());
  std::unique_ptr<Link> link(new Link(std::move(options)));
  link->wake_event_ = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!link->wake_event_.is_open()) return fail_errno(errno, "cannot make an event");
  link->machine_ = std::make_unique<LinkMachine>(link->machine_options());
  if (link->options_.connect) {
    link->resolver_ = std::make_unique<Resolver>(*link->options_.connect, [self = link.get()] { self->wake(); });
  }
  if (link->options_.listen) {
    LT_TRY(link->listener_, listen_on(*link->options_.listen, link->options_.stream));
    SocketAddress local;
    local.length = sizeof local.storage;
    if (::getsockname(link->listener_.get(), reinterpret_cast<sockaddr*>(&local.storage), &local.length) != 0) {
      return fail_errno(errno, "cannot tell the port");
    }
    link->listen_port_ = local.port();
  }
  return link;
}

Link::~Link() = default;

void Link::wake() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_event_.get(), &one, sizeof one);
}

void Link::stop() noexcept {
  stopping_.store(true, std::memory_order_release);
  wake();
}

Status Link::run() {
  if (options_.listen) emit({LinkEventKind::listening, options_.listen->text(), "waiting for the other site"});
  while (!stopping_.load(std::memory_order_acquire)) {
    hear_lanes();
    machine_->on_tick(std::chrono::steady_clock::now());
    carry_out();
    tell_lanes();
    LT_CHECK(serve_events());
    carry_out();
    bury_ended_lanes();
    connections_.remove_if([](const Connection& connection) { return connection.is_over; });
  }
  listener_.reset();  // who waits in its queue is closed, too
  machine_->shut_down();
  carry_out();
  stop_lanes(GoodbyeReason::shutdown);
  bury_ended_lanes();
  return {};
}

// All say GOODBYE at once, and have two seconds.
void Link::stop_lanes(GoodbyeReason reason) {
  for (const RunningLane& running : lanes_) running.lane->stop(reason);
  for (const RunningLane& running : lanes_) running.lane->wait();
}

// --- what happens ---

Status Link::serve_events() {
  const Instant now = std::chrono::steady_clock::now();
  const bool is_accepting = now >= accept_paused_until_;
  std::vector<pollfd> polled{{wake_event_.get(), POLLIN, 0}, {is_accepting ? listener_.get() : -1, POLLIN, 0}};
  std::vector<Connection*> served;
  for (Connection& connection : connections_) {
    short events = connection.is_connecting || !connection.unsent.empty() ? POLLOUT : 0;
    // Behind the last byte of the handshake stand records: they are the lane's to read.
    if (!connection.is_connecting && machine_->bytes_wanted_max(connection.id) > 0) events |= POLLIN;
    polled.push_back({connection.socket.get(), events, 0});
    served.push_back(&connection);
  }
  Instant next = machine_->next_deadline(now);
  if (!is_accepting) next = std::min(next, accept_paused_until_);
  for (const auto& [wish, until] : unresolved_) next = std::min(next, until);
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - now);
  const int timeout = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
  if (::poll(polled.data(), polled.size(), timeout) < 0 && errno != EINTR) {
    return fail_errno(errno, "cannot wait for connections");
  }
  if (polled[0].revents != 0) {
    std::uint64_t drained = 0;
    [[maybe_unused]] const auto bytes = ::read(wake_event_.get(), &drained, sizeof drained);
  }
  if (polled[1].revents != 0) accept_all();
  for (std::size_t i = 0; i < served.size(); ++i) {
    if (polled[i + 2].revents != 0 && !served[i]->is_over) serve(*served[i], polled[i + 2].revents);
  }
  answer_waiting_connects();
  return {};
}

void Link::accept_all() {
  // Bounded, so that a flood does not keep the link from everything else.
  for (std::size_t i = 0; i < listen_backlog; ++i) {
    SocketAddress peer;
    peer.length = sizeof peer.storage;
    Fd socket(::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&peer.storage), &peer.length,
                        SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket.is_open()) {
      // Out of descriptors: the connection stays in the queue, and asking again at once would spin.
      if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
        accept_paused_until_ = std::chrono::steady_clock::now() + accept_pause;
      }
      return;
    }
    if (has_hung_up(socket.get())) {
      emit({LinkEventKind::stranger, peer.text(), "hung up before it was heard"});
      continue;
    }
    const auto id = machine_->on_accept(peer.address(), peer.text(), std::chrono::steady_clock::now());
    if (id) connections_.push_back({.id = *id, .socket = std::move(socket), .peer = peer});
    carry_out();
  }
}

void Link::serve(Connection& connection, short events) {
  if (connection.is_connecting) {
    const auto connected = connect_result(connection.socket.get());
    const Instant now = std::chrono::steady_clock::now();
    if (!connected) return machine_->on_connect_failed(connection.id, connection.peer.text(), connected.error(), now);
    connection.is_connecting = false;
    return machine_->on_connected(connection.id, connection.peer.address(), connection.peer.text(), now);
  }
  if ((events & POLLOUT) != 0) flush(connection);
  if (connection.is_over) return;
  if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) receive(connection);
}

void Link::receive(Connection& connection) {
  const std::size_t wanted = machine_->bytes_wanted_max(connection.id);
  std::array<Byte, handshake_bytes_max> bytes;
  const Instant now = std::chrono::steady_clock::now();
  if (connection.becomes || wanted == 0) return;
  const auto count = ::recv(connection.socket.get(), bytes.data(), std::min(bytes.size(), wanted), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) {
    return machine_->on_closed(connection.id, Error{Errc::closed, "the peer closed during the handshake", 0}, now);
  }
  machine_->on_bytes(connection.id, ByteView(bytes).first(static_cast<std::size_t>(count)), now);
}

void Link::flush(Connection& connection) {
  while (!connection.unsent.empty()) {
    const auto count = ::send(connection.socket.get(), connection.unsent.data(), connection.unsent.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count < 0) {
      const Error broken{Errc::closed, "the connection broke during the handshake", errno};
      const Instant now = std::chrono::steady_clock::now();
      connection.unsent.clear();
      if (!connection.becomes) return machine_->on_closed(connection.id, broken, now);
      connection.is_over = true;
      return machine_->on_lane_end(connection.id, LaneEnd::closed, broken.text(), now);
    }
    connection.unsent.erase(connection.unsent.begin(), connection.unsent.begin() + count);
  }
  if (connection.becomes) start_lane(connection);
}

// --- what is to be done ---

void Link::carry_out() {
  for (auto actions = machine_->take_actions(); !actions.empty(); actions = machine_->take_actions()) {
    for (LinkAction& action : actions) {
      std::visit([this](auto& wish) { carry_out(wish); }, action);
    }
  }
}

Link::Connection* Link::find_connection(ConnectionId id) {
  const auto found = std::find_if(connections_.begin(), connections_.end(),
                                  [id](const Connection& connection) { return connection.id == id && !connection.is_over; });
  return found == connections_.end() ? nullptr : &*found;
}

void Link::carry_out(DoConnect& wish) {
  resolver_->ask();
  connect(wish);
}

void Link::connect(const DoConnect& wish) {
  const auto [id, segment_bytes_max] = wish;
  const Instant now = std::chrono::steady_clock::now();
  const auto address = resolver_->next_address();
  if (!address) {
    if (resolver_->is_asking()) return unresolved_.emplace_back(wish, now + resolve_deadline), void();
    return machine_->on_connect_failed(id, options_.connect->text(), address.error(), now);
  }
  auto socket = start_connect(*address, options_.stream, segment_bytes_max);
  if (!socket) return machine_->on_connect_failed(id, options_.connect->text(), socket.error(), now);
  connections_.push_back({.id = id, .socket = std::move(*socket), .peer = *address, .is_connecting = true});
  const std::lock_guard lock(mutex_);
  totals_.segment_bytes_max = segment_bytes_max;
}

void Link::answer_waiting_connects() {
  if (unresolved_.empty()) return;
  const Instant now = std::chrono::steady_clock::now();
  for (const auto& [wish, until] : std::exchange(unresolved_, {})) {
    if (resolver_->is_asking() && now < until) {
      unresolved_.emplace_back(wish, until);
    } else if (resolver_->is_asking()) {
      const Error late{Errc::timed_out, "the name server does not answer for " + options_.connect->host, 0};
      machine_->on_connect_failed(wish.id, options_.connect->text(), late, now);
    } else {
      connect(wish);
    }
  }
}

void Link::carry_out(DoSend& wish) {
  Connection* const connection = find_connection(wish.id);
  if (connection == nullptr) return;
  connection->unsent.insert(connection->unsent.end(), wish.bytes.begin(), wish.bytes.end());
  flush(*connection);
}

void Link::carry_out(DoClose& wish) {
  std::erase_if(unresolved_, [&](const auto& waiting) { return waiting.first.id == wish.id; });
  Connection* const connection = find_connection(wish.id);
  if (connection == nullptr) return;
  connection->is_over = true;
  // Read what is there, so that closing sends a plain end and no reset.
  std::array<Byte, 4096> scratch;
  for (int i = 0; i < 16 && ::recv(connection->socket.get(), scratch.data(), scratch.size(), MSG_DONTWAIT) > 0; ++i) {
  }
  connection->socket.reset();
}

void Link::carry_out(DoStopLane& wish) {
  for (const RunningLane& running : lanes_) {
    if (running.id == wish.id) running.lane->stop(wish.reason);
  }
  // It was to become one, and never will.
  if (Connection* const connection = find_connection(wish.id)) connection->is_over = true;
}

void Link::carry_out(DoTell& wish) { emit(wish.event); }

// --- a connection becomes a lane ---

void Link::carry_out(DoStartLane& wish) {
  Connection* const connection = find_connection(wish.id);
  if (connection == nullptr) {
    return machine_->on_lane_end(wish.id, LaneEnd::closed, "the connection broke", std::chrono::steady_clock::now());
  }
  connection->becomes = std::move(wish);
  flush(*connection);
}

void Link::start_lane(Connection& connection) {
  connection.is_over = true;
  if (const auto started = launch(connection, *connection.becomes); !started) {
    emit({LinkEventKind::handshake_failed, connection.peer.text(), started.error().text()});
    machine_->on_lane_end(connection.id, LaneEnd::failed, started.error().text(), std::chrono::steady_clock::now());
  }
}

Status Link::launch(Connection& connection, DoStartLane& wish) {
  const std::uint32_t mtu = wish.established.tun_mtu;
  const std::size_t index = wish.established.lane_index;
  const bool is_first = !wish.established.is_join;
  const bool is_express = wish.established.terms.express && index + 1 == wish.established.terms.lane_count;
  LT_CHECK(tune(connection.socket.get(), options_.stream));
  const auto path = sample_path(connection.socket.get());
  const bool is_far = path && path->rtt >= SlowStart::far_from;
  const bool waits_with_reno = !is_express && is_far && may_wait_with_reno(connection.socket.get());
  if (is_first && options_.on_agreed_mtu) LT_CHECK(options_.on_agreed_mtu(mtu));

  Admission admission(options_.admission);
  admission.set_mtu(mtu);
  admission.set_outer(OuterConnection{connection.peer.address(), options_.listen ? listen_port_ : connection.peer.port()});
  RunningLane* const predecessor = last_of_index(index);
  const std::size_t lanes_agreed = wish.established.terms.lane_count;
  const bool has_express = wish.established.terms.express;
  const std::vector<int>& queues = options_.tun_queues.at(index);
  LT_TRY(auto lane, Lane::start(std::move(connection.socket), std::move(wish.established), std::move(admission),
                                {.tun_queues = is_express ? std::vector{queues.front()} : queues,
                                 .tun_offload = options_.tun_offload,
                                 .io = options_.io,
                                 .record_bytes_max = options_.record_bytes_max,
                                 .queue_target = is_express ? std::chrono::milliseconds(0) : options_.queue_target,
                                 .waits_with_reno = waits_with_reno,
                                 .thins_acks = options_.stream.congestion_control == "bbr",
                                 .unsent_most = options_.stream.notsent_lowat.value,
                                 .ratchet = options_.ratchet,
                                 .aead = options_.aead,
                                 .times = options_.times.lane,
                                 .waits_for_turn = predecessor != nullptr,
                                 .on_end = [this] { wake(); }}));
  if (predecessor != nullptr) predecessor->lane->hand_over_to(*lane, wish.ends);
  const std::lock_guard lock(mutex_);
  lanes_.push_back({.id = wish.id,
                    .index = index,
                    .lane = std::move(lane),
                    .peer = connection.peer.text(),
                    .started = std::chrono::steady_clock::now(),
                    .is_express = is_express});
  bound_draining_lanes();
  ++(is_first ? totals_.sessions : totals_.joins);
  totals_.lanes_agreed = lanes_agreed;
  totals_.has_express = has_express;
  return {};
}

// How long a lane drains is its peer's to choose, and each has threads and memory.
void Link::bound_draining_lanes() {
  if (lanes_.size() <= totals_.lanes_agreed + lanes_draining_max) return;
  const auto eldest = std::find_if(lanes_.begin(), lanes_.end(),
                                   [this](const RunningLane& running) { return last_of_index(running.index) != &running; });
  if (eldest != lanes_.end()) eldest->lane->abort();
}

Link::RunningLane* Link::last_of_index(std::size_t index) {
  RunningLane* last = nullptr;
  for (RunningLane& running : lanes_) {
    if (running.index == index) last = &running;
  }
  return last;
}

// --- lanes run and end ---

void Link::hear_lanes() {
  const Instant now = std::chrono::steady_clock::now();
  for (const RunningLane& running : lanes_) {
    const LaneState& state = running.lane->state();
    const std::uint64_t received = state.inbound.wire_bytes.load(std::memory_order_relaxed);
    machine_->on_lane_heard(running.id, state.heard_at(now), state.has_proof(),
                            std::max(received, state.outbound.wire_bytes.load(std::memory_order_relaxed)));
    if (!machine_->wants_progress(running.id, now)) continue;
    const auto path = sample_path(running.lane->socket_fd());
    if (!path) continue;  // no TCP below
    machine_->on_lane_progress(running.id,
                               {.delivered = path->delivered,
                                .received = received,
                                .is_backlogged = path->is_backlogged,
                                .answer_delay = state.answer_delay(now)},
                               now);
  }
}

void Link::bury_ended_lanes() {
  std::list<RunningLane> ended;
  {
    const std::lock_guard lock(mutex_);
    for (auto each = lanes_.begin(); each != lanes_.end();) {
      const auto next = std::next(each);
      if (each->lane->has_ended()) {
        ++totals_.lane_ends[name_of(each->lane->report().end)];
        add_up(*each->lane, totals_);
        ended.splice(ended.end(), lanes_, each);
      }
      each = next;
    }
  }
  for (const RunningLane& gone : ended) {
    for (const RunningLane& running : lanes_) running.lane->forget_successor(*gone.lane);
    const LaneReport& report = gone.lane->report();
    machine_->on_lane_end(gone.id, report.end, report.reason, std::chrono::steady_clock::now());
  }
}

// Tells the steering which lanes run, where that has changed.
void Link::tell_lanes() {
  LanesUp up;
  const SessionTerms* const terms = machine_->terms();
  {
    const std::lock_guard lock(mutex_);
    if (terms != nullptr) up.bulk.resize(terms->lane_count - (terms->express ? 1U : 0U));
    for (RunningLane& running : lanes_) {
      running.is_current = machine_->lane_at(running.index) == running.id;
      if (!running.is_current) continue;
      if (running.is_express) {
        up.express = running.index;
      } else {
        up.bulk.at(running.index) = true;
      }
    }
  }
  if (up == lanes_up_) return;
  lanes_up_ = up;
  if (options_.on_lanes) options_.on_lanes(lanes_up_);
}

// --- what others see ---

void Link::emit(const LinkEvent& event) {
  {
    const std::lock_guard lock(mutex_);
    if (event.kind == LinkEventKind::connect_failed) ++totals_.connect_failures;
    if (event.kind == LinkEventKind::handshake_failed) ++totals_.handshake_failures;
    if (event.kind == LinkEventKind::stranger) ++totals_.strangers;
    if (event.kind == LinkEventKind::connect_failed || event.kind == LinkEventKind::handshake_failed ||
        event.kind == LinkEventKind::lane_ended) {
      totals_.last_failure = event.detail;
    }
  }
  if (options_.on_event) options_.on_event(event);
}

namespace {

void add_direction(LinkSnapshot::Direction& sum, const DirectionCounters& counters, const DropCounters& drops) {
  const auto read = [](const std::atomic<std::uint64_t>& counter) { return counter.load(std::memory_order_relaxed); };
  sum.packets += read(counters.packets);
  sum.packet_bytes += read(counters.packet_bytes);
  sum.records += read(counters.records);
  sum.wire_bytes += read(counters.wire_bytes);
  sum.ratchets += read(counters.ratchets);
  sum.super_packets += read(counters.super_packets);
  sum.segmented += read(counters.segmented);
  const auto dropped = drops.snapshot();
  for (std::size_t i = 0; i < dropped.size(); ++i) sum.drops[i] += dropped[i];
}

// A lane of cubic waits for bulk with reno (slow_start.h): nobody has asked for that by name.
std::string congestion_control_shown(const Lane& lane) {
  return lane.waits_with_reno() ? "cubic" : congestion_control_of(lane.socket_fd());
}

}  // namespace

void Link::add_up(const Lane& lane, LinkSnapshot& snapshot) const {
  add_direction(snapshot.outbound, lane.state().outbound, lane.outbound_drops());
  add_direction(snapshot.inbound, lane.state().inbound, lane.inbound_drops());
}

LinkSnapshot Link::snapshot() const {
  const std::lock_guard lock(mutex_);
  LinkSnapshot snapshot = totals_;
  const Instant now = std::chrono::steady_clock::now();
  for (const RunningLane& running : lanes_) {
    add_up(*running.lane, snapshot);
    if (!running.is_current || running.lane->has_ended()) continue;
    const LaneState& state = running.lane->state();
    LaneSnapshot lane{.index = running.index,
                      .is_express = running.is_express,
                      .peer = running.peer,
                      .congestion_control = congestion_control_shown(*running.lane),
                      .age = now - running.started,
                      .rtt = {},
                      .sent_bytes = state.outbound.wire_bytes.load(std::memory_order_relaxed),
                      .received_bytes = state.inbound.wire_bytes.load(std::memory_order_relaxed)};
    if (const auto path = sample_path(running.lane->socket_fd())) lane.resent_share = path->resent_share();
    if (const auto rtt = state.rtt_ns.load(std::memory_order_relaxed); rtt > 0) lane.rtt = std::chrono::nanoseconds(rtt);
    snapshot.is_proven |= now - state.last_proof() <= options_.times.suspect;  // P-63
    snapshot.tun_mtu = running.lane->tun_mtu();
    snapshot.lanes.push_back(std::move(lane));
  }
  std::sort(snapshot.lanes.begin(), snapshot.lanes.end(),
            [](const LaneSnapshot& left, const LaneSnapshot& right) { return left.index < right.index; });
  if (snapshot.lanes.empty()) return snapshot;
  const LaneSnapshot& first = snapshot.lanes.front();
  snapshot.has_lane = true;
  snapshot.peer = first.peer;
  snapshot.congestion_control = first.congestion_control;
  snapshot.lane_age = first.age;
  snapshot.rtt = first.rtt;
  return snapshot;
}

}  // namespace lt::tunnel

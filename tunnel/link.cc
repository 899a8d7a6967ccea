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

Result<std::unique_ptr<Link>> Link::create(LinkOptions options) {
  LT_ASSERT(options.listen.has_value() != options.connect.has_value() && options.tls != nullptr);
  std::unique_ptr<Link> link(new Link(std::move(options)));
  link->wake_event_ = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!link->wake_event_.is_open()) return fail_errno(errno, "cannot make an event");
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

void Link::stop() noexcept {
  stopping_.store(true, std::memory_order_release);
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_event_.get(), &one, sizeof one);
}

Status Link::run() {
  if (options_.listen) emit(LinkEventKind::listening, options_.listen->text(), "waiting for the other site");
  while (!stopping_.load(std::memory_order_acquire)) {
    const Instant now = std::chrono::steady_clock::now();
    connect_if_due(now);
    LT_CHECK(serve_events());
    expire(std::chrono::steady_clock::now());
    bury_ended_lanes();
    greetings_.remove_if([](const Greeting& greeting) { return greeting.is_over; });
  }
  listener_.reset();  // who waits in its queue is closed, too
  greetings_.clear();
  retire_lane(GoodbyeReason::shutdown);
  for (const auto& lane : retired_) lane->wait();  // each says its GOODBYE, all at once, two seconds at most
  bury_ended_lanes();
  return {};
}

Status Link::serve_events() {
  const bool is_accepting = std::chrono::steady_clock::now() >= accept_paused_until_;
  std::vector<pollfd> polled{{wake_event_.get(), POLLIN, 0}, {is_accepting ? listener_.get() : -1, POLLIN, 0}};
  std::vector<Greeting*> served;
  for (Greeting& greeting : greetings_) {
    const bool wants_out = !greeting.handshake || !greeting.unsent.empty();
    polled.push_back({greeting.socket.get(), static_cast<short>(wants_out ? POLLIN | POLLOUT : POLLIN), 0});
    // Behind the last byte of the handshake stand records: they are the lane's to read.
    if (!greeting.handshake || greeting.handshake->is_established()) polled.back().events = POLLOUT;
    served.push_back(&greeting);
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_deadline() - std::chrono::steady_clock::now());
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
    if (polled[i + 2].revents != 0) serve(*served[i], polled[i + 2].revents);
  }
  return {};
}

Instant Link::next_deadline() const {
  Instant next = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  for (const Greeting& greeting : greetings_) next = std::min(next, greeting.deadline);
  if (options_.connect && !lane_ && greetings_.empty()) next = std::min(next, next_connect_);
  if (accept_paused_until_ > std::chrono::steady_clock::now()) next = std::min(next, accept_paused_until_);
  return next;
}

// --- connections come in ---

Prefix source_group(const IpAddress& source) {
  return Prefix{source, source.family == Family::v4 ? 32U : 64U}.network();
}

// P-55
bool Link::admits(const SocketAddress& source) const {
  const Prefix group = source_group(source.address());
  const auto from_there = std::count_if(greetings_.begin(), greetings_.end(), [&](const Greeting& greeting) {
    return !greeting.is_over && group.contains(greeting.peer.address());
  });
  return greetings_.size() < half_open_max && static_cast<std::size_t>(from_there) < half_open_per_source_max;
}

void Link::accept_all() {
  for (;;) {
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
    if (!admits(peer)) {
      emit(LinkEventKind::stranger, peer.text(), "too many half-open connections");
      continue;
    }
    Greeting& greeting = greetings_.emplace_back();
    greeting.socket = std::move(socket);
    greeting.peer = peer;
    greeting.deadline = std::chrono::steady_clock::now() + options_.times.knock;  // P-53
    begin_handshake(greeting);
  }
}

// --- connections go out ---

void Link::connect_if_due(Instant now) {
  if (!options_.connect || lane_ || !greetings_.empty() || now < next_connect_) return;
  schedule_connect(now);  // the attempt after this one
  const auto addresses = resolve(*options_.connect);
  if (!addresses) return emit(LinkEventKind::connect_failed, options_.connect->text(), addresses.error().text());
  const SocketAddress& address = addresses->at(connects_++ % addresses->size());  // each of a name's has its turn
  auto socket = start_connect(address, options_.stream);
  if (!socket) return emit(LinkEventKind::connect_failed, options_.connect->text(), socket.error().text());
  Greeting& greeting = greetings_.emplace_back();
  greeting.socket = std::move(*socket);
  greeting.peer = address;
  greeting.deadline = now + options_.times.connect;
  greeting.is_outgoing = true;
}

// P-51: at once, then 100 ms doubling to 5 s, each with a jitter of a half.
void Link::schedule_connect(Instant now) {
  Byte random = 0;
  crypto::fill_random(ByteSpan(&random, 1));
  backoff_ = backoff_.count() == 0 ? options_.times.reconnect_first
                                   : std::min(2 * backoff_, options_.times.reconnect_longest);
  next_connect_ = now + backoff_ / 2 + backoff_ * random / 255;
}

// --- greeting ---

HandshakeOptions Link::handshake_options() const {
  HandshakeOptions options;
  options.role = options_.connect ? crypto::Role::client : crypto::Role::server;
  options.tls = options_.tls;
  options.own_key = options_.own_key;
  options.peer_key = options_.peer_key;
  if (options_.psk) options.psk = options_.psk->reveal();
  options.offer = {.boot_id = boot_id_,
                   .record_limit = options_.record_limit,
                   .tun_mtu = options_.tun_mtu,
                   .prefix_hash = prefix_hash_};
  return options;
}

void Link::begin_handshake(Greeting& greeting) {
  auto handshake = Handshake::create(handshake_options());
  if (!handshake) return fail_greeting(greeting, handshake.error());
  greeting.handshake.emplace(std::move(*handshake));
  flush(greeting);
}

void Link::serve(Greeting& greeting, short events) {
  if (!greeting.handshake) {
    const auto connected = connect_result(greeting.socket.get());
    if (!connected) return fail_greeting(greeting, connected.error());
    greeting.deadline = std::chrono::steady_clock::now() + options_.times.handshake;
    return begin_handshake(greeting);
  }
  if ((events & POLLOUT) != 0) flush(greeting);
  if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 && !greeting.is_over && !greeting.handshake->is_established()) {
    receive(greeting);
  }
  finish(greeting);
}

// The lane's first byte follows the handshake's last: that one must be on its way.
void Link::finish(Greeting& greeting) {
  if (!greeting.is_over && greeting.handshake->is_established() && greeting.unsent.empty()) promote(greeting);
}

void Link::receive(Greeting& greeting) {
  std::array<Byte, handshake_bytes_max> bytes;
  const std::size_t wanted = std::min(bytes.size(), greeting.handshake->bytes_wanted_max());
  const auto count = ::recv(greeting.socket.get(), bytes.data(), wanted, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) return fail_greeting(greeting, Error{Errc::closed, "the peer closed during the handshake", 0});
  const bool had_knocked = greeting.handshake->has_knocked();
  const auto taken = greeting.handshake->on_bytes(ByteView(bytes).first(static_cast<std::size_t>(count)));
  if (!had_knocked && greeting.handshake->has_knocked()) {
    greeting.deadline = std::chrono::steady_clock::now() + options_.times.handshake;  // P-53
  }
  flush(greeting);  // also after a failure: the REJECT or the alert that names the reason
  if (greeting.is_over) return;
  if (!taken) return fail_greeting(greeting, taken.error());
}

void Link::flush(Greeting& greeting) {
  const auto more = greeting.handshake->take_output();
  greeting.unsent.insert(greeting.unsent.end(), more.begin(), more.end());
  while (!greeting.unsent.empty()) {
    const auto count = ::send(greeting.socket.get(), greeting.unsent.data(), greeting.unsent.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count < 0) return fail_greeting(greeting, Error{Errc::closed, "the connection broke during the handshake", errno});
    greeting.unsent.erase(greeting.unsent.begin(), greeting.unsent.begin() + count);
  }
}

void Link::fail_greeting(Greeting& greeting, const Error& error) {
  if (greeting.is_over) return;
  greeting.is_over = true;
  // Read what is there, so that closing sends a plain end and no reset.
  std::array<Byte, 4096> scratch;
  for (int i = 0; i < 16 && ::recv(greeting.socket.get(), scratch.data(), scratch.size(), MSG_DONTWAIT) > 0; ++i) {
  }
  const std::string peer = greeting.peer.text();
  if (!greeting.handshake) return emit(LinkEventKind::connect_failed, peer, error.text());
  if (!greeting.handshake->has_knocked()) return emit(LinkEventKind::stranger, peer, error.text());
  emit(LinkEventKind::handshake_failed, peer, error.text());
}

void Link::expire(Instant now) {
  for (Greeting& greeting : greetings_) {
    if (!greeting.is_over && now >= greeting.deadline) {
      fail_greeting(greeting, Error{Errc::timed_out, greeting.handshake ? "the handshake took too long"
                                                                        : "no answer: is the other site up, and its port open?",
                                    0});
    }
  }
}

// --- a greeting becomes a lane ---

void Link::promote(Greeting& greeting) {
  greeting.is_over = true;
  Established established = greeting.handshake->take_established();
  const std::string peer = greeting.peer.text();
  const std::uint32_t mtu = established.tun_mtu;
  const auto tuned = tune(greeting.socket.get(), options_.stream);
  const auto fitted = tuned && options_.on_agreed_mtu ? options_.on_agreed_mtu(mtu) : tuned;
  if (!fitted) return emit(LinkEventKind::handshake_failed, peer, fitted.error().text());

  retire_lane(GoodbyeReason::replaced);  // P-22: GO of the new one is here
  Admission admission(options_.admission);
  admission.set_mtu(mtu);
  admission.set_outer(OuterConnection{greeting.peer.address(),
                                      options_.listen ? listen_port_ : greeting.peer.port()});
  auto lane = Lane::start(std::move(greeting.socket), std::move(established), std::move(admission),
                          {.tun_fd = options_.tun_fd,
                           .tun_offload = options_.tun_offload,
                           .io = options_.io,
                           .record_bytes_max = options_.record_bytes_max,
                           .ratchet = options_.ratchet,
                           .times = options_.times.lane,
                           .on_end = [this] {
                             const std::uint64_t one = 1;
                             [[maybe_unused]] const auto written = ::write(wake_event_.get(), &one, sizeof one);
                           }});
  if (!lane) return emit(LinkEventKind::handshake_failed, peer, lane.error().text());
  lane_started_ = std::chrono::steady_clock::now();
  {
    const std::lock_guard lock(mutex_);
    lane_ = std::move(*lane);
    lane_peer_ = peer;
    ++totals_.sessions;
  }
  emit(LinkEventKind::session_up, peer, "tunnel MTU " + std::to_string(mtu));
}

void Link::retire_lane(GoodbyeReason reason) {
  const std::lock_guard lock(mutex_);
  if (!lane_) return;
  lane_->stop(reason);
  retired_.push_back(std::move(lane_));
}

void Link::bury_ended_lanes() {
  std::optional<LaneReport> ended;
  {
    const std::lock_guard lock(mutex_);
    if (lane_ && lane_->has_ended()) {
      ended = lane_->report();
      retired_.push_back(std::move(lane_));
    }
    for (auto each = retired_.begin(); each != retired_.end();) {
      if (!(*each)->has_ended()) {
        ++each;
        continue;
      }
      ++totals_.lane_ends[name_of((*each)->report().end)];
      add_up(**each, totals_);
      each = retired_.erase(each);
    }
  }
  if (!ended) return;
  emit(LinkEventKind::lane_ended, lane_peer_, std::string(name_of(ended->end)) + ": " + ended->reason);
  const Instant now = std::chrono::steady_clock::now();
  if (now - lane_started_ >= options_.times.reset_after) backoff_ = {};  // P-52
  if (backoff_.count() == 0) {
    next_connect_ = now;
  } else {
    schedule_connect(now);
  }
}

// --- what others see ---

void Link::emit(LinkEventKind kind, std::string peer, std::string detail) {
  {
    const std::lock_guard lock(mutex_);
    if (kind == LinkEventKind::connect_failed) ++totals_.connect_failures;
    if (kind == LinkEventKind::handshake_failed) ++totals_.handshake_failures;
    if (kind == LinkEventKind::stranger) ++totals_.strangers;
    if (kind == LinkEventKind::connect_failed || kind == LinkEventKind::handshake_failed ||
        kind == LinkEventKind::lane_ended) {
      totals_.last_failure = detail;
    }
  }
  if (options_.on_event) options_.on_event({kind, std::move(peer), std::move(detail)});
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

std::string congestion_control_of(int fd) {
  char name[16] = {};
  socklen_t length = sizeof name - 1;
  return ::getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length) == 0 ? name : "unknown";
}

}  // namespace

void Link::add_up(const Lane& lane, LinkSnapshot& snapshot) const {
  add_direction(snapshot.outbound, lane.state().outbound, lane.outbound_drops());
  add_direction(snapshot.inbound, lane.state().inbound, lane.inbound_drops());
}

LinkSnapshot Link::snapshot() const {
  const std::lock_guard lock(mutex_);
  LinkSnapshot snapshot = totals_;
  for (const auto& lane : retired_) add_up(*lane, snapshot);
  if (!lane_) return snapshot;
  const Instant now = std::chrono::steady_clock::now();
  const LaneState& state = lane_->state();
  add_up(*lane_, snapshot);
  snapshot.has_lane = true;
  snapshot.is_proven = now - state.last_pong.get() <= options_.times.suspect;  // P-63
  snapshot.peer = lane_peer_;
  snapshot.tun_mtu = lane_->tun_mtu();
  snapshot.congestion_control = congestion_control_of(lane_->socket_fd());
  snapshot.lane_age = now - lane_started_;
  if (const auto rtt = state.rtt_ns.load(std::memory_order_relaxed); rtt > 0) snapshot.rtt = std::chrono::nanoseconds(rtt);
  return snapshot;
}

}  // namespace lt::tunnel

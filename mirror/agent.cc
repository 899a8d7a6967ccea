#include "mirror/agent.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <list>

#include "base/text.h"
#include "mirror/flight_limit.h"
#include "mirror/rate_gate.h"

namespace lt::mirror {

namespace {

constexpr Milliseconds poll_max{250};
constexpr std::size_t output_queue_bytes = 512 << 10;
constexpr Milliseconds counters_interval{200};

struct Guest;

// A session and the connection it has now.
struct Held {
  Session session;
  Guest* guest{nullptr};
  Instant alone_until{};
  std::uint64_t acked{0};
  Instant counted{};
  std::uint64_t peer_received{0};
  FlightLimit flight{};
  Pacer pacer{};  // of what the client pulls, at the rate it tells
  Instant gate_opens{};

  // Bytes that may go now.
  [[nodiscard]] std::size_t sendable() {
    const SendWindow& out = session.pipe().out;
    const std::uint64_t under_way = out.next_number() - std::min(peer_received, out.next_number());
    return std::min(out.unsent(), flight.bytes() - std::min<std::size_t>(under_way, flight.bytes()));
  }
  [[nodiscard]] bool is_gated(Instant now) const { return now < gate_opens; }
  // Takes what may go now out of the rate. 0: not before `gate_opens`
  [[nodiscard]] std::size_t take_allowance(std::size_t wanted, Instant now) {
    const std::size_t count = pacer.take(Bytes{wanted}, now).value;
    if (count == 0) gate_opens = pacer.wait_until(now);
    return count;
  }
};

struct Guest {
  Connection connection;
  PeerProof proof;
  Instant came;
  bool is_proven{false};
  Held* held{nullptr};
  bool is_over{false};

  Guest(Fd socket, const PeerProof& begun, Instant now) : connection(std::move(socket), now), proof(begun), came(now) {}
};

}  // namespace

struct Agent::Inner {
  AgentOptions options;
  Fd listener;
  std::list<Guest> guests{};
  std::list<Held> sessions{};

  void note(AgentEvent::Kind kind, std::string text) const {
    if (options.services.on_event) options.services.on_event({kind, std::move(text)});
  }

  // --- connections ---

  void accept_all(Instant now) {
    for (;;) {
      Fd socket(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!socket.is_open()) return;
      const auto peer = peer_of(socket.get());
      if (peer != options.peer) {
        note(AgentEvent::Kind::stranger, "a connection from " + (peer ? peer->text() : "an unknown address"));
        continue;
      }
      if (guests.size() >= connections_max) continue;
      if (!prepare_socket(socket.get(), options.device)) continue;
      const auto nonce = make_nonce();
      if (!nonce) continue;
      Guest& guest = guests.emplace_back(std::move(socket), PeerProof(options.identification, mirror_purpose, Role::agent, *nonce), now);
      guest.proof.begin(guest.connection.out());
    }
  }

  Status serve(Guest& guest, Instant now) {
    LT_CHECK(guest.connection.fill(now));
    while (!guest.is_over) {
      LT_TRY(const auto frame, guest.connection.next_frame());
      if (!frame) break;
      LT_CHECK(take(guest, *frame, now));
    }
    return {};
  }

  Status take(Guest& guest, const Connection::Frame& frame, Instant now) {
    if (!guest.is_proven) {
      LT_TRY(guest.is_proven, guest.proof.take(static_cast<std::uint8_t>(frame.type), frame.payload, guest.connection.out()));
      return {};
    }
    if (guest.held == nullptr) {
      if (frame.type != FrameType::attach) return fail(Errc::protocol, "a frame before a session");
      return attach(guest, frame.payload, now);
    }
    PipeEnd& pipe = guest.held->session.pipe();
    if (frame.type == FrameType::data) return pipe.in.accept(load_be64(frame.payload.data()), frame.payload.subspan(8));
    if (frame.type == FrameType::ack) {
      const auto ack = parse_ack(frame.payload);
      if (!ack) return fail(Errc::protocol, "an acknowledgement that makes no sense");
      guest.held->peer_received = ack->received;
      if (guest.held->flight.delivered(ack->received, now)) guest.held->flight.set_round_trip(guest.connection.watch_path());
      return pipe.out.acknowledge(ack->consumed);
    }
    if (frame.type == FrameType::rate) {
      guest.held->pacer.set_rate(parse_rate(frame.payload), now);
      guest.held->gate_opens = now;
      return {};
    }
    if (frame.type != FrameType::bye) return fail(Errc::protocol, "a frame out of its order");
    guest.held->session.give_up(now);
    leave(guest, now);
    return {};
  }

  Status attach(Guest& guest, ByteView payload, Instant now) {
    const auto wish = parse_attach(payload);
    if (!wish) return fail(Errc::protocol, "an attach that makes no sense");
    auto found = std::find_if(sessions.begin(), sessions.end(), [&](const Held& held) { return held.session.id() == wish->session; });
    if (found == sessions.end()) {
      if (!wish->is_fresh || wish->received != 0) return refuse(guest, "the session is gone: the agent was restarted, or it was away for too long");
      if (sessions.size() >= sessions_max) return refuse(guest, "the agent has as many sessions as it holds");
      if (wish->window < window_bytes_min || wish->window > options.window_max) {
        return refuse(guest, "the window is " + std::to_string(wish->window) + " bytes where this site holds at most " +
                                 std::to_string(options.window_max) + ": set the same mirror.window at both sites");
      }
      sessions.push_back({.session = Session(wish->session, wish->window, options.services), .counted = now});
      found = std::prev(sessions.end());
    }
    Held& held = *found;
    if (held.guest != nullptr) leave(*held.guest, now);
    LT_CHECK(held.session.pipe().out.resume(wish->received));
    held.peer_received = wish->received;
    held.flight.restart();
    held.guest = &guest;
    guest.held = &held;
    put_attached(guest.connection.out(), held.session.pipe().in.received());
    note(AgentEvent::Kind::attached, wish->is_fresh ? "a new session" : "a session goes on");
    return {};
  }

  Status refuse(Guest& guest, const std::string& why) {
    put_frame(guest.connection.out(), FrameType::refused, as_bytes(why));
    return {};
  }

  // The connection goes, the session stays.
  void leave(Guest& guest, Instant now) {
    if (guest.held != nullptr) {
      guest.held->guest = nullptr;
      guest.held->alone_until = now + options.session_hold;
      guest.held = nullptr;
    }
    guest.connection.abort();
    guest.is_over = true;
  }

  // --- sessions ---

  void talk(Held& held, Instant now) {
    Connection& connection = held.guest->connection;
    PipeEnd& pipe = held.session.pipe();
    while (connection.output_waiting() < output_queue_bytes && held.sendable() > 0 && !held.is_gated(now)) {
      std::size_t left = held.take_allowance(std::min(held.sendable(), frame_payload_bytes_max - 8), now);
      // The ring may end before the allowance does: two frames then.
      while (left > 0) left -= connection.put_data(pipe.out, left);
      held.flight.sent(pipe.out.next_number(), now);
    }
    // Often enough that the window never stands between; else at the pace of the other's counters.
    const std::uint64_t consumed = pipe.in.consumed();
    const bool is_news = consumed != held.acked || pipe.in.ready() > 0 || pipe.out.held() > 0;
    const bool is_due = consumed - held.acked >= window_bytes_min / 2 || (is_news && now - held.counted >= counters_interval) ||
                        (consumed != held.acked && pipe.in.ready() == 0);
    if (!is_due && !connection.needs_heartbeat(now)) return;
    put_ack(connection.out(), {.consumed = consumed,
                               .received = pipe.in.received(),
                               .produced = pipe.out.end(),
                               .wait = static_cast<std::uint32_t>(held.session.child_wait())});
    held.acked = consumed;
    held.counted = now;
  }

  void care_for_guests(Instant now) {
    for (Guest& guest : guests) {
      if (guest.is_over) continue;
      if (guest.held != nullptr) talk(*guest.held, now);
      Status status = guest.connection.flush(now);
      if (status && guest.connection.is_silent(now)) status = fail(Errc::timed_out, "the other site is silent");
      if (status && guest.held == nullptr && now - guest.came > greeting_patience) status = fail(Errc::timed_out, "no session");
      if (!status) part(guest, status.error(), now);
    }
    guests.remove_if([](const Guest& guest) { return guest.is_over; });
  }

  void care_for_sessions(Instant now) {
    for (Held& held : sessions) {
      const Status pumped = held.session.pump();
      if (!pumped) held.session.give_up(now);
      const bool is_alone = held.guest == nullptr;
      if (is_alone && now > held.alone_until) held.session.give_up(now);
      if (held.session.is_gone(now) && held.guest != nullptr) leave(*held.guest, now);
    }
    sessions.remove_if([&](Held& held) { return held.guest == nullptr && (held.session.is_gone(now) || held.session.is_done()); });
  }

  // A session whose program has ended is over; one whose path is lost waits. Reading and writing both come
  // here: who of the two meets the end first is chance.
  void part(Guest& guest, const Error& error, Instant now) {
    Held* const held = guest.held;
    if (!guest.is_proven && error.code != Errc::closed) note(AgentEvent::Kind::stranger, error.text());
    leave(guest, now);
    if (held == nullptr) return;
    const bool is_lost = error.code != Errc::closed && error.code != Errc::protocol;
    if (!is_lost) held->session.give_up(now);
    if (error.sys_errno == ECONNRESET) held->alone_until = now + std::min<Nanoseconds>(options.session_hold, options.reset_hold);
    if (is_lost) note(AgentEvent::Kind::lost, "the path to the other site: " + error.text());
  }

  Status turn(Instant now) {
    std::vector<pollfd> waits{{listener.get(), POLLIN, 0}};
    for (const Guest& guest : guests) {
      const bool has_more = guest.held != nullptr && guest.held->sendable() > 0 && !guest.held->is_gated(now);
      const int events = guest.connection.has_output() || has_more ? POLLIN | POLLOUT : POLLIN;
      waits.push_back({guest.connection.fd(), static_cast<short>(events), 0});
    }
    for (const Held& held : sessions) held.session.add_waits(waits);
    Milliseconds patience = poll_max;
    for (const Guest& guest : guests) {
      if (guest.held == nullptr) continue;
      patience = std::min(patience, counters_interval / 2);
      if (guest.held->is_gated(now)) patience = std::min(patience, std::chrono::ceil<Milliseconds>(guest.held->gate_opens - now));
    }
    if (::poll(waits.data(), waits.size(), static_cast<int>(patience.count())) < 0 && errno != EINTR) {
      return fail_errno(errno, "the agent cannot wait");
    }
    now = SteadyClock().now();
    std::size_t at = 1;
    for (Guest& guest : guests) {
      const bool is_ready = (waits[at++].revents & ~POLLOUT) != 0;
      if (!is_ready || guest.is_over) continue;
      if (const Status served = serve(guest, now); !served) part(guest, served.error(), now);
    }
    if ((waits[0].revents & POLLIN) != 0) accept_all(now);
    care_for_sessions(now);
    care_for_guests(now);
    return {};
  }
};

Agent::Agent(std::unique_ptr<Inner> inner) : inner_(std::move(inner)) {}
Agent::Agent(Agent&&) noexcept = default;
Agent::~Agent() = default;

Result<Agent> Agent::create(AgentOptions options) {
  if (options.window_max < window_bytes_min || options.window_max > window_bytes_max) {
    return fail(Errc::invalid, "mirror.window has to be between 1 MiB and 1 GiB");
  }
  LT_TRY(Fd listener, listen_on(options.own, options.port));
  auto inner = std::make_unique<Inner>();
  inner->options = std::move(options);
  inner->listener = std::move(listener);
  return Agent(std::move(inner));
}

Status Agent::run(std::stop_token stop) {
  Inner& inner = *inner_;
  inner.note(AgentEvent::Kind::listening, Endpoint{inner.options.own.text(), inner.options.port}.text());
  while (!stop.stop_requested()) LT_CHECK(inner.turn(SteadyClock().now()));
  const Instant until = SteadyClock().now() + Seconds(5);
  for (Held& held : inner.sessions) held.session.give_up(SteadyClock().now());
  while (!inner.sessions.empty() && SteadyClock().now() < until) LT_CHECK(inner.turn(SteadyClock().now()));
  return {};
}

}  // namespace lt::mirror

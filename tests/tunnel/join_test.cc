// Two link machines, joined in memory: time and network are the test's.
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "tests/tunnel/handshake_ends.h"
#include "tunnel/link_machine.h"

using namespace lt;
using namespace lt::tunnel;
using namespace lt::tunnel::testing;
using namespace std::chrono_literals;

namespace {

MachineOptions machine_options(crypto::Role role, std::uint8_t lanes, bool express, Byte boot) {
  const Site& own = role == crypto::Role::client ? office() : offsite();
  const Site& peer = role == crypto::Role::client ? offsite() : office();
  MachineOptions options;
  options.role = role;
  options.tls = &own.tls;
  options.own_key = own.key();
  options.peer_key = peer.key();
  options.offer = an_offer(boot);
  options.offer.lane_count = lanes;
  options.offer.express = express;
  return options;
}

/// A machine and what it wants done. Its lanes are names only.
struct End {
  std::unique_ptr<LinkMachine> machine;
  std::map<ConnectionId, ConnectionId> far;  // of a connection: what the other end calls it
  std::map<ConnectionId, DoStartLane> lanes;
  std::vector<LinkEvent> events;
  std::size_t connects{0};
  std::map<ConnectionId, std::uint32_t> segments;  // of a connection: how large they may be; 0: as the system finds it

  explicit End(const MachineOptions& options) : machine(std::make_unique<LinkMachine>(options)) {}
  [[nodiscard]] std::size_t count(LinkEventKind kind) const {
    return static_cast<std::size_t>(
        std::count_if(events.begin(), events.end(), [kind](const LinkEvent& e) { return e.kind == kind; }));
  }
  [[nodiscard]] bool has_told(const std::string& text) const {
    return std::any_of(events.begin(), events.end(),
                       [&](const LinkEvent& e) { return e.detail.find(text) != std::string::npos; });
  }
};

struct Pair {
  End client;
  End server;
  Instant now{std::chrono::hours(1)};
  bool is_reachable{true};

  explicit Pair(std::uint8_t lanes = 1, bool express = false, Byte boot = 1)
      : Pair(machine_options(crypto::Role::client, lanes, express, boot),
             machine_options(crypto::Role::server, lanes, express, 9)) {}
  Pair(const MachineOptions& for_client, const MachineOptions& for_server) : client(for_client), server(for_server) {}

  void settle() {
    for (bool moved = true; moved;) {
      moved = carry(client, server);
      moved |= carry(server, client);
    }
  }
  void tick() {
    for (int i = 0; i < 50; ++i) {
      client.machine->on_tick(now);
      server.machine->on_tick(now);
      settle();
    }
  }
  void pass(std::chrono::milliseconds time, std::chrono::milliseconds step = 10ms) {
    for (const Instant until = now + time; now < until;) {
      now += step;
      for (End* end : {&client, &server}) {
        if (!is_silent) hear(*end);
      }
      client.machine->on_tick(now);
      server.machine->on_tick(now);
      settle();
    }
  }
  void hear(End& end) const {
    for (const auto& [id, lane] : end.lanes) {
      if (passes(end, id)) end.machine->on_lane_heard(id, now, true, 0);
    }
  }
  /// Whether full size passes on a lane.
  [[nodiscard]] bool passes(const End& end, ConnectionId id) const {
    if (widest == 0) return true;
    const auto found = client.segments.find(&end == &client ? id : end.far.at(id));
    return found != client.segments.end() && found->second > 0 && found->second <= widest;
  }
  std::uint32_t widest{0};  // segment that the path lets through, saying nothing of others; 0: whatever is sent
  void end_lane(End& end, ConnectionId id, LaneEnd why = LaneEnd::closed) const {
    end.lanes.erase(id);
    end.machine->on_lane_end(id, why, "a test", now);
  }
  /// The connection breaks: both lanes end.
  void cut(std::size_t index) {
    const ConnectionId id = *client.machine->lane_at(index);
    end_lane(server, client.far.at(id));
    end_lane(client, id);
    settle();
  }
  bool is_silent{false};
  /// The path is back: what was on its way arrives.
  void answer_late() {
    for (const ConnectionId id : std::exchange(late_, {})) answer(client, server, id);
    settle();
  }

 private:
  std::vector<ConnectionId> late_;

  bool carry(End& from, End& to) {
    auto actions = from.machine->take_actions();
    for (LinkAction& action : actions) {
      std::visit([&](auto& wish) { carry_out(from, to, wish); }, action);
    }
    return !actions.empty();
  }
  void carry_out(End& from, End& to, DoConnect& wish) {
    ++from.connects;
    from.segments[wish.id] = wish.segment_bytes_max;
    if (!is_reachable) return late_.push_back(wish.id);  // nobody answers
    answer(from, to, wish.id);
  }
  void answer(End& from, End& to, ConnectionId connect) const {
    const auto id = to.machine->on_accept(*IpAddress::parse("198.51.100.2"), "198.51.100.2:1", now);
    if (!id) return from.machine->on_connect_failed(connect, "server", Error{Errc::closed, "refused", 0}, now);
    from.far[connect] = *id;
    to.far[*id] = connect;
    from.machine->on_connected(connect, *IpAddress::parse("198.51.100.1"), "198.51.100.1:5198", now);
  }
  void carry_out(End& from, End& to, DoSend& wish) const {
    if (is_reachable && from.far.contains(wish.id)) to.machine->on_bytes(from.far.at(wish.id), wish.bytes, now);
  }
  void carry_out(End& from, End& to, DoClose& wish) const {
    if (is_reachable && from.far.contains(wish.id)) {
      to.machine->on_closed(from.far.at(wish.id), Error{Errc::closed, "closed", 0}, now);
    }
  }
  void carry_out(End& from, End&, DoStartLane& wish) const { from.lanes.emplace(wish.id, std::move(wish)); }
  void carry_out(End& from, End&, DoStopLane& wish) const { end_lane(from, wish.id, LaneEnd::local_stop); }
  void carry_out(End& from, End&, DoTell& wish) const { from.events.push_back(wish.event); }
};

/// A client's handshake by hand against a server machine, as a thief would try it.
struct Thief {
  Handshake handshake;
  ConnectionId id;

  Thief(End& server, const HandshakeOptions& options, Instant now)
      : handshake(make_handshake(options)),
        id(*server.machine->on_accept(*IpAddress::parse("203.0.113.9"), "thief", now)) {
    for (bool moved = true; moved;) {
      const auto bytes = handshake.take_output();
      moved = !bytes.empty();
      if (moved) server.machine->on_bytes(id, bytes, now);
      for (LinkAction& action : server.machine->take_actions()) {
        if (auto* send = std::get_if<DoSend>(&action); send != nullptr && send->id == id) {
          moved = true;
          if (status) status = handshake.on_bytes(send->bytes);
        }
        if (auto* start = std::get_if<DoStartLane>(&action)) has_lane |= start->id == id;
      }
    }
  }
  Status status;
  bool has_lane{false};
};

}  // namespace

TEST_CASE("a session has the smaller number of lanes that both ends want, and express if both do", "[tunnel][join][P-64][P-74]") {
  const auto [client_lanes, server_lanes, client_express, server_express, agreed, express] =
      GENERATE(table<std::uint8_t, std::uint8_t, bool, bool, std::size_t, bool>({{1, 1, false, false, 1, false},
                                                                                {2, 2, true, true, 2, true},
                                                                                {4, 2, true, true, 2, true},
                                                                                {2, 16, true, false, 2, false},
                                                                                {5, 1, true, true, 1, false},
                                                                                {16, 16, true, true, 16, true}}));
  auto for_client = machine_options(crypto::Role::client, client_lanes, client_express, 1);
  auto for_server = machine_options(crypto::Role::server, server_lanes, server_express, 9);
  Pair pair(for_client, for_server);
  pair.tick();
  pair.pass(4s);
  CHECK(pair.client.machine->lanes_up() == agreed);
  CHECK(pair.server.machine->lanes_up() == agreed);
  REQUIRE(pair.server.machine->terms() != nullptr);
  CHECK(pair.server.machine->terms()->express == express);
  CHECK(pair.client.machine->terms()->express == express);
  CHECK(pair.client.count(LinkEventKind::session_up) == 1);
}

TEST_CASE("no two lanes of a session share a key", "[tunnel][join][P-64]") {
  Pair pair(4);
  pair.tick();
  pair.pass(2s);
  REQUIRE(pair.client.lanes.size() == 4);
  std::set<std::vector<Byte>> secrets;
  for (const auto& [id, lane] : pair.client.lanes) {
    for (const auto* secret : {&lane.established.outbound, &lane.established.inbound}) {
      secrets.insert({secret->reveal().begin(), secret->reveal().end()});
    }
    const auto& far = pair.server.lanes.at(pair.client.far.at(id)).established;
    CHECK(std::equal(far.inbound.reveal().begin(), far.inbound.reveal().end(), lane.established.outbound.reveal().begin()));
  }
  CHECK(secrets.size() == 8);
}

TEST_CASE("a join without the session's secret, or of no session, is refused and changes nothing", "[tunnel][join][P-65]") {
  Pair pair(4);
  pair.tick();
  pair.pass(2s);
  const SessionId session = pair.client.lanes.begin()->second.established.session_id;
  SessionTerms stolen;  // the thief has our long-term key and the session's id, but not its secret
  stolen.join = crypto::Secret<32>::random();
  stolen.lane_count = 4;
  Pair before(4);
  before.tick();
  HandshakeOptions options = client_options();
  SECTION("the id is right, the secret is not") { options.join = JoinRequest{session, &stolen, 1, TakeOver::abandoned}; }
  SECTION("the id never was") {
    SessionId other = session;
    other[3] ^= 1;
    options.join = JoinRequest{other, pair.client.machine->terms(), 1, TakeOver::abandoned};
  }
  SECTION("the secret of the session before") {
    options.join = JoinRequest{session, before.client.machine->terms(), 1, TakeOver::abandoned};
  }
  const Thief thief(pair.server, options, pair.now);
  CHECK_FALSE(thief.status);
  CHECK(thief.handshake.rejected() == RejectCode::unknown_session);
  CHECK_FALSE(thief.has_lane);
  CHECK(pair.server.machine->lanes_up() == 4);
}

TEST_CASE("a join is busy where the lane runs, does not exist, or too many came", "[tunnel][join][P-66]") {
  Pair pair(4);
  pair.tick();
  pair.pass(2s);
  const SessionId session = pair.client.lanes.begin()->second.established.session_id;
  SessionTerms terms;
  terms.join = crypto::Secret<32>::copy_of(pair.client.machine->terms()->join.reveal());
  terms.lane_count = 16;
  HandshakeOptions options = client_options();
  const auto try_index = [&](std::uint8_t index, TakeOver how) {
    options.join = JoinRequest{session, &terms, index, how};
    return Thief(pair.server, options, pair.now).handshake.rejected();
  };
  CHECK(try_index(1, TakeOver::no) == RejectCode::busy);
  CHECK(try_index(4, TakeOver::abandoned) == RejectCode::busy);
  CHECK(try_index(15, TakeOver::abandoned) == RejectCode::busy);
  std::size_t taken = 0;
  for (int i = 0; i < 12; ++i) taken += try_index(2, TakeOver::abandoned) ? 0U : 1U;
  CHECK(taken == 8);
  pair.now += 1001ms;
  CHECK_FALSE(try_index(2, TakeOver::abandoned).has_value());
}

TEST_CASE("a server that has forgotten the session is given a new one, at once", "[tunnel][join][P-67]") {
  Pair pair(2);
  pair.tick();
  pair.pass(2s);
  REQUIRE(pair.client.machine->lanes_up() == 2);
  pair.server = End(machine_options(crypto::Role::server, 2, false, 10));  // it was restarted
  while (!pair.client.lanes.empty()) pair.end_lane(pair.client, pair.client.lanes.begin()->first);
  pair.pass(500ms);
  CHECK(pair.client.count(LinkEventKind::session_up) == 2);
  CHECK(pair.client.machine->lanes_up() == 2);
  CHECK(pair.client.has_told("there is no such session to join"));
}

TEST_CASE("two machines with one key: the one that runs keeps the session", "[tunnel][join][P-68]") {
  End server(machine_options(crypto::Role::server, 1, false, 9));
  Instant now{std::chrono::hours(1)};
  std::vector<std::optional<RejectCode>> answers;
  for (int turn = 0; turn < 12; ++turn) {
    now += 2s;
    HandshakeOptions options = client_options();
    options.offer.boot_id.fill(turn % 2 == 0 ? 1 : 2);
    answers.push_back(Thief(server, options, now).handshake.rejected());
  }
  CHECK_FALSE(answers[0]);
  CHECK_FALSE(answers[3]);  // twice may happen to anybody
  CHECK(answers[11] == RejectCode::duplicate_identity);
  now += 70s;
  HandshakeOptions options = client_options();
  options.offer.boot_id.fill(3);
  CHECK_FALSE(Thief(server, options, now).handshake.rejected());
}

TEST_CASE("a client that restarts again and again is no second machine", "[tunnel][join][P-68]") {
  End server(machine_options(crypto::Role::server, 1, false, 9));
  Instant now{std::chrono::hours(1)};
  for (Byte boot = 1; boot < 20; ++boot) {
    now += 1s;
    HandshakeOptions options = client_options();
    options.offer.boot_id.fill(boot);
    CHECK_FALSE(Thief(server, options, now).handshake.rejected());
  }
}

TEST_CASE("a lane that has grown old, or carried enough, is taken over gracefully", "[tunnel][join][P-69]") {
  auto for_client = machine_options(crypto::Role::client, 2, true, 1);
  for_client.times.lane_age = 10min;
  Pair pair(for_client, machine_options(crypto::Role::server, 2, true, 9));
  pair.tick();
  pair.pass(1s);
  REQUIRE(pair.client.lanes.size() == 2);
  const auto count_graceful = [&] {
    return std::count_if(pair.server.lanes.begin(), pair.server.lanes.end(), [](const auto& entry) {
      return entry.second.established.take_over == TakeOver::graceful && entry.second.ends == GoodbyeReason::moved;
    });
  };
  SECTION("by age, give or take a tenth") {
    pair.pass(8min + 50s, 1s);
    CHECK(count_graceful() == 0);
    pair.pass(2min + 15s, 1s);
    CHECK(count_graceful() == 2);
  }
  SECTION("by bytes") {
    pair.client.machine->on_lane_heard(*pair.client.machine->lane_at(0), pair.now, true, (std::uint64_t{1} << 40) - 1);
    pair.pass(1s);
    CHECK(count_graceful() == 0);
    pair.client.machine->on_lane_heard(*pair.client.machine->lane_at(0), pair.now, true, std::uint64_t{1} << 40);
    pair.pass(1s);
    CHECK(count_graceful() == 1);
  }
  CHECK(pair.client.count(LinkEventKind::session_up) == 1);
  CHECK(pair.client.count(LinkEventKind::lane_ended) == 0);
}

TEST_CASE("on a path that drops large packets and tells nobody the lanes get smaller segments until they pass", "[tunnel][join][P-79]") {
  const auto [widest, settled] = GENERATE(values<std::pair<std::uint32_t, std::uint32_t>>({{1452, 1340}, {1340, 1340}, {1300, 1220}, {600, 536}}));
  CAPTURE(widest);
  Pair pair(2, true);
  pair.widest = widest;
  pair.tick();
  pair.pass(25s);
  for (const std::size_t index : {0U, 1U}) {
    const auto lane = pair.client.machine->lane_at(index);
    REQUIRE(lane);
    CHECK(pair.client.segments.at(*lane) == settled);
  }
  const std::size_t told = pair.client.count(LinkEventKind::path_narrow);
  CHECK(pair.client.has_told("at most " + std::to_string(settled) + " bytes"));
  CHECK(pair.client.count(LinkEventKind::session_up) == 1);
  // They stay so, and so does a lane that is cut and joined anew.
  pair.cut(0);
  pair.pass(60s, 100ms);
  CHECK(pair.client.segments.at(*pair.client.machine->lane_at(0)) == settled);
  CHECK(pair.client.count(LinkEventKind::path_narrow) == told);
}

TEST_CASE("no lane waits a second time for segments that another has found too large", "[tunnel][join][P-80]") {
  Pair pair(4, true);
  pair.widest = 1452;
  pair.tick();
  pair.pass(4s);
  for (std::size_t index = 0; index < 4; ++index) {
    CAPTURE(index);
    const auto lane = pair.client.machine->lane_at(index);
    REQUIRE(lane);
    CHECK(pair.client.segments.at(*lane) == 1340);
  }
  CHECK(pair.client.count(LinkEventKind::path_narrow) == 1);
}

TEST_CASE("where not even the smallest segments pass it was not their size, and they are the system's again", "[tunnel][join][P-79]") {
  Pair pair(1);
  pair.widest = 100;
  pair.tick();
  pair.pass(40s);
  CHECK(pair.client.has_told("at most 536 bytes"));
  CHECK(pair.client.has_told("sized by the system again"));
  pair.widest = 0;
  pair.pass(10s);
  const std::size_t told = pair.client.count(LinkEventKind::path_narrow);
  pair.pass(60s, 100ms);
  CHECK(pair.client.count(LinkEventKind::path_narrow) == told);
}

TEST_CASE("a path that is cut, and comes back, costs no segment size", "[tunnel][join][P-79]") {
  Pair pair(2, true);
  pair.tick();
  pair.pass(1s);
  for (int turn = 0; turn < 4; ++turn) {
    pair.is_silent = true;
    pair.is_reachable = false;
    pair.pass(8s);
    pair.is_silent = false;
    pair.is_reachable = true;
    pair.pass(2s);
  }
  CHECK(pair.client.count(LinkEventKind::path_narrow) == 0);
  CHECK(pair.client.segments.rbegin()->second == 0);
}

TEST_CASE("a silent lane is joined anew while the old one may still come back", "[tunnel][join][P-70]") {
  Pair pair(1);
  pair.tick();
  pair.pass(1s);
  const ConnectionId old = *pair.client.machine->lane_at(0);
  pair.is_silent = true;
  pair.is_reachable = false;
  pair.pass(2900ms);
  CHECK(pair.client.connects == 1);
  pair.pass(3s);
  CHECK(pair.client.connects >= 1 + 3s / 300ms - 2);  // a connect each 200 to 300 ms
  CHECK(pair.client.connects <= 1 + 3s / 200ms + 1);
  CHECK(pair.client.machine->lane_at(0) == old);  // it may still be heard
  pair.is_reachable = true;
  pair.pass(300ms);
  CHECK(pair.client.machine->lane_at(0) != old);
  CHECK(pair.client.count(LinkEventKind::session_up) == 1);
  CHECK(pair.server.lanes.rbegin()->second.established.take_over == TakeOver::abandoned);
}

TEST_CASE("a silent lane that is heard again keeps its connection", "[tunnel][join][P-70]") {
  Pair pair(1);
  pair.tick();
  pair.pass(1s);
  const ConnectionId old = *pair.client.machine->lane_at(0);
  pair.is_silent = true;
  pair.is_reachable = false;
  pair.pass(3500ms);
  CHECK(pair.client.connects > 1);  // fresh ones are on their way
  pair.is_silent = false;
  pair.hear(pair.client);
  pair.is_reachable = true;
  pair.answer_late();
  pair.pass(1s);
  CHECK(pair.client.machine->lane_at(0) == old);
  CHECK(pair.client.count(LinkEventKind::lane_up) == 0);
}

TEST_CASE("one lane of several is brought back, the others carry on", "[tunnel][join][P-51][P-70]") {
  Pair pair(4);
  pair.tick();
  pair.pass(1s);
  const auto first = pair.client.machine->lane_at(0);
  pair.cut(2);
  CHECK(pair.client.machine->lanes_up() == 3);
  pair.pass(100ms);
  CHECK(pair.client.machine->lanes_up() == 4);
  CHECK(pair.server.machine->lanes_up() == 4);
  CHECK(pair.client.machine->lane_at(0) == first);
}

TEST_CASE("a session without a lane can be joined for a minute, then it is forgotten", "[tunnel][join][P-75]") {
  Pair pair(1);
  pair.tick();
  pair.pass(100ms);
  pair.cut(0);
  const auto away = GENERATE(30s, 59s, 61s, 300s);
  pair.is_reachable = false;
  pair.pass(away, 100ms);
  pair.is_reachable = true;
  pair.pass(4s);
  INFO(away.count() << " s away");
  CHECK(pair.client.machine->lanes_up() == 1);
  CHECK(pair.client.count(LinkEventKind::session_up) == (away < 60s ? 1 : 2));
}

TEST_CASE("the machine never asks to be called for nothing", "[tunnel][join]") {
  Pair pair(4, true);
  pair.is_reachable = GENERATE(true, false);
  pair.is_silent = GENERATE(true, false);
  std::size_t calls = 0;
  const Instant begin = pair.now;
  pair.client.machine->on_tick(pair.now);
  pair.settle();
  while (pair.now < begin + 120s && calls < 10'000) {
    const Instant next = std::min(pair.client.machine->next_deadline(pair.now), pair.server.machine->next_deadline(pair.now));
    pair.now = std::max(next, pair.now + 1us);
    if (!pair.is_silent) {
      pair.hear(pair.client);
      pair.hear(pair.server);
    }
    pair.client.machine->on_tick(pair.now);
    pair.server.machine->on_tick(pair.now);
    pair.settle();
    ++calls;
  }
  CHECK(calls < 3000);  // 120 s of a connect each 200 ms or more, each with its deadline, and some for lanes
}

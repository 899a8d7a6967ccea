// The client's link machine, driven by hand.
#include "tunnel/link_machine.h"

#include <catch2/catch.hpp>

#include "tests/tunnel/handshake_ends.h"

namespace lt::tunnel {
namespace {

using namespace testing;
using namespace std::chrono_literals;

struct ClientMachine {
  Instant now{1h};
  LinkMachine machine;
  std::vector<ConnectionId> connects;  // asked for
  std::vector<ConnectionId> closed;
  std::vector<DoStartLane> lanes;

  explicit ClientMachine(const LinkTimes& times = {}) : machine(options(times)) {}

  static MachineOptions options(const LinkTimes& times) {
    MachineOptions result;
    result.role = crypto::Role::client;
    result.tls = &office().tls;
    result.own_key = office().key();
    result.peer_key = offsite().key();
    result.offer = an_offer();
    result.offer.lane_count = 3;
    result.times = times;
    return result;
  }
  /// Carries out what the machine wants; `server` is at the other end of connection `id`.
  void settle(ConnectionId id = 0, Handshake* server = nullptr) {
    for (auto actions = machine.take_actions(); !actions.empty(); actions = machine.take_actions()) {
      for (LinkAction& action : actions) {
        if (auto* connect = std::get_if<DoConnect>(&action)) connects.push_back(connect->id);
        if (auto* close = std::get_if<DoClose>(&action)) closed.push_back(close->id);
        if (auto* start = std::get_if<DoStartLane>(&action)) lanes.push_back(std::move(*start));
        auto* const send = std::get_if<DoSend>(&action);
        if (send == nullptr || server == nullptr || send->id != id) continue;
        static_cast<void>(server->on_bytes(send->bytes));
        const auto answer = server->take_output();
        if (!answer.empty()) machine.on_bytes(id, answer, now);
      }
    }
  }
  void connected(ConnectionId id) {
    machine.on_connected(id, *IpAddress::parse("192.0.2.1"), "192.0.2.1:5198", now);
  }
  /// Brings lane 0 of a session of three up.
  void begin_session() {
    machine.on_tick(now);
    settle();
    REQUIRE(connects.size() == 1);
    HandshakeOptions for_server = server_options();
    for_server.offer.lane_count = 3;
    Handshake server = make_handshake(for_server);
    connected(connects[0]);
    settle(connects[0], &server);
    REQUIRE(lanes.size() == 1);
    REQUIRE(machine.lanes_up() == 1);
  }
};

TEST_CASE("a join that is under way when its session is forgotten is closed, and a session begun",
          "[tunnel][link_machine][P-75]") {
  const bool has_connected = GENERATE(false, true);
  INFO((has_connected ? "in its handshake" : "still connecting"));
  LinkTimes times;
  times.session_kept = 1s;
  ClientMachine client(times);
  client.begin_session();
  client.machine.on_lane_end(client.lanes[0].id, LaneEnd::closed, "cut", client.now);
  client.machine.on_tick(client.now);
  client.settle();
  REQUIRE(client.connects.size() >= 2);
  const ConnectionId join = client.connects.back();
  if (has_connected) {
    client.connected(join);  // the server says nothing for the time being
    client.settle();
    REQUIRE(client.machine.bytes_wanted_max(join) > 0);
  }
  REQUIRE(client.machine.has_session());
  client.now += 1001ms;
  client.machine.on_tick(client.now);
  client.settle();
  CHECK_FALSE(client.machine.has_session());
  CHECK(std::count(client.closed.begin(), client.closed.end(), join) == 1);
  CHECK(client.machine.bytes_wanted_max(join) == 0);
  client.now += 300ms;
  client.machine.on_tick(client.now);
  client.settle();
  const ConnectionId fresh = client.connects.back();
  CHECK(fresh > join);
  // It begins a session: no join of the old one is left to go on in the new one.
  HandshakeOptions for_server = server_options();
  Handshake server = make_handshake(for_server);
  client.connected(fresh);
  client.settle(fresh, &server);
  REQUIRE(client.lanes.size() == 2);
  CHECK_FALSE(client.lanes[1].established.is_join);
  CHECK(client.machine.terms()->lane_count == 1);
  client.connected(join);  // too late
  client.settle();
  CHECK(client.machine.bytes_wanted_max(join) == 0);
}

TEST_CASE("while nobody answers no two calls in a row find the machine's deadline in the past",
          "[tunnel][link_machine][P-51]") {
  enum class Trouble { refused, silence, closed_at_once, session_lost };
  const Trouble trouble = GENERATE(Trouble::refused, Trouble::silence, Trouble::closed_at_once,
                                   Trouble::session_lost);
  INFO("trouble " << int(trouble));
  LinkTimes times;
  times.lane_age = 10s;  // renewal falls into the trouble
  ClientMachine client(times);
  client.begin_session();
  if (trouble == Trouble::session_lost) {
    client.machine.on_lane_end(client.lanes[0].id, LaneEnd::dead, "dead", client.now);
  }
  const Instant until = client.now + 200s;
  std::size_t answered = client.connects.size();
  std::size_t calls = 0;
  while (client.now < until && calls < 100'000) {
    if (trouble != Trouble::session_lost) {
      client.machine.on_lane_heard(client.lanes[0].id, client.now, true, 0);
    }
    client.machine.on_tick(client.now);
    client.settle();
    for (; answered < client.connects.size(); ++answered) {
      const ConnectionId id = client.connects[answered];
      const Error why{Errc::closed, "no", 0};
      if (trouble == Trouble::refused) client.machine.on_connect_failed(id, "server", why, client.now);
      if (trouble != Trouble::closed_at_once) continue;
      client.connected(id);
      client.machine.on_closed(id, why, client.now);
    }
    client.settle();
    const Instant next = client.machine.next_deadline(client.now);
    if (next <= client.now) {
      client.machine.on_tick(client.now);
      client.settle();
      for (; answered < client.connects.size(); ++answered) {
        client.machine.on_connect_failed(client.connects[answered], "server",
                                         Error{Errc::closed, "no", 0}, client.now);
      }
      CHECK(client.machine.next_deadline(client.now) > client.now);
    }
    client.now = std::max(next, client.now + 1ms);
    ++calls;
  }
  CHECK(calls < 5000);
  CHECK(client.connects.size() > 10);
  CHECK(client.connects.size() < 3100);  // of each of three lanes one in 200 ms or longer
  CHECK(client.machine.greetings() <= 32);
}

TEST_CASE("a machine that is shut down begins nothing more", "[tunnel][link_machine][P-47]") {
  ClientMachine client;
  client.begin_session();
  client.machine.on_tick(client.now);
  client.settle();
  client.machine.shut_down();
  const auto before = client.connects.size();
  CHECK(client.machine.greetings() == 0);
  CHECK_FALSE(client.machine.has_session());
  for (int i = 0; i < 1000; ++i) {
    client.now += 100ms;
    client.machine.on_tick(client.now);
    client.settle();
  }
  CHECK(client.connects.size() == before);
}

}  // namespace
}  // namespace lt::tunnel

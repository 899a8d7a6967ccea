#include "tunnel/link.h"

#include <sys/resource.h>
#include <time.h>

#include <set>

#include "tests/tunnel/link_ends.h"

namespace lt::tunnel {
namespace {

using namespace testing;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = LinkEventKind;

// One packet there and one back.
void exchange(const RunningLink& office_end, const RunningLink& offsite_end) {
  REQUIRE(office_end.tun.put({}, build(to_offsite())));
  const auto there = offsite_end.tun.take();
  REQUIRE(there);
  CHECK(there->bytes == build(to_offsite()));
  REQUIRE(offsite_end.tun.put({}, build(to_office())));
  const auto back = office_end.tun.take();
  REQUIRE(back);
  CHECK(back->bytes == build(to_office()));
}

bool is_up(const LinkSnapshot& snapshot) {
  return snapshot.has_lane && snapshot.is_proven;
}

// --- joined ---

TEST_CASE("two links find each other, carry packets both ways and end within two seconds",
          "[tunnel][link][P-16][P-63]") {
  for (const IoBackend io : backends()) {
    INFO(testing::name_of(io));
    std::atomic<std::uint32_t> agreed_at_server{0};
    std::atomic<std::uint32_t> agreed_at_client{0};
    LinkOptions for_server = listening();
    for_server.io = io;
    for_server.tun_mtu = 1400;
    for_server.times = {};
    for_server.on_agreed_mtu = [&](std::uint32_t mtu) -> Status {
      agreed_at_server = mtu;
      return {};
    };
    RunningLink server(std::move(for_server));
    LinkOptions for_client = connecting(server.link->listen_port());
    for_client.io = io;
    for_client.tun_mtu = 9000;
    for_client.times = {};
    for_client.on_agreed_mtu = [&](std::uint32_t mtu) -> Status {
      agreed_at_client = mtu;
      return {};
    };
    RunningLink client(std::move(for_client));
    server.wait_for(Kind::session_up);
    client.wait_for(Kind::session_up);
    CHECK(agreed_at_server == 1400);
    CHECK(agreed_at_client == 1400);
    exchange(client, server);
    client.wait_until(is_up);
    server.wait_until(is_up);
    const LinkSnapshot seen = client.link->snapshot();
    CHECK(seen.sessions == 1);
    CHECK(seen.tun_mtu == 1400);
    CHECK(seen.rtt);
    CHECK(seen.peer == "127.0.0.1:" + std::to_string(server.link->listen_port()));
    CHECK_FALSE(seen.congestion_control.empty());
    CHECK(server.link->snapshot().strangers == 0);

    CHECK(client.stop() < seconds(2));
    CHECK(server.stop() < seconds(2));
    CHECK(client.has_run_well());
    CHECK(server.has_run_well());
    // What ended lanes have carried is still counted, and each side's counts are the other's.
    const LinkSnapshot at_client = client.link->snapshot();
    const LinkSnapshot at_server = server.link->snapshot();
    CHECK_FALSE(at_client.has_lane);
    CHECK(at_client.outbound.packets == 1);
    CHECK(at_server.inbound.packets == 1);
    CHECK(at_client.outbound.packet_bytes == at_server.inbound.packet_bytes);
    CHECK(at_client.outbound.records == at_server.inbound.records);
    CHECK(at_client.outbound.wire_bytes == at_server.inbound.wire_bytes);
    CHECK(at_client.lane_ends.at("local_stop") == 1);
    CHECK(at_server.lane_ends.at("peer_goodbye") == 1);
  }
}

TEST_CASE("links with the same pre-shared key join, with different ones the client knocks in vain",
          "[tunnel][link][P-1][P-4]") {
  const bool is_same = GENERATE(true, false);
  LinkOptions for_server = listening();
  for_server.psk = crypto::Secret<32>::copy_of(psk_one);
  RunningLink server(std::move(for_server));
  LinkOptions for_client = connecting(server.link->listen_port());
  for_client.psk = crypto::Secret<32>::copy_of(is_same ? psk_one : psk_two);
  RunningLink client(std::move(for_client));
  if (is_same) {
    client.wait_for(Kind::session_up);
    exchange(client, server);
  } else {
    server.wait_for(Kind::stranger);
    const auto failed = client.wait_for(Kind::handshake_failed);
    CHECK(failed.event.detail == "the peer closed during the handshake");
    CHECK(server.link->snapshot().sessions == 0);
  }
}

TEST_CASE("sites that disagree about their networks are told so at both ends",
          "[tunnel][link][P-15]") {
  LinkOptions for_server = listening();
  for_server.admission.local_prefixes.pop_back();
  RunningLink server(std::move(for_server));
  RunningLink client(connecting(server.link->listen_port()));
  const auto at_server = server.wait_for(Kind::handshake_failed);
  const auto at_client = client.wait_for(Kind::handshake_failed);
  CHECK(has(at_server.event.detail, "the sites disagree about their networks"));
  CHECK(has(at_client.event.detail, "the peer refused: the sites disagree about their networks"));
  CHECK(has(client.link->snapshot().last_failure, "disagree"));
  CHECK(server.link->snapshot().strangers == 0);
}

TEST_CASE("a link that cannot set the agreed MTU does not come up, and says why",
          "[tunnel][link]") {
  RunningLink server(listening());
  LinkOptions for_client = connecting(server.link->listen_port());
  for_client.on_agreed_mtu = [](std::uint32_t) -> Status {
    return fail(Errc::not_permitted, "no right to set the MTU");
  };
  RunningLink client(std::move(for_client));
  CHECK(client.wait_for(Kind::handshake_failed).event.detail == "no right to set the MTU");
  CHECK(client.link->snapshot().sessions == 0);
}

TEST_CASE("a link is proven only while full-size PING are answered", "[tunnel][link][P-63]") {
  LinkOptions options = listening();
  options.times.suspect = milliseconds(500);
  options.times.lane.ping = milliseconds(50);
  RunningLink server(std::move(options));
  const Fd fd = connect_to(server.link->listen_port());
  Established keys = shake_hands_as_office(fd);
  server.wait_for(Kind::session_up);
  Opener opener = *Opener::create(std::move(keys.inbound));
  Sealer sealer = *Sealer::create(std::move(keys.outbound), {}, now());
  ReceiveBuffer buffer(receive_buffer_bytes(record_limit_max));
  // Answers the PINGs that come, each by as many bytes as asked for, until `until`.
  const auto answer = [&](std::size_t bytes, auto&& until) {
    const Instant end = now() + patience;
    while (!until() && now() < end) {
      buffer.make_room(record_limit_max + record_overhead_bytes);
      if (!is_readable(fd.get(), now() + milliseconds(20))) continue;
      const auto count =
          ::recv(fd.get(), buffer.free_space().data(), buffer.free_space().size(), MSG_DONTWAIT);
      REQUIRE(count > 0);
      buffer.received(static_cast<std::size_t>(count));
      for (;;) {
        const auto found = buffer.next_record(256 * 1024);
        REQUIRE(found);
        if (!*found) break;
        const auto payload = opener.open((*found)->second);
        REQUIRE(payload);
        std::vector<Byte> record(bytes + record_overhead_bytes);
        std::copy_n(payload->begin(), stamp_bytes, record.begin() + record_header_bytes);
        REQUIRE(sealer.seal(RecordType::pong, record));
        REQUIRE(send_all(fd, record));
      }
    }
  };
  // Small answers pass on this path: the link has a lane, and is not proven.
  answer(100, [&] { return server.link->snapshot().inbound.records >= 8; });
  CHECK(server.link->snapshot().has_lane);
  CHECK_FALSE(server.link->snapshot().is_proven);
  CHECK_FALSE(server.link->snapshot().rtt);
  answer(1500, [&] { return server.link->snapshot().is_proven; });
  CHECK(server.link->snapshot().is_proven);
  answer(100, [&] { return !server.link->snapshot().is_proven; });
  CHECK_FALSE(server.link->snapshot().is_proven);
  CHECK(server.link->snapshot().has_lane);
}

TEST_CASE("the clocks of a link are those of the protocol",
          "[tunnel][link][P-51][P-52][P-53][P-63]") {
  const LinkTimes times;
  CHECK(times.knock == seconds(2));
  CHECK(times.handshake == seconds(5));
  CHECK(times.reconnect_first == milliseconds(100));
  CHECK(times.reconnect_longest == seconds(5));
  CHECK(times.reset_after == seconds(60));
  CHECK(times.suspect == seconds(3));
}

// --- again and again ---

// As exchange(), while the path is being changed: what is lost on it is sent again.
void exchange_at_last(const RunningLink& office_end, const RunningLink& offsite_end) {
  const auto carry = [](const RunningLink& from, const RunningLink& to,
                        const std::vector<Byte>& packet) {
    const Instant until = now() + patience;
    while (now() < until) {
      static_cast<void>(from.tun.put({}, packet));
      const auto arrived = to.tun.take(now() + milliseconds(200));
      if (arrived && arrived->bytes == packet) return true;
    }
    return false;
  };
  CHECK(carry(office_end, offsite_end, build(to_offsite())));
  CHECK(carry(offsite_end, office_end, build(to_office())));
}

TEST_CASE("a connection that is cut, stalled or altered is replaced, and packets flow again",
          "[tunnel][link][P-46][P-50][P-51]") {
  for (const IoBackend io : backends()) {
    INFO(testing::name_of(io));
    LinkOptions for_server = listening();
    for_server.io = io;
    for_server.times.lane.dead = milliseconds(1000);
    for_server.times.lane.ping = milliseconds(100);
    RunningLink server(std::move(for_server));
    Relay relay(server.link->listen_port());
    LinkOptions for_client = connecting(relay.port());
    for_client.io = io;
    for_client.times.lane.dead = milliseconds(1000);
    for_client.times.lane.ping = milliseconds(100);
    RunningLink client(std::move(for_client));
    client.wait_for(Kind::session_up);
    exchange_at_last(client, server);

    std::size_t seen = client.event_count();
    relay.cut();
    client.wait_for(Kind::lane_ended, seen, "closed: the stream ended without GOODBYE");
    exchange_at_last(client, server);

    seen = client.event_count();
    relay.stall(true);
    client.wait_for(Kind::lane_ended, seen, "dead: no authenticated record");
    relay.stall(false);
    exchange_at_last(client, server);

    seen = server.event_count();
    relay.flip();  // the next PING at the latest
    server.wait_for(Kind::lane_ended, seen, "bad_record: ");
    exchange_at_last(client, server);
    // One session all along: each new connection has joined it.
    CHECK(client.link->snapshot().sessions == 1);
    CHECK(client.link->snapshot().joins >= 3);
    CHECK(server.link->snapshot().lane_ends.at("bad_record") >= 1);
  }
}

TEST_CASE("a client finds its server again after a restart", "[tunnel][link][P-51]") {
  std::uint16_t port = 0;
  // A busy machine needs its time to hear the GOODBYE before the connection is closed.
  const auto patient = [](LinkOptions options) {
    options.times.lane.patience = seconds(2);
    return options;
  };
  auto server = std::make_unique<RunningLink>(patient(listening()));
  port = server->link->listen_port();
  RunningLink client(patient(connecting(port)));
  client.wait_for(Kind::session_up);
  for (int i = 0; i < 3; ++i) {
    const std::size_t seen = client.event_count();
    server.reset();
    const std::string end = client.wait_for(Kind::lane_ended, seen).event.detail;
    INFO(end);
    CHECK((has(end, "peer_goodbye: reason 1") || has(end, "closed")));
    LinkOptions again = patient(listening());
    again.listen->port = port;
    server = std::make_unique<RunningLink>(std::move(again));
    client.wait_for(Kind::session_up, seen);
    exchange(client, *server);
  }
  // A write of ours that meets the closed end may be noticed before the GOODBYE in front of it is read.
  std::uint64_t ends = 0;
  for (const auto& [end, count] : client.link->snapshot().lane_ends) ends += end == "peer_goodbye" || end == "closed" ? count : 0;
  CHECK(ends >= 3);
}

// Where nobody listens: the port was free a moment ago.
std::uint16_t dead_port() {
  RunningLink server(listening());
  return server.link->listen_port();
}

TEST_CASE("while nobody answers a connect goes out every quarter of a second, give or take a fifth",
          "[tunnel][link][P-51]") {
  LinkOptions options = connecting(dead_port());
  options.times.reach = LinkTimes{}.reach;
  CHECK(options.times.reach == milliseconds(250));
  // However long the back-off would be: it is for handshakes that fail and lanes that end.
  options.times.reconnect_first = std::chrono::hours(1);
  options.times.reconnect_longest = std::chrono::hours(1);
  const Instant started = now();
  RunningLink client(std::move(options));
  std::vector<Instant> attempts;
  for (std::size_t i = 0; i < 9; ++i)
    attempts.push_back(client.wait_for(Kind::connect_failed, i).at);
  CHECK(attempts[0] - started < milliseconds(200));  // the first is made at once
  std::set<std::int64_t> waits;
  for (std::size_t i = 1; i < attempts.size(); ++i) {
    const double waited =
        std::chrono::duration<double, std::milli>(attempts[i] - attempts[i - 1]).count();
    INFO("attempt " << i << " came " << waited << " ms after the one before");
    CHECK(waited >= 195);   // the clock of an event stands behind that of its attempt
    CHECK(waited <= 3000);  // a busy machine is late
    waits.insert(static_cast<std::int64_t>(waited));
  }
  CHECK(waits.size() > 2);
  CHECK(client.link->snapshot().connect_failures >= 9);
  CHECK(client.stop() < seconds(1));
}

TEST_CASE("after handshakes that fail the waits double to their longest, each give or take half",
          "[tunnel][link][P-51]") {
  // It expects another pre-shared key: the server closes each time, without a word.
  RunningLink server(listening());
  LinkOptions options = connecting(server.link->listen_port());
  options.psk = crypto::Secret<32>::copy_of(psk_one);
  options.times.reconnect_first = milliseconds(20);
  options.times.reconnect_longest = milliseconds(160);
  options.times.reach = milliseconds(1);
  RunningLink client(std::move(options));
  std::vector<Instant> attempts;
  for (std::size_t i = 0; i < 12; ++i)
    attempts.push_back(client.wait_for(Kind::handshake_failed, i).at);
  std::set<std::int64_t> waits;
  for (std::size_t i = 1; i < attempts.size(); ++i) {
    const double wanted = std::min(20.0 * static_cast<double>(1U << (i - 1)), 160.0);
    const double waited =
        std::chrono::duration<double, std::milli>(attempts[i] - attempts[i - 1]).count();
    INFO("attempt " << i << " failed " << waited << " ms after the one before");
    CHECK(waited >= 0.5 * wanted - 5);
    CHECK(waited <= 1.5 * wanted + 3000);  // a busy machine is late
    waits.insert(static_cast<std::int64_t>(waited));
  }
  CHECK(waits.size() > 4);
  CHECK(client.link->snapshot().handshake_failures >= 12);
}

TEST_CASE("the waits begin anew only after a lane that has lasted", "[tunnel][link][P-52]") {
  const bool has_lasted = GENERATE(true, false);
  RunningLink server(listening());
  Relay relay(server.link->listen_port());
  LinkOptions options = connecting(relay.port());
  options.times.reconnect_first = has_lasted ? seconds(2) : milliseconds(40);
  options.times.reconnect_longest = has_lasted ? seconds(60) : milliseconds(640);
  options.times.reset_after = has_lasted ? milliseconds(0) : std::chrono::hours(1);
  options.times.reach = milliseconds(1);
  RunningLink client(std::move(options));
  client.wait_for(Kind::session_up);
  milliseconds last{0};
  for (int i = 0; i < (has_lasted ? 3 : 6); ++i) {
    const std::size_t seen = client.event_count();
    relay.cut();
    const Instant ended = client.wait_for(Kind::lane_ended, seen).at;
    last =
        std::chrono::duration_cast<milliseconds>(client.wait_for(Kind::lane_up, seen).at - ended);
    if (!has_lasted) continue;
    INFO("back after " << last.count() << " ms");
    CHECK(last < milliseconds(900));  // at once: the first wait would be 1 s at least
  }
  // A lane that dies young goes on where the waiting was: 0, 40, 80, 160, 320, 640 ms, each at
  // least half of it.
  if (!has_lasted) CHECK(last >= milliseconds(315));
}

// --- strangers ---

struct Stranger {
  const char* what;
  std::string bytes;
};

TEST_CASE("a stranger hears nothing, is closed without a reset, and is counted",
          "[tunnel][link][P-1][P-4][P-53]") {
  LinkOptions options = listening();
  options.times.knock = milliseconds(150);
  RunningLink server(std::move(options));
  const std::vector<Stranger> strangers{
      {"says nothing", ""},
      {"one byte", "L"},
      {"39 bytes of a knock", std::string("LT1\0\0\0\0\0", 8) + std::string(31, 'x')},
      {"a wrong knock", std::string("LT1\0\0\0\0\0", 8) + std::string(32, 'x')},
      {"HTTP", "GET / HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n"},
      {"SSH", "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"},
      {"64 KiB", std::string(65536, 'a')}};
  for (const Stranger& stranger : strangers) {
    INFO(stranger.what);
    const std::uint64_t before = server.link->snapshot().strangers;
    const Fd fd = connect_to(server.link->listen_port());
    REQUIRE(send_all(fd, as_bytes(stranger.bytes)));
    const Heard heard = hear_to_end(fd);
    CHECK(heard.bytes == 0);
    CHECK(heard.is_closed);
    CHECK_FALSE(heard.is_reset);
    server.wait_until(
        [&](const LinkSnapshot& snapshot) { return snapshot.strangers == before + 1; });
  }
  CHECK(server.link->snapshot().handshake_failures == 0);
  RunningLink client(connecting(server.link->listen_port()));
  client.wait_for(Kind::session_up);
}

TEST_CASE("bytes that trickle in prolong no deadline", "[tunnel][link][P-53]") {
  LinkOptions options = listening();
  options.times.knock = milliseconds(200);
  options.times.handshake = milliseconds(500);
  RunningLink server(std::move(options));
  const bool has_knocked = GENERATE(false, true);
  INFO((has_knocked ? "after the knock" : "before the knock"));
  const Fd fd = connect_to(server.link->listen_port());
  const Instant start = now();
  if (has_knocked) REQUIRE(send_all(fd, KnockKey(offsite().key(), {}).make()));
  // The beginning of a TLS record that never ends.
  const std::array<Byte, 5> head{0x16, 3, 1, 0x20, 0};
  if (has_knocked) REQUIRE(send_all(fd, head));
  Heard heard;
  for (int i = 0; i < 2000 && !heard.is_closed; ++i) {
    static_cast<void>(send_all(fd, std::array<Byte, 1>{1}));
    if (!has_knocked && i == 38) break;  // the knock must stay incomplete
    heard = hear_to_end(fd, now() + milliseconds(5));
  }
  if (!heard.is_closed) heard = hear_to_end(fd);
  CHECK(heard.is_closed);
  CHECK(heard.bytes == 0);
  const auto lasted = heard.at - start;
  CHECK(lasted >= (has_knocked ? milliseconds(500) : milliseconds(200)));
  CHECK(lasted < (has_knocked ? milliseconds(500) : milliseconds(200)) + seconds(2));
  if (has_knocked) {
    CHECK(server.wait_for(Kind::handshake_failed).event.detail == "the handshake took too long");
  } else {
    server.wait_for(Kind::stranger);
  }
}

TEST_CASE("a handshake of more than 4096 bytes is ended", "[tunnel][link][P-54]") {
  RunningLink server(listening());
  const Fd fd = connect_to(server.link->listen_port());
  std::vector<Byte> bytes(40 + 5 + 8000, 1);
  const auto knock = KnockKey(offsite().key(), {}).make();
  std::copy(knock.begin(), knock.end(), bytes.begin());
  const std::array<Byte, 5> head{0x16, 3, 1, 0x40, 0};
  std::copy(head.begin(), head.end(), bytes.begin() + 40);
  REQUIRE(send_all(fd, bytes));
  const Instant start = now();
  CHECK(hear_to_end(fd).is_closed);
  CHECK(now() - start < seconds(2));  // for its length, not for its age
  server.wait_for(Kind::handshake_failed);
}

TEST_CASE(
    "a source has four places, all strangers twenty-four, and the next finds them free again",
    "[tunnel][link][P-55][P-73]") {
  LinkOptions options = listening();
  options.times.knock = milliseconds(1500);
  RunningLink server(std::move(options));
  const std::uint16_t port = server.link->listen_port();
  std::vector<Fd> held;
  const auto is_taken = [&](const std::string& source) {
    // A connection over the bound is closed at once; one within it stays until its deadline.
    Fd fd = connect_to(port, source);
    const Heard heard = hear_to_end(fd, now() + milliseconds(100));
    CHECK(heard.bytes == 0);
    held.push_back(std::move(fd));
    return !heard.is_closed;
  };
  const Instant start = now();
  int taken = 0;
  for (int i = 0; i < 6; ++i)
    taken += is_taken("127.0.0.1") ? 1 : 0;
  CHECK(taken == 4);
  if (now() - start > milliseconds(1400))
    WARN("this machine is too busy: the places were free again before they were counted");
  held.clear();
  server.wait_until([](const LinkSnapshot& snapshot) { return snapshot.strangers == 6; });

  // From many sources at once, without looking at each.
  const std::uint64_t before = server.link->snapshot().strangers;
  for (int i = 0; i < 40; ++i)
    held.push_back(connect_to(port, "127.0.0." + std::to_string(10 + i / 2)));
  server.wait_until(
      [&](const LinkSnapshot& snapshot) { return snapshot.strangers >= before + 16; });
  // Eight places are for who was the peer before. The eldest have given way.
  int closed = 0;
  for (std::size_t i = 0; i < held.size(); ++i) {
    const bool is_closed = hear_to_end(held[i], now() + milliseconds(i < 16 ? 1000 : 0)).is_closed;
    CHECK(is_closed == (i < 16));
    closed += is_closed ? 1 : 0;
  }
  CHECK(closed == 16);
  held.clear();
  RunningLink client(connecting(port));
  client.wait_for(Kind::session_up);
}

TEST_CASE("half-open connections of one source do not keep the peer of another out",
          "[tunnel][link][P-55]") {
  RunningLink server(listening());
  std::vector<Fd> held;
  for (int i = 0; i < 10; ++i)
    held.push_back(connect_to(server.link->listen_port(), "127.0.0.9"));
  RunningLink client(connecting(server.link->listen_port()));
  client.wait_for(Kind::session_up);
}

TEST_CASE("IPv4 sources are counted by address, IPv6 sources by /64", "[tunnel][link][P-55]") {
  const auto group = [](const char* text) { return source_group(*IpAddress::parse(text)); };
  CHECK(group("192.0.2.1") == group("192.0.2.1"));
  CHECK(group("192.0.2.1") != group("192.0.2.2"));
  CHECK(group("2001:db8:1:2::1") == group("2001:db8:1:2:ffff:ffff:ffff:ffff"));
  CHECK(group("2001:db8:1:2::1") != group("2001:db8:1:3::1"));
  CHECK(group("2001:db8:1:2::1").text() == "2001:db8:1:2::/64");
}

TEST_CASE("a link without a free descriptor waits for one, does not spin, and goes on",
          "[tunnel][link]") {
  RunningLink server(listening());
  server.wait_for(Kind::listening);
  const std::uint16_t port = server.link->listen_port();
  Fd waiting = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  Fd next_free(::dup(waiting.get()));
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit full = before;
  full.rlim_cur = static_cast<rlim_t>(next_free.get());
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &full) == 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const bool is_connected =
      ::connect(waiting.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  const auto processor_time = [] {
    timespec time{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  };
  const auto used_before = processor_time();
  const Heard heard = hear_to_end(waiting, now() + milliseconds(400));
  const auto used = processor_time() - used_before;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  REQUIRE(is_connected);
  CHECK(heard.bytes == 0);
  CHECK(used < milliseconds(40));  // a tenth of the time, in case the machine is busy
  // Descriptors are free again: whoever waited is served.
  Established keys = shake_hands_as_office(waiting);
  CHECK(keys.tun_mtu == 1500);
}

// --- one session replaces another ---

TEST_CASE("an existing session lives until GO of the new one, then ends with GOODBYE replaced",
          "[tunnel][link][P-14][P-20][P-22]") {
  RunningLink server(listening());
  const Fd first_fd = connect_to(server.link->listen_port());
  Established first = shake_hands_as_office(first_fd);
  server.wait_for(Kind::session_up);
  Sealer sealer = *Sealer::create(std::move(first.outbound), {}, now());
  Opener opener = *Opener::create(std::move(first.inbound));
  ReceiveBuffer buffer(receive_buffer_bytes(record_limit_max));
  const auto next_of_first = [&](RecordType wanted) -> std::vector<Byte> {
    const Instant until = now() + patience;
    for (;;) {
      const auto found = buffer.next_record(256 * 1024);
      REQUIRE(found);
      if (*found) {
        const auto payload = opener.open((*found)->second);
        REQUIRE(payload);
        if ((*found)->first == wanted) return {payload->begin(), payload->end()};
        continue;
      }
      buffer.make_room(record_limit_max + record_overhead_bytes);
      REQUIRE(is_readable(first_fd.get(), until));
      const auto count = ::recv(first_fd.get(), buffer.free_space().data(),
                                buffer.free_space().size(), MSG_DONTWAIT);
      REQUIRE(count > 0);
      buffer.received(static_cast<std::size_t>(count));
    }
  };
  std::uint64_t stamp = 0;
  const auto first_is_alive = [&] {
    std::vector<Byte> record(stamp_bytes + record_overhead_bytes);
    store_be64(record.data() + record_header_bytes, ++stamp);
    REQUIRE(sealer.seal(RecordType::ping, record));
    REQUIRE(send_all(first_fd, record));
    return load_be64(next_of_first(RecordType::pong).data()) == stamp;
  };
  CHECK(first_is_alive());

  const auto greet = [&](const Fd& fd, ClientByHand& client) {
    REQUIRE(send_all(fd, client.knock));
    for (bool is_complete = false; !is_complete;) {
      const auto done = client.channel.handshake();
      REQUIRE(done);
      is_complete = *done;
      const auto out = client.channel.take_output();
      REQUIRE(send_all(fd, out));
      if (!is_complete) {
        read_until(fd, [&](ByteView bytes) {
          REQUIRE(client.channel.feed(bytes));
          return true;
        });
      }
    }
    client.is_complete = true;
    REQUIRE(client.derive());
    client.offer = agreed_offer();
  };

  SECTION("a wrong HELLO leaves it alone") {
    const Fd fd = connect_to(server.link->listen_port());
    ClientByHand second;
    greet(fd, second);
    auto hello = second.good_hello();
    hello[119] ^= 1;
    REQUIRE(second.channel.write(hello));
    REQUIRE(send_all(fd, second.channel.take_output()));
    server.wait_for(Kind::handshake_failed);
    CHECK(first_is_alive());
    CHECK(server.link->snapshot().sessions == 1);
  }
  SECTION("a right one leaves it alone until GO") {
    const Fd fd = connect_to(server.link->listen_port());
    ClientByHand second;
    greet(fd, second);
    REQUIRE(second.channel.write(second.good_hello()));
    REQUIRE(send_all(fd, second.channel.take_output()));
    std::optional<std::vector<Byte>> accept;
    read_until(fd, [&](ByteView bytes) {
      REQUIRE(second.channel.feed(bytes));
      const auto text = second.channel.read_exactly(accept_bytes);
      REQUIRE(text);
      accept = *text;
      return accept.has_value();
    });
    CHECK(accept->at(0) == 2);
    CHECK(first_is_alive());
    CHECK(hear_to_end(fd, now() + milliseconds(100)).bytes == 0);  // no record before GO
    CHECK(server.link->snapshot().sessions == 1);

    REQUIRE(second.channel.write(go));
    REQUIRE(send_all(fd, second.channel.take_output()));
    const auto goodbye = next_of_first(RecordType::goodbye);
    CHECK(goodbye.at(0) == static_cast<Byte>(GoodbyeReason::replaced));
    server.wait_until(
        [](const LinkSnapshot& snapshot) { return snapshot.sessions == 2 && snapshot.has_lane; });
    // The first thing that the new session hears is a record.
    read_until(fd, [&](ByteView bytes) {
      CHECK(bytes[0] == record_sync);
      return true;
    });
  }
}

// --- stop ---

TEST_CASE("a link stops within two seconds in whatever state it is", "[tunnel][link][P-47]") {
  SECTION("waiting for a client") {
    RunningLink server(listening());
    server.wait_for(Kind::listening);
    CHECK(server.stop() < seconds(1));
  }
  SECTION("waiting for its next attempt") {
    LinkOptions options = connecting(dead_port());
    options.times = {};
    RunningLink client(std::move(options));
    client.wait_for(Kind::connect_failed, 2);
    CHECK(client.stop() < seconds(1));
  }
  SECTION("in the middle of a handshake") {
    RunningLink server(listening());
    const Fd fd = connect_to(server.link->listen_port());
    REQUIRE(send_all(fd, KnockKey(offsite().key(), {}).make()));
    CHECK(server.stop() < seconds(1));
    CHECK(hear_to_end(fd).is_closed);
  }
  SECTION("with a peer that never closes") {
    LinkOptions options = listening();
    options.times = {};
    RunningLink server(std::move(options));
    const Fd fd = connect_to(server.link->listen_port());
    const Established keys = shake_hands_as_office(fd);
    server.wait_for(Kind::session_up);
    CHECK(server.stop() < milliseconds(2500));
    CHECK(server.link->snapshot().lane_ends.at("local_stop") == 1);
  }
  SECTION("before it runs") {
    const FakeTun tun;
    LinkOptions options = listening();
    options.tun_queues = {{tun.fd()}};
    auto link = Link::create(std::move(options));
    REQUIRE(link);
    (*link)->stop();
    CHECK((*link)->run());
  }
}

// --- the listener ---

TEST_CASE("a port that is taken is an error with its cure, and a name is no address to listen on",
          "[tunnel][link]") {
  RunningLink server(listening());
  const FakeTun tun;
  LinkOptions options = listening();
  options.tun_queues = {{tun.fd()}};
  options.listen->port = server.link->listen_port();
  const auto second = Link::create(std::move(options));
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::busy);
  CHECK(
      has(second.error().what, "port " + std::to_string(server.link->listen_port()) + " is taken"));
  LinkOptions named = listening("localhost");
  named.tun_queues = {{tun.fd()}};
  const auto refused = Link::create(std::move(named));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::invalid);
}

TEST_CASE("links join over IPv6, and an IPv4 peer of an IPv6 socket is shown as IPv4",
          "[tunnel][link]") {
  LinkOptions options = listening("::");
  const FakeTun tun;
  LinkOptions for_probe = listening("::1");
  for_probe.tun_queues = {{tun.fd()}};
  auto probe = Link::create(std::move(for_probe));
  if (!probe) {
    WARN("SKIPPED: this machine has no IPv6 loopback: " << probe.error().text());
    return;
  }
  RunningLink server(std::move(options));
  {
    RunningLink client(connecting(server.link->listen_port(), "::1"));
    client.wait_for(Kind::session_up);
    CHECK(has(server.wait_for(Kind::session_up).event.peer, "[::1]:"));
    exchange(client, server);
  }
  const std::size_t seen = server.event_count();
  RunningLink client(connecting(server.link->listen_port(), "127.0.0.1"));
  client.wait_for(Kind::session_up);
  CHECK(has(server.wait_for(Kind::session_up, seen).event.peer, "127.0.0.1:"));
}

}  // namespace
}  // namespace lt::tunnel

// One lane takes over from another on the same TUN queue: by hand, step by step, and hundreds of
// times under load.
#include <list>

#include "tests/slowness.h"
#include "tests/tunnel/lane_ends.h"

namespace lt::tunnel {
namespace {

using namespace testing;
using std::chrono::milliseconds;

// Of a lane whose end is not what a test looks at.
constexpr auto long_patience = milliseconds(700);

// A lane of the office on a TUN that others use, too, and its peer by hand.
struct LaneOnTun {
  std::promise<void> ended;
  std::unique_ptr<PeerByHand> peer;
  std::unique_ptr<Lane> lane;

  LaneOnTun(const FakeTun& tun, bool waits_for_turn, LaneOptions options)
      : LaneOnTun(tun, waits_for_turn, std::move(options), socket_pair(SOCK_STREAM)) {}
  LaneOnTun(const FakeTun& tun, bool waits_for_turn, LaneOptions options,
            std::pair<Fd, Fd> sockets) {
    peer = std::make_unique<PeerByHand>(std::move(sockets.second));
    options.tun_queues = {tun.fd()};
    options.tun_offload = true;
    options.record_bytes_max = 256 * 1024;
    options.waits_for_turn = waits_for_turn;
    if (options.times.patience == LaneTimes{}.patience) options.times.patience = long_patience;
    options.on_end = [this] { ended.set_value(); };
    auto started = Lane::start(std::move(sockets.first), established(office_secret, offsite_secret),
                               Admission(office_admission()), std::move(options));
    if (!started) FAIL(started.error().text());
    lane = std::move(*started);
  }
  const LaneReport& wait_for_end() {
    REQUIRE(ended.get_future().wait_for(patience) == std::future_status::ready);
    return lane->report();
  }
  void say_goodbye(GoodbyeReason reason) {
    std::vector<Byte> payload(goodbye_bytes);
    payload[0] = static_cast<Byte>(reason);
    peer->send(RecordType::goodbye, payload);
  }
  void say_packet(std::uint16_t port) const {
    PacketSpec spec = to_office();
    spec.source_port = port;
    peer->send(RecordType::data, item({}, build(spec)));
  }
  // Whether a DATA record comes within a moment. PINGs come anyway.
  [[nodiscard]] bool sends_data(milliseconds within) {
    return peer->receive(RecordType::data, now() + within).has_value();
  }
};

constexpr auto a_moment = milliseconds(60);

bool put_one(const FakeTun& tun) { return tun.put({}, build(to_offsite())); }

// The source port of the next packet that the LAN gets; 0 when none comes in that time.
unsigned next_port(const FakeTun& tun, milliseconds within = milliseconds(5'000)) {
  const auto packet = tun.take(now() + within);
  return packet ? load_be16(packet->bytes.data() + 20) : 0U;
}

TEST_CASE("a lane that takes over sends no DATA before the old one has sent all, GOODBYE moved last",
          "[tunnel][lane][P-71]") {
  const IoBackend io = GENERATE(from_range(backends()));
  INFO(testing::name_of(io));
  const FakeTun tun;
  LaneOnTun old(tun, false, {.io = io});
  REQUIRE(put_one(tun));
  REQUIRE(old.peer->receive(RecordType::data));
  // What the old one has still to send fills its socket: nobody reads it.
  const std::uint64_t read_before = old.lane->state().outbound.packets;
  const auto put = static_cast<std::uint64_t>(fill(tun));
  LaneOnTun fresh(tun, true, {.io = io});
  CHECK(fresh.peer->receive(RecordType::ping));  // it lives, and waits
  CHECK_FALSE(fresh.sends_data(a_moment));
  old.lane->hand_over_to(*fresh.lane, GoodbyeReason::moved);
  CHECK_FALSE(fresh.sends_data(a_moment));
  // Now its peer reads: data, then GOODBYE moved, then the end.
  std::uint64_t from_old = 0;
  for (;;) {
    const auto record = old.peer->receive();
    REQUIRE(record);
    if (record->first == RecordType::data) ++from_old;
    if (record->first != RecordType::goodbye) continue;
    CHECK(record->second[0] == static_cast<Byte>(GoodbyeReason::moved));
    break;
  }
  CHECK_FALSE(old.peer->receive());
  CHECK(old.peer->is_at_end());
  CHECK(from_old == old.lane->state().outbound.packets - read_before);
  // The rest of what the LAN had said goes on over the fresh one: nothing is lost.
  for (std::uint64_t i = from_old; i < put; ++i)
    REQUIRE(fresh.peer->receive(RecordType::data));
  CHECK(from_old < put);
  old.say_goodbye(GoodbyeReason::moved);
  old.peer->close();
  CHECK(old.wait_for_end().end == LaneEnd::moved);
  REQUIRE(put_one(tun));
  CHECK(fresh.peer->receive(RecordType::data));
}

TEST_CASE("a lane that takes over delivers nothing before the old one has ended in that direction",
          "[tunnel][lane][P-72]") {
  const IoBackend io = GENERATE(from_range(backends()));
  INFO(testing::name_of(io));
  const FakeTun tun;
  LaneOnTun old(tun, false, {.io = io});
  LaneOnTun fresh(tun, true, {.io = io});
  fresh.say_packet(2);
  fresh.say_packet(3);
  CHECK(next_port(tun, a_moment) == 0);
  old.lane->hand_over_to(*fresh.lane, GoodbyeReason::moved);
  CHECK(old.peer->receive(RecordType::goodbye));
  old.say_packet(1);  // still on its way when the old one said GOODBYE
  CHECK(next_port(tun) == 1);
  CHECK(next_port(tun, a_moment) == 0);
  old.say_goodbye(GoodbyeReason::moved);
  CHECK(next_port(tun) == 2);
  CHECK(next_port(tun) == 3);
  old.peer->close();
  CHECK(old.wait_for_end().end == LaneEnd::moved);
  CHECK(fresh.lane->state().inbound.packets == 2);
}

TEST_CASE("the peer's GOODBYE moved may come before we know of the lane that takes over",
          "[tunnel][lane][P-71][P-72]") {
  const IoBackend io = GENERATE(from_range(backends()));
  INFO(testing::name_of(io));
  const FakeTun tun;
  LaneOnTun old(tun, false, {.io = io});
  old.say_packet(1);
  old.say_goodbye(GoodbyeReason::moved);
  old.peer->end_sending();
  CHECK(old.peer->receive(RecordType::goodbye));
  CHECK(old.wait_for_end().end == LaneEnd::moved);
  LaneOnTun fresh(tun, true, {.io = io});
  fresh.say_packet(2);
  REQUIRE(put_one(tun));
  CHECK_FALSE(fresh.sends_data(a_moment));
  old.lane->hand_over_to(*fresh.lane, GoodbyeReason::moved);
  CHECK(fresh.peer->receive(RecordType::data));
  CHECK(next_port(tun) == 1);
  CHECK(next_port(tun) == 2);
}

TEST_CASE("a lane that is given up ends without a word, and the next has its turn at once",
          "[tunnel][lane][P-70]") {
  const bool is_blocked = GENERATE(false, true);
  const IoBackend io = GENERATE(from_range(backends()));
  INFO(testing::name_of(io) << (is_blocked ? ", blocked" : ""));
  const FakeTun tun;
  LaneOnTun old(tun, false, {.io = io});
  REQUIRE(old.peer->receive(RecordType::ping));
  if (is_blocked) fill(tun);
  LaneOnTun fresh(tun, true, {.io = io});
  const Instant before = now();
  old.lane->hand_over_to(*fresh.lane, std::nullopt);
  // What the old one reads until it has heard of its end goes with it.
  for (bool has_come = false; !has_come && now() - before < patience;) {
    if (!is_blocked) REQUIRE(put_one(tun));
    has_come = fresh.sends_data(milliseconds(5));
  }
  fresh.say_packet(9);
  CHECK(next_port(tun) == 9);
  CHECK(now() - before < milliseconds(1000));  // it waits for no patience
  old.wait_for_end();
  if (!is_blocked) {
    while (const auto record = old.peer->receive(now() + a_moment))
      CHECK(record->first != RecordType::goodbye);
  }
}

TEST_CASE("a lane that cannot send its last ends within its patience, and only then the next sends",
          "[tunnel][lane][P-71]") {
  const IoBackend io = GENERATE(from_range(backends()));
  INFO(testing::name_of(io));
  const FakeTun tun;
  LaneOnTun old(tun, false, {.io = io, .times = {.patience = milliseconds(400)}});
  fill(tun);
  LaneOnTun fresh(tun, true, {.io = io});
  const Instant before = now();
  old.lane->hand_over_to(*fresh.lane, GoodbyeReason::moved);
  CHECK_FALSE(fresh.sends_data(milliseconds(300)));
  REQUIRE(fresh.peer->receive(RecordType::data));
  CHECK(now() - before >= milliseconds(400));
  CHECK(now() - before < milliseconds(3000));
  old.wait_for_end();
}

// --- a slow line: a TCP connection whose other end reads little at a time ---

// Reads what a lane sends, a piece every few milliseconds, as a slow line would carry it.
class SlowLine {
 public:
  explicit SlowLine(int fd) : fd_(fd), thread_([this] { run(); }) {}
  ~SlowLine() {
    is_over_ = true;
    thread_.join();
  }

 private:
  void run() {
    std::array<Byte, 16 * 1024> piece;
    for (Instant next = now(); !is_over_;) {
      if (now() < next) {
        std::this_thread::yield();
        continue;
      }
      next = now() + milliseconds(10);
      static_cast<void>(::recv(fd_, piece.data(), piece.size(), MSG_DONTWAIT));
    }
  }

  int fd_;
  std::atomic<bool> is_over_{false};
  std::thread thread_;
};

TEST_CASE("a lane that moves drains for as long as bytes pass, many times its patience if need be",
          "[tunnel][lane][P-71][P-76]") {
  const IoBackend io = GENERATE(from_range(backends()));
  INFO(testing::name_of(io));
  const FakeTun tun;
  auto sockets = tcp_loopback();
  LaneOnTun old(tun, false, {.io = io, .times = {.patience = milliseconds(150)}}, std::move(sockets));
  fill(tun);
  LaneOnTun fresh(tun, true, {.io = io});
  const Instant before = now();
  old.lane->hand_over_to(*fresh.lane, GoodbyeReason::moved);
  {
    const SlowLine line(old.peer->fd());
    REQUIRE(fresh.peer->receive(RecordType::data));
  }
  // All it had taken was sent, GOODBYE included, though that took longer than one patience.
  CHECK(now() - before > milliseconds(300));
  CHECK(old.lane->state().has_said_goodbye);
}

TEST_CASE("a lane that moves gives up within its patience where nothing passes any more",
          "[tunnel][lane][P-71][P-76]") {
  const IoBackend io = GENERATE(from_range(backends()));
  INFO(testing::name_of(io));
  const FakeTun tun;
  LaneOnTun old(tun, false, {.io = io, .times = {.patience = milliseconds(300)}}, tcp_loopback());
  fill(tun);
  LaneOnTun fresh(tun, true, {.io = io});
  const Instant before = now();
  old.lane->hand_over_to(*fresh.lane, GoodbyeReason::moved);
  REQUIRE(fresh.peer->receive(RecordType::data));
  CHECK(now() - before >= milliseconds(300));
  CHECK(now() - before < milliseconds(3000));
  old.wait_for_end();
  CHECK_FALSE(old.lane->state().has_said_goodbye);
}

TEST_CASE("a lane that moves ends in time though its peer takes a byte now and then, or the process is to end",
          "[tunnel][lane][P-71][P-76]") {
  const IoBackend io = GENERATE(from_range(backends()));
  const bool is_hurried = GENERATE(false, true);
  INFO(testing::name_of(io) << (is_hurried ? ", hurried" : ""));
  const FakeTun tun;
  const milliseconds longest = is_hurried ? milliseconds(60'000) : milliseconds(600);
  LaneOnTun old(tun, false, {.io = io, .times = {.patience = milliseconds(300), .drain = longest}},
                tcp_loopback());
  fill(tun);
  LaneOnTun fresh(tun, true, {.io = io});
  std::atomic<bool> is_over{false};
  std::thread trickle([&] {
    for (Instant next = now(); !is_over; std::this_thread::yield()) {
      if (now() < next) continue;
      next = now() + milliseconds(50);
      std::array<Byte, 40'000> piece;
      static_cast<void>(::recv(old.peer->fd(), piece.data(), piece.size(), MSG_DONTWAIT));
    }
  });
  const Instant before = now();
  old.lane->hand_over_to(*fresh.lane, GoodbyeReason::moved);
  if (is_hurried) old.lane->stop(GoodbyeReason::shutdown);
  old.wait_for_end();
  is_over = true;
  trickle.join();
  CHECK(now() - before >= milliseconds(is_hurried ? 300 : 600));
  CHECK(now() - before < milliseconds(3000));
}

TEST_CASE("what a lane that ends waits for", "[tunnel][lane][P-47][P-76]") {
  const Instant stopped{std::chrono::hours(1)};
  LaneState state;
  state.times = {.patience = std::chrono::seconds(2), .drain = std::chrono::seconds(60)};
  state.stop_at.set(stopped);
  const auto after = [&](std::chrono::seconds progress, std::chrono::seconds lull) {
    return state.patience_ends(stopped + progress, lull) - stopped;
  };
  using std::chrono::seconds;
  CHECK(after(seconds(10), seconds(0)) == seconds(2));  // it ends for good: progress is nothing
  state.stop_reason = static_cast<std::uint8_t>(GoodbyeReason::moved);
  CHECK(after(seconds(-5), seconds(0)) == seconds(2));
  CHECK(after(seconds(10), seconds(0)) == seconds(12));
  CHECK(after(seconds(10), seconds(1)) == seconds(12));
  CHECK(after(seconds(10), seconds(8)) == seconds(18));
  CHECK(after(seconds(59), seconds(0)) == seconds(60));
  CHECK(after(seconds(1000), seconds(1000)) == seconds(60));
  state.is_hurried = true;
  CHECK(after(seconds(10), seconds(0)) == seconds(2));
  state.is_hurried = false;
  state.stop_reason = static_cast<std::uint8_t>(GoodbyeReason::shutdown);
  state.peer_reason = static_cast<std::uint8_t>(GoodbyeReason::moved);  // the peer may know of it first
  CHECK(after(seconds(10), seconds(0)) == seconds(12));
}

// --- chains ---

TEST_CASE("in a chain of three the last waits for the first, also when the second ends before it",
          "[tunnel][lane][P-71][P-72]") {
  const IoBackend io = GENERATE(from_range(backends()));
  const bool second_dies = GENERATE(false, true);
  INFO(testing::name_of(io) << (second_dies ? ", the second dies while it waits" : ""));
  const FakeTun tun;
  LaneOnTun first(tun, false, {.io = io, .times = {.patience = patience}});
  fill(tun);
  auto second = std::make_unique<LaneOnTun>(
      tun, true, LaneOptions{.io = io, .times = {.ping = milliseconds(20), .patience = patience}});
  first.lane->hand_over_to(*second->lane, GoodbyeReason::moved);
  LaneOnTun third(tun, true, {.io = io});
  if (second_dies) {
    second->peer->close();
    second->wait_for_end();
    second->lane->hand_over_to(*third.lane, std::nullopt);
    first.lane->forget_successor(*second->lane);
    second.reset();
  } else {
    second->lane->hand_over_to(*third.lane, GoodbyeReason::moved);
    CHECK(second->peer->receive(RecordType::goodbye));
  }
  third.say_packet(3);
  CHECK_FALSE(third.sends_data(a_moment));  // the first has still to send
  CHECK(next_port(tun, a_moment) == 0);     // and to deliver
  first.say_packet(1);
  CHECK(next_port(tun) == 1);
  CHECK(next_port(tun, a_moment) == 0);
  first.say_goodbye(GoodbyeReason::moved);
  CHECK(first.peer->receive(RecordType::goodbye));
  if (second != nullptr) {
    second->say_packet(2);
    second->say_goodbye(GoodbyeReason::moved);
    CHECK(next_port(tun) == 2);
    second->peer->close();
  }
  CHECK(next_port(tun) == 3);
  CHECK(third.peer->receive(RecordType::data));
  first.peer->close();
}

TEST_CASE("a lane whose successor has died goes on to the one that comes after it",
          "[tunnel][lane][P-71]") {
  const IoBackend io = GENERATE(from_range(backends()));
  INFO(testing::name_of(io));
  const FakeTun tun;
  LaneOnTun first(tun, false, {.io = io});
  {
    LaneOnTun second(tun, true, {.io = io});
    first.lane->hand_over_to(*second.lane, GoodbyeReason::moved);
    second.peer->close();
    second.wait_for_end();
    first.lane->forget_successor(*second.lane);
  }
  LaneOnTun third(tun, true, {.io = io});
  first.lane->hand_over_to(*third.lane, std::nullopt);
  REQUIRE(put_one(tun));
  CHECK(third.peer->receive(RecordType::data));
  third.say_packet(3);
  CHECK(next_port(tun) == 3);
}

TEST_CASE("a lane that waits for its turn neither dies nor spins", "[tunnel][lane][P-46][P-72]") {
  const IoBackend io = GENERATE(from_range(backends()));
  INFO(testing::name_of(io));
  const FakeTun tun;
  LaneOnTun old(tun, false, {.io = io});
  LaneOnTun fresh(tun, true, {.io = io, .times = {.dead = milliseconds(50)}});
  const auto processor_time = [] {
    timespec time{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  };
  const auto before = processor_time();
  CHECK_FALSE(fresh.sends_data(milliseconds(400)));
  CHECK(processor_time() - before < milliseconds(100));
  CHECK_FALSE(fresh.lane->has_ended());
}

// --- under load ---

// One site: its lanes in the order they came, all on one TUN.
struct LoadedSite {
  FakeTun tun;
  std::list<std::unique_ptr<Lane>> lanes;
  std::uint64_t outbound_packets{0};
  std::uint64_t inbound_packets{0};
  std::uint64_t drops{0};

  void add(Fd socket, Established keys, const AdmissionOptions& admission, IoBackend io,
           std::optional<GoodbyeReason> ends) {
    Lane* const predecessor = lanes.empty() ? nullptr : lanes.back().get();
    auto started = Lane::start(std::move(socket), std::move(keys), Admission(admission),
                               {.tun_queues = {tun.fd()},
                                .tun_offload = true,
                                .io = io,
                                .record_bytes_max = 256 * 1024,
                                .times = {.dead = lane_dead_after * slowness, .patience = patience},
                                .waits_for_turn = predecessor != nullptr});
    if (!started) FAIL(started.error().text());
    if (predecessor != nullptr) predecessor->hand_over_to(**started, ends);
    lanes.push_back(std::move(*started));
  }
  void bury() {
    std::list<std::unique_ptr<Lane>> ended;
    for (auto each = lanes.begin(); each != lanes.end();) {
      const auto next = std::next(each);
      if ((*each)->has_ended()) ended.splice(ended.end(), lanes, each);
      each = next;
    }
    for (const auto& gone : ended) {
      for (const auto& running : lanes) running->forget_successor(*gone);
      add_up(*gone);
      if (gone->report().end != LaneEnd::moved) {
        FAIL("a lane ended as " << name_of(gone->report().end) << ": " << gone->report().reason);
      }
    }
  }
  void add_up(const Lane& lane) {
    outbound_packets += lane.state().outbound.packets;
    inbound_packets += lane.state().inbound.packets;
    drops += lane.outbound_drops().total() + lane.inbound_drops().total();
  }
};

TEST_CASE("hundreds of take-overs under full load both ways lose nothing and change no order",
          "[tunnel][lane][P-69][P-71][P-72]") {
  const auto pair = GENERATE(from_range(backend_pairs()));
  constexpr unsigned seed = 71;
  constexpr int take_overs = 500;
  INFO(testing::name_of(pair.first) << " and " << testing::name_of(pair.second) << ", seed "
                                    << seed);
  LoadedSite office;
  LoadedSite offsite;
  std::minstd_rand random(seed);
  const auto renew = [&](unsigned number) {
    auto sockets = tcp_loopback();
    const auto one = static_cast<Byte>(number);
    const auto other = static_cast<Byte>(number + 128);
    const auto at_office = [&] {
      office.add(std::move(sockets.first), established(one, other), office_admission(), pair.first,
                 GoodbyeReason::moved);
    };
    const auto at_offsite = [&] {
      offsite.add(std::move(sockets.second), established(other, one), offsite_admission(),
                  pair.second, GoodbyeReason::moved);
    };
    // Either site may be the first to know of it.
    const bool is_office_first = (random() >> 8) % 2 == 0;
    is_office_first ? at_office() : at_offsite();
    if ((random() >> 8) % 2 == 0) std::this_thread::yield();
    is_office_first ? at_offsite() : at_office();
  };
  renew(0);
  std::atomic<bool> is_over{false};
  Flow there{office.tun, offsite.tun, true, seed, 1 << 30, &is_over};
  Flow back{offsite.tun, office.tun, false, seed + 1, 1 << 30, &is_over};
  std::thread flow_there([&] { there.run(); });
  std::thread flow_back([&] { back.run(); });
  std::size_t longest_chain = 0;
  for (int i = 1; i <= take_overs && there.fault.empty(); ++i) {
    renew(static_cast<unsigned>(i));
    longest_chain = std::max(longest_chain, office.lanes.size());
    // Now and then the next comes while others still wait for their turn.
    const std::size_t allowed = 1 + (random() >> 8) % 4;
    const Instant until = now() + patience;
    do {
      office.bury();
      offsite.bury();
      if (std::max(office.lanes.size(), offsite.lanes.size()) > allowed) std::this_thread::yield();
    } while (std::max(office.lanes.size(), offsite.lanes.size()) > allowed && now() < until);
  }
  is_over = true;
  flow_there.join();
  flow_back.join();
  CHECK(there.fault == "");
  CHECK(back.fault == "");
  CHECK(longest_chain > 2);
  CHECK(there.packets > 1000);
  CHECK(back.packets > 1000);
  const Instant until = now() + patience;
  while (std::max(office.lanes.size(), offsite.lanes.size()) > 1 && now() < until) {
    office.bury();
    offsite.bury();
  }
  REQUIRE(office.lanes.size() == 1);
  REQUIRE(offsite.lanes.size() == 1);
  for (LoadedSite* const site : {&office, &offsite}) site->add_up(*site->lanes.front());
  CHECK(office.outbound_packets == there.packets);
  CHECK(offsite.inbound_packets == there.packets);
  CHECK(offsite.outbound_packets == back.packets);
  CHECK(office.inbound_packets == back.packets);
  CHECK(office.drops + offsite.drops == 0);
}

}  // namespace
}  // namespace lt::tunnel

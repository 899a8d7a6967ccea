#include "tunnel/lane.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <deque>
#include <set>
#include <thread>

#include "tests/tunnel/lane_ends.h"

namespace lt::tunnel {
namespace {

using namespace testing;
using std::chrono::milliseconds;

// --- two lanes ---

struct TwoLanes {
  RunningLane office;
  RunningLane offsite;

  TwoLanes(std::pair<Fd, Fd> sockets, const LaneOptions& for_office,
           const LaneOptions& for_offsite) {
    office.start(std::move(sockets.first), established(office_secret, offsite_secret),
                 office_admission(), for_office);
    offsite.start(std::move(sockets.second), established(offsite_secret, office_secret),
                  offsite_admission(), for_offsite);
  }

  void carry(unsigned seed, int count) {
    Flow there{office.tun, offsite.tun, true, seed, count};
    Flow back{offsite.tun, office.tun, false, seed + 1, count};
    std::thread other([&] { back.run(); });
    there.run();
    other.join();
    CHECK(there.fault.empty());
    CHECK(there.fault == "");
    CHECK(back.fault == "");
    office_bytes += there.bytes;
    offsite_bytes += back.bytes;
    packets += static_cast<std::uint64_t>(count);
  }

  // Ends both, and holds each sender's counts against its receiver's: nothing is lost, nothing made
  // up (W-3).
  void end_and_compare() {
    office.lane->stop(GoodbyeReason::shutdown);
    CHECK(office.wait_for_end().end == LaneEnd::local_stop);
    CHECK(offsite.wait_for_end().end == LaneEnd::peer_goodbye);
    compare(office, offsite, office_bytes);
    const DirectionCounters& sent = offsite.lane->state().outbound;
    const DirectionCounters& received = office.lane->state().inbound;
    CHECK(sent.packets == packets);
    CHECK(sent.packet_bytes == offsite_bytes);
    CHECK(received.packets == packets);
    CHECK(received.packet_bytes == offsite_bytes);
    CHECK(sent.super_packets == received.super_packets);
  }
  void compare(const RunningLane& from, const RunningLane& to, std::uint64_t bytes) const {
    const DirectionCounters& sent = from.lane->state().outbound;
    const DirectionCounters& received = to.lane->state().inbound;
    CHECK(sent.packets == packets);
    CHECK(sent.packet_bytes == bytes);
    CHECK(received.packets == packets);
    CHECK(received.packet_bytes == bytes);
    CHECK(sent.super_packets == received.super_packets);
    // This end said GOODBYE: every record of it has been read, that one included.
    CHECK(sent.records == received.records);
    CHECK(sent.wire_bytes == received.wire_bytes);
    CHECK(sent.ratchets == received.ratchets);
    CHECK(from.lane->outbound_drops().total() == 0);
    CHECK(to.lane->inbound_drops().total() == 0);
  }

  std::uint64_t packets{0};
  std::uint64_t office_bytes{0};
  std::uint64_t offsite_bytes{0};
};

TEST_CASE("what goes into one TUN comes out of the other, both ways, in order and unaltered",
          "[tunnel][lane][P-35]") {
  for (const auto& [office_io, offsite_io] : backend_pairs()) {
    constexpr unsigned seed = 1;
    INFO(testing::name_of(office_io)
         << " to " << testing::name_of(offsite_io) << ", seed " << seed);
    TwoLanes lanes(tcp_loopback(), {.io = office_io}, {.io = offsite_io});
    lanes.carry(seed, 400);
    lanes.end_and_compare();
    CHECK(lanes.office.lane->state().outbound.super_packets > 20);
  }
}

TEST_CASE("records of every size carry the same packets", "[tunnel][lane][P-33][P-35]") {
  for (const std::size_t record_bytes :
       {std::size_t{1}, std::size_t{2000}, record_limit_min, std::size_t{256 * 1024}}) {
    constexpr unsigned seed = 21;
    INFO("records of " << record_bytes << ", seed " << seed);
    TwoLanes lanes(socket_pair(SOCK_STREAM), {.record_bytes_max = record_bytes},
                   {.record_bytes_max = record_bytes});
    lanes.carry(seed, 200);
    lanes.end_and_compare();
  }
}

TEST_CASE("the ratchet steps every few records and no byte is lost", "[tunnel][lane][P-37][P-39]") {
  for (const auto& [office_io, offsite_io] : backend_pairs()) {
    constexpr unsigned seed = 31;
    INFO(testing::name_of(office_io)
         << " to " << testing::name_of(offsite_io) << ", seed " << seed);
    const RatchetLimits limits{.blocks_max = record_limit_max / 16 + 1 + 2 + 5000,
                               .key_updates_max = 1 << 20};
    TwoLanes lanes(tcp_loopback(), {.io = office_io, .ratchet = limits},
                   {.io = offsite_io, .ratchet = limits});
    lanes.carry(seed, 400);
    lanes.end_and_compare();
    CHECK(lanes.office.lane->state().outbound.ratchets > 10);
    CHECK(lanes.offsite.lane->state().outbound.ratchets > 10);
  }
}

TEST_CASE("a ratchet before every single record loses nothing either", "[tunnel][lane][P-39]") {
  constexpr unsigned seed = 41;
  INFO("seed " << seed);
  const RatchetLimits limits{.blocks_max = 1, .key_updates_max = 1 << 20};
  TwoLanes lanes(socket_pair(SOCK_STREAM), {.record_bytes_max = 1, .ratchet = limits},
                 {.ratchet = limits});
  lanes.carry(seed, 200);
  lanes.end_and_compare();
  CHECK(lanes.office.lane->state().outbound.ratchets * 2 >=
        lanes.office.lane->state().outbound.records);
}

TEST_CASE("a TUN without offload gets finished packets only", "[tunnel][lane]") {
  auto [near, far] = socket_pair(SOCK_STREAM);
  PeerByHand peer(std::move(far));
  FakeTun tun;
  auto lane = Lane::start(std::move(near), established(office_secret, offsite_secret),
                          Admission(office_admission()),
                          {.tun_queues = {tun.fd()},
                           .tun_offload = false,
                           .record_bytes_max = 256 * 1024,
                           .times = {.patience = milliseconds(20)}});
  REQUIRE(lane);
  PacketSpec spec = to_office();
  spec.payload = pattern(5000);
  peer.send(RecordType::data, item({PacketKind::tcp4, 1400}, build_partial(spec)));
  for (const auto& segment : build_segments(spec, 1400)) {
    const auto arrived = tun.take();
    REQUIRE(arrived);
    CHECK(arrived->vnet == VnetHeader{});
    CHECK(arrived->bytes == segment);
  }
  spec.payload = pattern(700);
  peer.send(RecordType::data, item({PacketKind::partial_checksum, 0}, build_partial(spec)));
  const auto arrived = tun.take();
  REQUIRE(arrived);
  CHECK(arrived->vnet == VnetHeader{});
  CHECK(arrived->bytes == build(spec));
}

// --- the sender, as its peer sees it ---

// The items of the next DATA record.
TEST_CASE("a super-packet of small segments is cut into plain packets before it is sealed",
          "[tunnel][lane][P-36]") {
  const auto gso_size = GENERATE(values<std::uint16_t>({1, 100, 535, 536}));
  const auto protocol = GENERATE(values<std::uint8_t>({tcp, udp}));
  INFO("gso_size " << gso_size << ", protocol " << int(protocol));
  LaneAndPeer one;
  PacketSpec spec = to_offsite();
  spec.protocol = protocol;
  spec.payload = pattern(gso_size == 1 ? 50 : 3000);
  REQUIRE(one.tun.put(super_vnet(spec, gso_size), build_partial(spec)));
  const auto segments = build_segments(spec, gso_size);
  std::vector<std::vector<Byte>> arrived;
  while (arrived.size() < segments.size()) {
    for (auto& [meta, packet] : receive_items(one.peer)) {
      if (gso_size >= 536) {
        CHECK(meta == PacketMeta{super_kind(spec), gso_size});
        return;
      }
      CHECK(meta == PacketMeta{});
      arrived.push_back(std::move(packet));
    }
  }
  CHECK(arrived == segments);
  CHECK(one.lane->state().outbound.segmented == 1);
}

TEST_CASE("a burst of super-packets with tiny segments cannot overrun the memory of a round",
          "[tunnel][lane]") {
  LaneAndPeer one;
  // So many small packets that the lane reads them thirty-two at a time.
  PacketSpec small = to_offsite();
  small.protocol = udp;
  small.payload = pattern(1300);
  PacketSpec merged = to_offsite();
  merged.payload = pattern(20'000);
  const auto small_packet = build(small);
  const auto merged_packet = build_partial(merged);
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 31; ++i)
      REQUIRE(one.tun.put({}, small_packet));
    for (int i = 0; i < 5; ++i)
      REQUIRE(one.tun.put(super_vnet(merged, 16), merged_packet));
    for (int i = 0; i < 27; ++i)
      REQUIRE(one.tun.put({}, small_packet));
    // Everything is read; what found no room is counted, and no small packet is among it.
    int small_seen = 0;
    while (small_seen < 58) {
      for (const auto& [meta, packet] : receive_items(one.peer)) {
        if (packet == small_packet) ++small_seen;
      }
    }
    CHECK(small_seen == 58);
  }
  CHECK_FALSE(one.lane->has_ended());
  CHECK(one.lane->outbound_drops().total() ==
        one.lane->outbound_drops().of(DropReason::device_full));
}

TEST_CASE("packets that may not cross are dropped by their reason before they are sealed",
          "[tunnel][lane][P-61][P-62]") {
  struct Case {
    const char* source;
    const char* destination;
    DropReason reason;
  };
  LaneAndPeer one;
  const Case cases[] = {{"10.2.0.9", "10.2.0.7", DropReason::source_not_allowed},
                        {"192.0.2.1", "10.2.0.7", DropReason::source_not_allowed},
                        {"127.0.0.1", "10.2.0.7", DropReason::source_not_allowed},
                        {"10.1.0.5", "10.1.0.6", DropReason::destination_not_allowed},
                        {"10.1.0.5", "198.51.100.1", DropReason::destination_not_allowed},
                        {"10.1.0.5", "224.0.0.1", DropReason::destination_not_allowed}};
  for (const Case& bad : cases) {
    PacketSpec spec;
    spec.source = *IpAddress::parse(bad.source);
    spec.destination = *IpAddress::parse(bad.destination);
    const auto before = one.lane->outbound_drops().of(bad.reason);
    REQUIRE(one.tun.put({}, build(spec)));
    // A good packet behind it says that the lane has judged it.
    REQUIRE(one.tun.put({}, build(to_offsite())));
    const auto items = receive_items(one.peer);
    REQUIRE(items.size() == 1);
    CHECK(items[0].second == build(to_offsite()));
    CHECK(one.lane->outbound_drops().of(bad.reason) == before + 1);
  }
  CHECK_FALSE(one.lane->has_ended());
  CHECK(one.lane->state().outbound.packets == std::size(cases));
}

// --- the receiver, against a peer that lies ---

TEST_CASE("packets that the peer may not send are dropped by their reason, and the lane stays",
          "[tunnel][lane][P-56][P-57][P-58][P-59][P-60][P-61]") {
  for (const IoBackend io : backends()) {
    INFO(testing::name_of(io));
    LaneAndPeer one({.io = io});
    const auto good = build(to_office());
    const auto refuse = [&](PacketMeta meta, std::vector<Byte> packet, DropReason reason) {
      INFO(name_of(reason));
      const auto before = one.lane->inbound_drops().of(reason);
      auto payload = item(meta, packet);
      const auto behind = item({}, good);
      payload.insert(payload.end(), behind.begin(), behind.end());
      one.peer.send(RecordType::data, payload);
      const auto arrived = one.tun.take();
      REQUIRE(arrived);
      CHECK(arrived->bytes == good);  // the bad one has not come first
      CHECK(one.lane->inbound_drops().of(reason) == before + 1);
    };
    PacketSpec spec = to_office();
    spec.source = *IpAddress::parse("10.1.0.77");
    refuse({}, build(spec), DropReason::source_not_allowed);
    spec = to_office();
    spec.destination = *IpAddress::parse("8.8.8.8");
    refuse({}, build(spec), DropReason::destination_not_allowed);
    spec = to_office();
    spec.payload = pattern(1461);
    refuse({}, build(spec), DropReason::over_mtu);
    spec.payload = pattern(3000);
    refuse({PacketKind::tcp4, 535}, build_partial(spec), DropReason::gso_size_too_small);
    refuse({PacketKind::tcp4, 1461}, build_partial(spec), DropReason::over_mtu);
    refuse({PacketKind::tcp6, 1400}, build_partial(spec), DropReason::bad_offload);
    refuse({PacketKind::udp4, 1400}, build_partial(spec), DropReason::bad_offload);
    auto broken = good;
    broken[0] = 0x75;
    refuse({}, broken, DropReason::bad_version);
    broken[0] = 0x44;
    refuse({}, broken, DropReason::bad_header_length);
    broken = good;
    broken.push_back(0);
    refuse({}, broken, DropReason::bad_length);
    CHECK_FALSE(one.lane->has_ended());
    CHECK(one.lane->inbound_drops().total() == 10);
  }
}

struct BadStream {
  std::string what;
  std::string reason;  // a part of the sentence
  std::function<std::vector<Byte>(PeerByHand&)> make;
};

std::vector<Byte> cat(std::vector<Byte> a, const std::vector<Byte>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const std::vector<BadStream>& bad_streams() {
  static const std::vector<BadStream> table = [] {
    std::vector<BadStream> all;
    const auto data = [] { return item({}, build(to_office())); };
    const auto bad_data = [&all](std::string what, std::string reason, std::vector<Byte> payload) {
      all.push_back({std::move(what), std::move(reason),
                     [payload](PeerByHand& peer) { return peer.seal(RecordType::data, payload); }});
    };
    const auto bad_record = [&all](std::string what, std::string reason, RecordType type,
                                   std::vector<Byte> payload) {
      all.push_back({std::move(what), std::move(reason),
                     [type, payload](PeerByHand& peer) { return peer.seal(type, payload); }});
    };
    all.push_back({"plain text", "begins with byte 47", [](PeerByHand&) {
                     const std::string text = "GET / HTTP/1.1\r\n\r\n";
                     return std::vector<Byte>(text.begin(), text.end());
                   }});
    all.push_back({"a TLS alert", "begins with byte 15",
                   [](PeerByHand&) { return std::vector<Byte>{0x15, 3, 3, 0, 2, 1, 0, 0, 0}; }});
    for (const auto& [what, reason, at, value] :
         std::vector<std::tuple<std::string, std::string, std::size_t, Byte>>{
             {"an unknown type", "unknown type 6", 1, 6},
             {"type 0", "unknown type 0", 1, 0},
             {"reserved bits", "reserved bits", 3, 1},
             {"a huge length", "out of range", 4, 0x80},
             {"a type changed on the way", "does not open", 1, 2},
             {"a byte of the text", "does not open", 20, 0xff}}) {
      all.push_back({what, reason, [data, at = at, value = value](PeerByHand& peer) {
                       auto record = peer.seal(RecordType::data, data());
                       record[at] = value;
                       return record;
                     }});
    }
    all.push_back({"length 0", "0 bytes, which is out of range", [](PeerByHand&) {
                     return std::vector<Byte>{record_sync, 1, 0, 0, 0, 0, 0, 0};
                   }});
    all.push_back({"length 16", "16 bytes, which is out of range", [](PeerByHand&) {
                     return std::vector<Byte>{record_sync, 1, 0, 0, 0, 0, 0, 16};
                   }});
    all.push_back(
        {"one byte above the limit", "262161 bytes, which is out of range",
         [](PeerByHand&) { return std::vector<Byte>{record_sync, 1, 0, 0, 0, 4, 0, 17}; }});
    all.push_back({"a record twice", "does not open", [](PeerByHand& peer) {
                     const auto record = peer.seal(RecordType::ping, stamped(1));
                     return cat(record, record);
                   }});
    all.push_back({"a record left out", "does not open", [data](PeerByHand& peer) {
                     static_cast<void>(peer.seal(RecordType::data, data()));
                     return peer.seal(RecordType::data, data());
                   }});
    all.push_back({"two records swapped", "does not open", [data](PeerByHand& peer) {
                     const auto first = peer.seal(RecordType::data, data());
                     return cat(peer.seal(RecordType::data, data()), first);
                   }});
    all.push_back({"the next key without a KEYUPDATE", "does not open", [data](PeerByHand& peer) {
                     peer.step();
                     return peer.seal(RecordType::data, data());
                   }});
    all.push_back({"our own records, sent back", "does not open", [data](PeerByHand&) {
                     auto ours = Sealer::create(secret_of(office_secret), {}, now());
                     auto payload = data();
                     std::vector<Byte> record(payload.size() + record_overhead_bytes);
                     std::copy(payload.begin(), payload.end(),
                               record.begin() + record_header_bytes);
                     static_cast<void>(ours->seal(RecordType::data, record));
                     return record;
                   }});
    // A good item in front must not be delivered: the record as a whole is at fault.
    std::vector<Byte> bad = cat(data(), data());
    bad.resize(bad.size() - 1);
    bad_data("an item one byte short, behind a good one", "overruns its record", bad);
    bad = cat(data(), {0, 0, 0});
    bad_data("half an item's header, behind a good one", "header overruns", bad);
    bad = cat(data(), data());
    bad[bad.size() / 2 + 4] = 6;
    bad_data("an unknown kind, behind a good one", "unknown kind 6", bad);
    bad = cat(data(), {0, 0, 0, 22, 0, 0, 0});
    bad_data("a packet of 19 bytes", "22 bytes, which is out of range",
             cat(bad, std::vector<Byte>(19)));
    bad = cat(data(), {0, 1, 0, 3, 0, 0, 0});
    bad_data("a packet of 65,536 bytes", "65539 bytes, which is out of range",
             cat(bad, std::vector<Byte>(65536)));
    bad_data("one byte", "header overruns", {0});

    bad_record("a KEYUPDATE that says 1", "malformed KEYUPDATE", RecordType::key_update, {1});
    bad_record("a KEYUPDATE of two bytes", "malformed KEYUPDATE", RecordType::key_update, {0, 0});
    bad_record("a GOODBYE without a reason", "malformed GOODBYE", RecordType::goodbye,
               std::vector<Byte>(9, 0));
    bad_record("a GOODBYE with reason 6", "malformed GOODBYE", RecordType::goodbye,
               {6, 0, 0, 0, 0, 0, 0, 0, 0});
    bad_record("a short GOODBYE", "malformed GOODBYE", RecordType::goodbye,
               {1, 0, 0, 0, 0, 0, 0, 0});
    bad_record("a long GOODBYE", "malformed GOODBYE", RecordType::goodbye,
               {1, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    bad_record("a PING of 7 bytes", "PING without a stamp", RecordType::ping, std::vector<Byte>(7));
    bad_record("a PONG of 7 bytes", "PONG without a stamp", RecordType::pong, std::vector<Byte>(7));
    all.push_back({"101 KEYUPDATE", "too many KEYUPDATE", [](PeerByHand& peer) {
                     std::vector<Byte> stream;
                     for (int i = 0; i < 101; ++i) {
                       stream =
                           cat(stream, peer.seal(RecordType::key_update, std::vector<Byte>{0}));
                       peer.step();
                     }
                     return stream;
                   }});
    all.push_back({"1001 PING at once", "flood of PING", [](PeerByHand& peer) {
                     std::vector<Byte> stream;
                     for (int i = 0; i < 1001; ++i)
                       stream = cat(std::move(stream), peer.seal(RecordType::ping, stamped(1, 8)));
                     return stream;
                   }});
    return all;
  }();
  return table;
}

TEST_CASE(
    "a record that breaks the rules ends the lane for its reason, and nothing of it or behind it "
    "is delivered",
    "[tunnel][lane][P-28][P-29][P-30][P-33][P-34][P-39][P-40][P-43][P-44][P-48]") {
  for (const IoBackend io : backends()) {
    for (const BadStream& bad : bad_streams()) {
      INFO(bad.what << ", " << testing::name_of(io));
      LaneAndPeer one({.io = io});
      PacketSpec marked = to_office();
      marked.identification = 1;
      one.peer.send(RecordType::data, item({}, build(marked)));
      one.peer.send_raw(bad.make(one.peer));
      one.peer.send(RecordType::data, item({}, build(to_office())));
      // The lane can still send: it says what it thinks of this.
      const auto goodbye = one.peer.receive(RecordType::goodbye);
      REQUIRE(goodbye);
      CHECK(goodbye->at(0) == static_cast<Byte>(GoodbyeReason::protocol_error));
      one.peer.close();
      const LaneReport& report = one.wait_for_end();
      CHECK(report.end == LaneEnd::bad_record);
      INFO(report.reason);
      CHECK(report.reason.find(bad.reason) != std::string::npos);
      const auto first = one.tun.take(now());
      REQUIRE(first);
      CHECK(first->bytes == build(marked));
      CHECK(one.tun.is_empty());
      CHECK(one.lane->state().inbound.packets == 1);
    }
  }
}

TEST_CASE("a hundred KEYUPDATE and a thousand PING are taken", "[tunnel][lane][P-40][P-43]") {
  LaneAndPeer one;
  std::vector<Byte> stream;
  for (int i = 0; i < 100; ++i) {
    stream = cat(std::move(stream), one.peer.seal(RecordType::key_update, std::vector<Byte>{0}));
    one.peer.step();
  }
  for (int i = 0; i < 1000; ++i)
    stream = cat(std::move(stream), one.peer.seal(RecordType::ping, stamped(1, 8)));
  one.peer.send_raw(stream);
  one.peer.send(RecordType::data, item({}, build(to_office())));
  CHECK(one.tun.take());
  CHECK(one.lane->state().inbound.ratchets == 100);
  CHECK_FALSE(one.lane->has_ended());
}

TEST_CASE("PING that come faster than they can be answered cannot overrun the memory of a round",
          "[tunnel][lane][P-43]") {
  // Long enough to be read while they are answered, and short enough to come faster than the
  // answers can be sealed.
  for (const IoBackend io : backends()) {
    INFO(testing::name_of(io));
    LaneAndPeer one(tcp_loopback(), {.io = io}, 65'535);
    std::vector<Byte> stream;
    for (std::uint64_t i = 0; i < 900; ++i) {
      const auto record = one.peer.seal(RecordType::ping, stamped(i, 6'000));
      stream.insert(stream.end(), record.begin(), record.end());
    }
    one.peer.send_raw(stream);
    std::uint64_t last = 0;
    int pongs = 0;
    one.peer.send(RecordType::data, item({}, build(to_office())));
    REQUIRE(one.tun.take());  // all have been read
    const auto before = one.lane->state().inbound.records.load();
    CHECK(before >= 901);
    for (bool is_over = false; !is_over;) {
      const auto record = one.peer.receive(now() + milliseconds(300));
      is_over = !record;
      if (!record || record->first != RecordType::pong) continue;
      const std::uint64_t stamp = load_be64(record->second.data());
      if (pongs > 0) CHECK(stamp > last);
      last = stamp;
      ++pongs;
    }
    CHECK(pongs >= 1);
    CHECK_FALSE(one.lane->has_ended());
  }
}

TEST_CASE("records that came with the last of the handshake are the first that are delivered",
          "[tunnel][lane][P-21]") {
  auto [near, far] = socket_pair(SOCK_STREAM);
  PeerByHand peer(std::move(far));
  const auto early = peer.seal(RecordType::data, item({}, build(to_office())));
  PacketSpec spec = to_office();
  spec.payload = pattern(100);
  const auto late = peer.seal(RecordType::data, item({}, build(spec)));
  // Cut anywhere: one half came early, the other comes now.
  for (const std::size_t cut :
       {std::size_t{0}, std::size_t{5}, early.size() - 1, early.size(), early.size() + 9}) {
    INFO("early bytes: " << cut);
    auto sockets = socket_pair(SOCK_STREAM);
    const auto whole = cat(early, late);
    RunningLane one;
    Established keys = established(office_secret, offsite_secret);
    keys.early_records.assign(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut));
    one.start(std::move(sockets.first), std::move(keys), office_admission(),
              {.times = {.patience = milliseconds(20)}});
    const ByteView rest = ByteView(whole).subspan(cut);
    REQUIRE(::send(sockets.second.get(), rest.data(), rest.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(rest.size()));
    const auto first = one.tun.take();
    REQUIRE(first);
    CHECK(first->bytes == build(to_office()));
    const auto second = one.tun.take();
    REQUIRE(second);
    CHECK(second->bytes == build(spec));
    CHECK(one.lane->state().inbound.wire_bytes == whole.size());
  }
}

// --- PING, PONG, liveness ---

TEST_CASE("the clocks of a lane are those of the protocol", "[tunnel][lane][P-41][P-46]") {
  const LaneTimes times;
  CHECK(times.ping == std::chrono::seconds(1));
  CHECK(times.dead == std::chrono::seconds(5));
  CHECK(times.patience == std::chrono::seconds(2));
  LaneState state;
  const Instant opened = now();
  state.last_authenticated.set(opened);
  CHECK(state.dead_at() == opened + std::chrono::seconds(5));
  state.smoothed_rtt_ns = 625'000'000;
  CHECK(state.dead_at() == opened + std::chrono::seconds(5));
  state.smoothed_rtt_ns = 1'500'000'000;
  CHECK(state.dead_at() == opened + std::chrono::seconds(12));
}

TEST_CASE(
    "a PING of the tunnel's MTU goes out at each interval, give or take a fifth, also while data "
    "flows",
    "[tunnel][lane][P-41]") {
  const bool has_data = GENERATE(false, true);
  LaneAndPeer one({.times = {.ping = milliseconds(50)}});
  std::vector<std::uint64_t> stamps;
  while (stamps.size() < 12) {
    if (has_data) static_cast<void>(one.tun.put({}, build(to_offsite())));
    const auto record = one.peer.receive();
    REQUIRE(record);
    if (record->first != RecordType::ping) continue;
    CHECK(record->second.size() == 1500);
    CHECK(std::all_of(record->second.begin() + 8, record->second.end(),
                      [](Byte byte) { return byte == 0; }));
    stamps.push_back(load_be64(record->second.data()));
  }
  std::set<std::uint64_t> gaps;
  for (std::size_t i = 1; i < stamps.size(); ++i) {
    const std::uint64_t gap = stamps[i] - stamps[i - 1];
    CHECK(gap >= 40'000'000);
    gaps.insert(gap / 1'000'000);
  }
  CHECK(*gaps.begin() <= 65);  // late only where the machine is
  CHECK(gaps.size() > 3);      // drawn, not fixed
}

TEST_CASE("a PING is answered by a PONG with its stamp, of the tunnel's MTU",
          "[tunnel][lane][P-42]") {
  for (const IoBackend io : backends()) {
    LaneAndPeer one({.io = io});
    for (const std::uint64_t stamp :
         {std::uint64_t{0}, std::uint64_t{0x0123456789abcdef}, ~std::uint64_t{0}}) {
      one.peer.send(RecordType::ping, stamped(stamp, stamp == 0 ? 8 : 1500));
      const auto pong = one.peer.receive(RecordType::pong);
      REQUIRE(pong);
      CHECK(load_be64(pong->data()) == stamp);
      CHECK(pong->size() == 1500);
    }
  }
}

// Waits until the lane has read `count` records.
void wait_for_records(const LaneAndPeer& one, std::uint64_t count) {
  const Instant until = now() + patience;
  while (one.lane->state().inbound.records < count && now() < until)
    std::this_thread::yield();
  REQUIRE(one.lane->state().inbound.records >= count);
}


TEST_CASE("at most two PING wait for their PONG, whatever the peer sends", "[tunnel][lane][P-43]") {
  LaneAndPeer one;
  const int sent = fill(one);  // the lane can send nothing now
  for (std::uint64_t i = 1; i <= 20; ++i)
    one.peer.send(RecordType::ping, stamped(i, 8));
  wait_for_records(one, 20);
  std::vector<std::uint64_t> pongs;
  int data = 0;
  // Everything that was under way, and then one more PING, so that the end is seen.
  while (data < sent) {
    const auto record = one.peer.receive();
    REQUIRE(record);
    if (record->first == RecordType::pong) pongs.push_back(load_be64(record->second.data()));
    if (record->first == RecordType::data) ++data;
  }
  one.peer.send(RecordType::ping, stamped(99, 8));
  while (pongs.empty() || pongs.back() != 99) {
    const auto pong = one.peer.receive(RecordType::pong);
    REQUIRE(pong);
    pongs.push_back(load_be64(pong->data()));
  }
  CHECK(pongs == std::vector<std::uint64_t>{1, 2, 99});
}

TEST_CASE("a PONG to a PING of ours gives the round trip, any other gives nothing",
          "[tunnel][lane][P-45][P-63]") {
  LaneAndPeer one;
  const auto ping = one.peer.receive(RecordType::ping);
  REQUIRE(ping);
  const std::uint64_t stamp = load_be64(ping->data());
  const auto answer = [&](const std::vector<Byte>& payload) {
    const auto before = one.lane->state().inbound.records.load();
    one.peer.send(RecordType::pong, payload);
    wait_for_records(one, before + 1);
    // The counter rises before the PONG is judged; the answer to a PING behind it says that it has
    // been.
    one.peer.send(RecordType::ping, stamped(7, 8));
    REQUIRE(one.peer.receive(RecordType::pong));
  };
  const auto minute =
      static_cast<std::uint64_t>(std::chrono::nanoseconds(std::chrono::seconds(61)).count());
  for (const std::uint64_t bad :
       {std::uint64_t{0}, stamp + minute, stamp - minute, std::uint64_t{1} << 63, ~std::uint64_t{0},
        (std::uint64_t{1} << 63) - 1}) {
    INFO(bad);
    answer(stamped(bad));
    CHECK(one.lane->state().rtt_ns == 0);
    CHECK(one.lane->state().last_pong.get() == Instant());
  }
  answer(stamped(stamp, 1499));  // the path may be narrower than the tunnel: no proof
  CHECK(one.lane->state().rtt_ns == 0);
  CHECK(one.lane->state().last_pong.get() == Instant());
  answer(stamped(stamp, 1500));
  CHECK(one.lane->state().rtt_ns > 0);
  CHECK(one.lane->state().smoothed_rtt_ns == one.lane->state().rtt_ns);
  CHECK(one.lane->state().last_pong.get() != Instant());
  CHECK_FALSE(one.lane->has_ended());
}

TEST_CASE("a lane of a lossy line carries the first of a burst of ACKs and the newest, any other lane all of them",
          "[tunnel][lane][ack-thinner]") {
  const bool is_lossy = GENERATE(true, false);
  const IoBackend io = GENERATE(from_range(backends()));
  CAPTURE(is_lossy, io);
  LaneAndPeer one({.io = io, .thins_acks = is_lossy});
  const auto ping = one.peer.receive(RecordType::ping);
  REQUIRE(ping);
  const std::uint64_t round_trip = 40'000'000'000;  // unit: ns; ACKs are kept apart for seconds
  one.peer.send(RecordType::pong, stamped(load_be64(ping->data()) - round_trip));
  const Instant until = now() + patience;
  while (one.lane->state().smoothed_rtt_ns == 0 && now() < until)
    std::this_thread::yield();

  constexpr std::uint32_t acks = 50;
  std::vector<std::vector<Byte>> packets;
  for (std::uint32_t i = 0; i < acks; ++i) {
    PacketSpec spec = to_offsite();
    spec.tcp_flags = ack;
    spec.acknowledgement = i;
    packets.push_back(build(spec));
    REQUIRE(one.tun.put({}, packets.back()));
  }
  const auto told = [&] {
    return one.lane->state().outbound.packets + one.lane->outbound_drops().of(DropReason::ack_superseded);
  };
  while (told() < (is_lossy ? acks - 1 : acks) && now() < until)
    std::this_thread::yield();
  one.lane->stop(GoodbyeReason::shutdown);

  std::vector<Byte> arrived;
  while (const auto record = one.peer.receive()) {
    if (record->first == RecordType::goodbye) break;
    if (record->first == RecordType::data)
      arrived.insert(arrived.end(), record->second.begin(), record->second.end());
  }
  std::vector<Byte> wanted;
  for (std::uint32_t i = 0; i < acks; ++i) {
    if (is_lossy && i != 0 && i != acks - 1) continue;
    const auto one_item = item({}, packets[i]);
    wanted.insert(wanted.end(), one_item.begin(), one_item.end());
  }
  CHECK(arrived == wanted);
  CHECK(one.lane->outbound_drops().total() == (is_lossy ? acks - 2 : 0));
}

TEST_CASE("a lane whose peer falls silent is given up in time, whether it can send or not",
          "[tunnel][lane][P-46]") {
  const IoBackend io = GENERATE(from_range(backends()));
  const bool is_blocked = GENERATE(false, true);
  INFO(testing::name_of(io) << (is_blocked ? ", blocked" : ""));
  const Instant before = now();
  LaneAndPeer one({.io = io, .times = {.dead = milliseconds(600)}});
  if (is_blocked) fill(one);
  const LaneReport& report = one.wait_for_end();
  CHECK(report.end == LaneEnd::dead);
  CHECK(report.reason == "no authenticated record for too long: the path is dead");
  CHECK(now() - before >= milliseconds(600));
  CHECK(now() - before < std::chrono::seconds(5));
}

TEST_CASE("only a record that opens keeps a lane alive, and one is enough",
          "[tunnel][lane][P-46]") {
  LaneAndPeer one({.times = {.dead = milliseconds(1000)}});
  const Instant until = now() + milliseconds(2500);
  while (now() < until) {
    one.peer.send(RecordType::pong, stamped(0));
    static_cast<void>(one.peer.receive(now() + milliseconds(20)));
  }
  CHECK_FALSE(one.lane->has_ended());
  // Bytes of a record that never ends are no sign of life.
  const auto half = one.peer.seal(RecordType::data, std::vector<Byte>(1000));
  const Instant silent = now();
  for (std::size_t i = 0; i < 900 && !one.lane->has_ended(); ++i) {
    one.peer.send_raw(ByteView(half).subspan(i, 1));
    static_cast<void>(one.peer.receive(now() + milliseconds(2)));
  }
  CHECK(one.wait_for_end().end == LaneEnd::dead);
  CHECK(now() - silent < std::chrono::seconds(5));
}

TEST_CASE("a lane that is blocked waits, and does not spin", "[tunnel][lane]") {
  for (const IoBackend io : backends()) {
    INFO(testing::name_of(io));
    LaneAndPeer one({.io = io, .times = {.ping = milliseconds(10), .dead = milliseconds(900)}});
    fill(one);
    const auto before = processor_time();
    const Instant start = now();
    CHECK(one.wait_for_end().end == LaneEnd::dead);
    const auto waited = now() - start;
    CHECK(processor_time() - before < waited / 8);
  }
}

TEST_CASE("a lane of cubic waits for bulk with reno, and carries it with cubic", "[tunnel][lane][slow-start]") {
  for (const IoBackend io : backends()) {
    INFO(testing::name_of(io));
    auto sockets = tcp_loopback();
    const std::string cubic = "cubic";
    if (::setsockopt(sockets.first.get(), IPPROTO_TCP, TCP_CONGESTION, cubic.data(), static_cast<socklen_t>(cubic.size())) != 0 ||
        !may_wait_with_reno(sockets.first.get())) {
      WARN("SKIPPED: this system does not let this user choose cubic (net.ipv4.tcp_allowed_congestion_control)");
      return;
    }
    LaneAndPeer one(std::move(sockets), {.io = io, .waits_with_reno = true, .times = {.ping = milliseconds(10)}}, 1500);
    const int fd = one.lane->socket_fd();
    const auto comes = [&](const std::string& wanted) {
      const Instant until = now() + patience;
      while (congestion_control_of(fd) != wanted && now() < until)
        static_cast<void>(one.peer.receive());  // PINGs: calm traffic, each a reason to look at the path
      return congestion_control_of(fd) == wanted;
    };
    CHECK(comes("reno"));
    fill(one);  // and the peer reads nothing
    const Instant until = now() + patience;
    while (congestion_control_of(fd) != "cubic" && now() < until)
      std::this_thread::yield();
    CHECK(congestion_control_of(fd) == "cubic");
  }
}

TEST_CASE("who does not run cubic does not wait with reno", "[tunnel][lane][slow-start]") {
  auto sockets = tcp_loopback();
  const std::string reno = "reno";
  REQUIRE(::setsockopt(sockets.first.get(), IPPROTO_TCP, TCP_CONGESTION, reno.data(), static_cast<socklen_t>(reno.size())) == 0);
  CHECK_FALSE(may_wait_with_reno(sockets.first.get()));
  CHECK_FALSE(may_wait_with_reno(socket_pair(SOCK_STREAM).first.get()));
}

TEST_CASE("a lane whose peer reads nothing takes no more from its TUN, and loses nothing",
          "[tunnel][lane]") {
  for (const IoBackend io : backends()) {
    INFO(testing::name_of(io));
    LaneAndPeer one({.io = io});
    PacketSpec spec = to_offsite();
    spec.payload = pattern(60'000);
    const int sent = fill(one);
    // Two rounds of eight super-packets, what the sockets hold, and what waits in the TUN.
    CHECK(one.lane->state().outbound.packets < 40);
    int arrived = 0;
    while (arrived < sent) {
      for (const auto& [meta, packet] : receive_items(one.peer)) {
        CHECK(packet == build_partial(spec));
        ++arrived;
      }
    }
    CHECK(arrived == sent);
    CHECK(one.lane->outbound_drops().total() == 0);
  }
}

// --- the end ---

TEST_CASE(
    "a lane that is stopped says GOODBYE with its reason as the last record, and ends its "
    "direction",
    "[tunnel][lane][P-47]") {
  const IoBackend io = GENERATE(from_range(backends()));
  const auto reason =
      GENERATE(values({GoodbyeReason::shutdown, GoodbyeReason::restart, GoodbyeReason::replaced}));
  LaneAndPeer one({.io = io});
  REQUIRE(one.peer.receive(RecordType::ping));
  one.lane->stop(reason);
  const auto goodbye = one.peer.receive(RecordType::goodbye);
  REQUIRE(goodbye);
  REQUIRE(goodbye->size() == 9);
  CHECK(goodbye->at(0) == static_cast<Byte>(reason));
  CHECK(load_be64(goodbye->data() + 1) >= 1);
  CHECK_FALSE(one.peer.receive());
  CHECK(one.peer.is_at_end());
  // It reads on until we close, so that nothing of ours meets a reset.
  CHECK_FALSE(one.lane->has_ended());
  one.peer.send(RecordType::data, item({}, build(to_office())));
  CHECK_FALSE(one.lane->has_ended());
  one.peer.close();
  CHECK(one.wait_for_end().end == LaneEnd::local_stop);
}

TEST_CASE("what waits to be sent goes before GOODBYE", "[tunnel][lane][P-47]") {
  LaneAndPeer one;
  const int sent = fill(one);
  one.lane->stop(GoodbyeReason::shutdown);
  int data = 0;
  for (;;) {
    const auto record = one.peer.receive();
    REQUIRE(record);
    if (record->first == RecordType::goodbye) break;
    if (record->first == RecordType::data) ++data;
  }
  CHECK(data > 0);
  CHECK(data <= sent);
  CHECK(static_cast<std::uint64_t>(data) == one.lane->state().outbound.packets);
  CHECK_FALSE(one.peer.receive());
  CHECK(one.peer.is_at_end());
}

TEST_CASE("a lane that is stopped ends within its patience, whatever the peer does",
          "[tunnel][lane][P-47]") {
  const bool is_blocked = GENERATE(false, true);
  const IoBackend io = GENERATE(from_range(backends()));
  INFO(testing::name_of(io) << (is_blocked ? ", blocked" : ", never closed"));
  LaneAndPeer one({.io = io, .times = {.patience = milliseconds(300)}});
  if (is_blocked) fill(one);
  const Instant before = now();
  one.lane->stop(GoodbyeReason::shutdown);
  CHECK(one.wait_for_end().end == LaneEnd::local_stop);
  CHECK(now() - before >= milliseconds(300));
  CHECK(now() - before < milliseconds(1500));
}

TEST_CASE(
    "a peer's GOODBYE ends the lane and is answered by one, and no record behind it is opened",
    "[tunnel][lane][P-48][P-49][P-50]") {
  for (const IoBackend io : backends()) {
    for (Byte reason = 1; reason <= 5; ++reason) {
      LaneAndPeer one({.io = io});
      std::vector<Byte> payload(goodbye_bytes);
      payload[0] = reason;
      auto stream = one.peer.seal(RecordType::data, item({}, build(to_office())));
      stream = cat(stream, one.peer.seal(RecordType::goodbye, payload));
      stream = cat(stream, one.peer.seal(RecordType::data, item({}, build(to_office()))));
      one.peer.send_raw(stream);
      CHECK(one.peer.receive(RecordType::goodbye));
      CHECK_FALSE(one.peer.receive());
      CHECK(one.peer.is_at_end());
      one.peer.close();
      const LaneReport& report = one.wait_for_end();
      if (reason == static_cast<Byte>(GoodbyeReason::moved)) {
        CHECK(report.end == LaneEnd::moved);
        CHECK(report.reason == "its traffic goes on over a fresh connection");
      } else {
        CHECK(report.end == LaneEnd::peer_goodbye);
        CHECK(report.reason == "reason " + std::to_string(reason));
      }
      CHECK(one.tun.take(now()));  // what came before it is delivered
      CHECK(one.tun.is_empty());
      CHECK(one.lane->state().inbound.records == 2);
    }
  }
}

TEST_CASE("a stream that ends without GOODBYE is counted as cut, wherever it ends",
          "[tunnel][lane][P-32][P-50]") {
  const IoBackend io = GENERATE(from_range(backends()));
  LaneAndPeer one({.io = io});
  const auto record = one.peer.seal(RecordType::data, item({}, build(to_office())));
  SECTION("between two records") {
    one.peer.send_raw(record);
    REQUIRE(one.tun.take());
  }
  SECTION("inside a header") {
    one.peer.send_raw(ByteView(record).first(5));
  }
  SECTION("inside a record") {
    one.peer.send_raw(ByteView(record).first(record.size() - 1));
  }
  one.peer.end_sending();
  REQUIRE(one.peer.receive(RecordType::goodbye));
  one.peer.close();
  const LaneReport& report = one.wait_for_end();
  CHECK(report.end == LaneEnd::closed);
  CHECK(report.reason == "the stream ended without GOODBYE");
  CHECK(one.tun.is_empty());
}

TEST_CASE("a connection that breaks ends the lane, also while it is sending",
          "[tunnel][lane][P-50]") {
  for (const IoBackend io : backends()) {
    LaneAndPeer one({.io = io});
    fill(one);
    one.peer.close();
    CHECK(one.wait_for_end().end == LaneEnd::closed);
  }
}

TEST_CASE("a lane that cannot have its device ends at once and says why", "[tunnel][lane]") {
  auto sockets = socket_pair(SOCK_STREAM);
  std::promise<void> ended;
  auto lane = Lane::start(
      std::move(sockets.first), established(1, 2), Admission(office_admission()),
      {.tun_queues = {-1}, .record_bytes_max = 1 << 18, .on_end = [&] { ended.set_value(); }});
  REQUIRE(lane);
  REQUIRE(ended.get_future().wait_for(patience) == std::future_status::ready);
  CHECK((*lane)->report().end == LaneEnd::failed);
  CHECK_FALSE((*lane)->report().reason.empty());
}

TEST_CASE("a lane that is destroyed while it runs ends first", "[tunnel][lane]") {
  for (const IoBackend io : backends()) {
    LaneAndPeer one({.io = io});
    REQUIRE(one.peer.receive(RecordType::ping));
    std::thread closing([&] {
      static_cast<void>(one.peer.receive(RecordType::goodbye));
      one.peer.close();
    });
    one.lane.reset();
    closing.join();
  }
}

}  // namespace
}  // namespace lt::tunnel

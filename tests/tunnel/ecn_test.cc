#include "tunnel/ecn.h"

#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <random>
#include <vector>

#include "tests/tunnel/flow_packets.h"
#include "tests/tunnel/packet_builder.h"
#include "tunnel/ip_packet.h"
#include "tunnel/segmentation.h"
#include "tunnel/virtio.h"

namespace lt::tunnel {
namespace {

using namespace lt::tunnel::testing;

constexpr unsigned not_ect = 0;
constexpr unsigned ect_1 = 1;
constexpr unsigned ect_0 = 2;
constexpr unsigned experienced = 3;

// with_traffic_class leaves the header checksum as it was.
std::vector<Byte> with_class(std::vector<Byte> packet, unsigned traffic_class) {
  packet = with_traffic_class(std::move(packet), traffic_class);
  if (packet[0] >> 4 != 4) return packet;
  packet[10] = packet[11] = 0;
  const auto sum = slow_sum({packet.begin(), packet.begin() + 20});
  store_be16(&packet[10], static_cast<std::uint16_t>(~sum));
  return packet;
}

bool header_is_sound(const std::vector<Byte>& packet) {
  return slow_sum({packet.begin(), packet.begin() + 20}) == 0xffff;
}

// --- marks ---

TEST_CASE("a packet whose sender knows ECN is marked, any other is left alone", "[tunnel][ecn]") {
  const PacketSpec spec = GENERATE(values({PacketSpec{}, v6()}));
  const unsigned dscp = GENERATE(0U, 1U, 46U, 63U);
  const unsigned ecn = GENERATE(not_ect, ect_1, ect_0, experienced);
  CAPTURE(int(spec.family), dscp, ecn);
  const std::vector<Byte> before = with_class(build(spec), dscp << 2 | ecn);
  std::vector<Byte> after = before;
  CHECK(mark_congestion(after) == (ecn != not_ect));
  const unsigned wanted = ecn == not_ect ? not_ect : experienced;
  CHECK(after == with_class(before, dscp << 2 | wanted));
  CHECK(parse_ip(after));
}

TEST_CASE("the header checksum is right after a mark, whatever it was", "[tunnel][ecn]") {
  const unsigned ecn = GENERATE(ect_1, ect_0, experienced);
  PacketSpec spec;
  for (unsigned id = 0; id < 65536; ++id) {  // every checksum there is, with both zeros
    spec.identification = static_cast<std::uint16_t>(id);
    std::vector<Byte> packet = with_class(build(spec), 46U << 2 | ecn);
    REQUIRE(mark_congestion(packet));
    if (!header_is_sound(packet)) FAIL("identification " << id << ": " << to_hex(packet));
  }
}

TEST_CASE("a marked super-packet is the same super-packet, and each of its segments is marked",
          "[tunnel][ecn]") {
  PacketSpec spec = GENERATE(values({PacketSpec{}, v6()}));
  spec.tcp_flags = static_cast<std::uint8_t>(ack | psh | (GENERATE(0, 1) == 1 ? cwr : Byte{0}));
  spec.payload = pattern(5000);
  const PacketKind kind = spec.family == Family::v4 ? PacketKind::tcp4 : PacketKind::tcp6;
  const std::vector<Byte> whole = build_partial(spec);
  std::vector<Byte> packet = with_class(whole, ect_0);
  const auto before = rebuild({kind, 1300}, packet, 1500);
  REQUIRE(before);
  REQUIRE(mark_congestion(packet));
  const auto after = rebuild({kind, 1300}, packet, 1500);
  REQUIRE(after);
  CHECK(*after == *before);  // the ECN bit of the offload header follows CWR alone
  const auto meta = describe(*after, packet);
  REQUIRE(meta);
  CHECK(*meta == PacketMeta{kind, 1300});

  const auto expected = build_segments(spec, 1300);
  std::size_t count = 0;
  std::vector<Byte> room(packet_bytes_max);
  REQUIRE(segment(*meta, packet, room, [&](ByteView piece) {
    REQUIRE(count < expected.size());
    CHECK(std::vector<Byte>(piece.begin(), piece.end()) ==
          with_class(expected[count], experienced));
    ++count;
  }));
  CHECK(count == expected.size());
}

// --- when ---

constexpr SojournOptions options{.target = 5ms, .interval = 100ms, .backlog_min = 1500};
const Instant start = Instant() + 1h;

// Asks every millisecond from `from` on, and says at which of them it was told to mark.
std::vector<int> marks_of(SojournMarker& marker, int from, int to, Nanoseconds sojourn,
                          std::size_t backlog = 100000) {
  std::vector<int> found;
  for (int ms = from; ms < to; ++ms) {
    if (marker.should_mark(sojourn, backlog, start + Milliseconds(ms))) found.push_back(ms);
  }
  return found;
}

TEST_CASE("a delay below the target is never marked, nor a queue that is all but empty",
          "[tunnel][ecn]") {
  SojournMarker marker(options);
  CHECK(marks_of(marker, 0, 1000, 5ms - 1ns).empty());
  CHECK(marks_of(marker, 1000, 2000, 80ms, 1500).empty());
  CHECK_FALSE(marker.is_marking());
  CHECK(marker.marks() == 0);
  CHECK_FALSE(marks_of(marker, 2000, 2200, 80ms, 1501).empty());
}

TEST_CASE("a burst that drains within the interval is not marked", "[tunnel][ecn]") {
  SojournMarker marker(options);
  for (int burst = 0; burst < 20; ++burst) {
    CHECK(marks_of(marker, burst * 100, burst * 100 + 99, 50ms).empty());
    CHECK(marks_of(marker, burst * 100 + 99, burst * 100 + 100, 1ms).empty());
  }
}

TEST_CASE("a delay that stands is marked after the interval, and then by the square root law",
          "[tunnel][ecn]") {
  SojournMarker marker(options);
  const auto marks = marks_of(marker, 0, 1000, 20ms);
  // 100, then + 100, + 100/sqrt(2), + 100/sqrt(3)...: RFC 8289 by hand, next whole millisecond.
  std::vector<int> expected;
  double next = 100;
  for (int count = 1; next < 1000; ++count) {
    expected.push_back(static_cast<int>(std::ceil(next - 1e-6)));
    next += 100 / std::sqrt(count);
  }
  CHECK(marks == expected);
  CHECK(marker.is_marking());
  CHECK(marker.marks() == marks.size());
}

TEST_CASE("marking ends with the delay, and goes on where it was if that comes back soon",
          "[tunnel][ecn]") {
  SojournMarker marker(options);
  const auto first = marks_of(marker, 0, 1000, 20ms);
  REQUIRE(first.size() > 5);
  CHECK(marks_of(marker, 1000, 1001, 1ms).empty());
  CHECK_FALSE(marker.is_marking());
  const int pause = GENERATE(1, 5000);
  const auto second = marks_of(marker, 1000 + pause, 1000 + pause + 300, 20ms);
  REQUIRE(second.size() >= 2);
  CHECK(second[0] == 1000 + pause + 100);  // a whole interval again
  const int gap = second[1] - second[0];
  if (pause == 1) {  // soon: at the pace that the first time had reached
    const double count = static_cast<double>(first.size() - 1);
    CHECK(gap == static_cast<int>(std::ceil(100 / std::sqrt(count))));
  } else {  // 16 intervals later: from the beginning
    CHECK(gap == 100);
  }
}

TEST_CASE("packets that leave seldom do not save up more marks than packets", "[tunnel][ecn]") {
  SojournMarker marker(options);
  int marks = 0;
  for (int second = 0; second < 10; ++second)
    marks += marker.should_mark(20ms, 100000, start + Seconds(second)) ? 1 : 0;
  CHECK(marks == 9);
}

// A bottleneck of 500 Mbit/s, 20 ms, and flows that halve at a mark (once a round trip) and grow by
// a segment each round trip else: what the marks are for.
struct Closed {
  double standing_ms;  // the least delay of the last seconds: what never drains
  double use;          // of the bottleneck
};

Closed run_flows(unsigned flows, bool marked, std::uint32_t seed) {
  constexpr double bytes_per_ms = 500e6 / 8 / 1000;
  constexpr double rtt_ms = 20;
  constexpr double segment_bytes = 1448;
  std::mt19937 random(seed);
  SojournMarker marker({.target = 5ms, .interval = 100ms, .backlog_min = 3000});
  struct Flow {
    double window;
    double deaf_until_ms;
  };
  std::vector<Flow> state(flows);
  for (Flow& flow : state)
    flow = {bytes_per_ms * rtt_ms / flows + static_cast<double>(random() % 10000), 0};
  double queue = 0;
  double sent = 0;
  double least = 1e9;
  constexpr int run_ms = 40000;
  for (int ms = 0; ms < run_ms; ++ms) {
    const double delay = queue / bytes_per_ms;
    double offered = 0;
    for (Flow& flow : state) {
      offered += flow.window / (rtt_ms + delay);
      flow.window += segment_bytes / (rtt_ms + delay);  // one segment a round trip
    }
    queue += offered;
    const double out = std::min(queue, bytes_per_ms);
    queue -= out;
    if (marked && marker.should_mark(Nanoseconds(static_cast<std::int64_t>(delay * 1e6)),
                                     static_cast<std::size_t>(queue), start + Milliseconds(ms))) {
      Flow& hit = state[random() % flows];
      if (ms >= hit.deaf_until_ms) {
        hit.window /= 2;
        hit.deaf_until_ms = ms + rtt_ms + delay;
      }
    }
    if (ms < run_ms / 2) continue;
    sent += out;
    least = std::min(least, delay);
  }
  return {least, sent / (bytes_per_ms * run_ms / 2)};
}

TEST_CASE("marks keep the queue of obedient flows from standing, and the bottleneck busy",
          "[tunnel][ecn]") {
  const unsigned flows = GENERATE(1U, 4U, 16U);
  const std::uint32_t seed = 20261123;
  CAPTURE(flows, seed);
  const Closed without = run_flows(flows, false, seed);
  const Closed with = run_flows(flows, true, seed);
  CAPTURE(without.standing_ms, with.standing_ms, with.use);
  CHECK(without.standing_ms > 10);
  CHECK(with.standing_ms < 5);  // it drains below the target again and again
  CHECK(with.use > 0.85);       // one flow that halves at 5 ms of queue gives up more than many do
}

}  // namespace
}  // namespace lt::tunnel

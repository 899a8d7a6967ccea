#include "tunnel/segmentation.h"

#include <catch2/catch.hpp>

#include "tests/tunnel/packet_builder.h"
#include "tunnel/checksum.h"

namespace lt::tunnel {
namespace {

using namespace testing;

PacketKind super_kind(const PacketSpec& spec) {
  if (spec.protocol == tcp) return spec.family == Family::v4 ? PacketKind::tcp4 : PacketKind::tcp6;
  return spec.family == Family::v4 ? PacketKind::udp4 : PacketKind::udp6;
}

std::vector<std::vector<Byte>> cut(PacketMeta meta, const std::vector<Byte>& packet) {
  std::vector<Byte> scratch(packet_bytes_max);
  std::vector<std::vector<Byte>> segments;
  const auto count = segment(meta, packet, scratch,
                             [&](ByteView one) { segments.emplace_back(one.begin(), one.end()); });
  REQUIRE(count);
  REQUIRE(*count == segments.size());
  return segments;
}

TEST_CASE("the fast sum is the sum of RFC 1071, for every length and alignment",
          "[tunnel][checksum]") {
  const auto text = pattern(200);
  for (std::size_t from = 0; from < 9; ++from) {
    for (std::size_t size = 0; size + from <= text.size(); ++size) {
      const std::vector<Byte> part(text.begin() + static_cast<std::ptrdiff_t>(from),
                                   text.begin() + static_cast<std::ptrdiff_t>(from + size));
      Byte stored[2] = {};
      store_partial(stored, add_bytes({}, ByteView(text).subspan(from, size)));
      REQUIRE(load_be16(stored) == slow_sum(part));
      REQUIRE(holds_partial(stored, add_bytes({}, ByteView(text).subspan(from, size))));
    }
  }
}

TEST_CASE("the fast sum carries all ones", "[tunnel][checksum]") {
  const std::vector<Byte> ones(65535, 0xff);
  Byte stored[2] = {};
  store_partial(stored, add_bytes({}, ones));
  CHECK(load_be16(stored) == slow_sum(ones));
  const Byte zero[2] = {0, 0};
  CHECK(holds_partial(zero, add_bytes({}, std::vector<Byte>(64, 0xff))));  // the other zero
  const Byte one[2] = {0, 1};
  CHECK_FALSE(holds_partial(one, add_bytes({}, std::vector<Byte>(64, 0xff))));
}

TEST_CASE("a zero UDP checksum is sent as all ones", "[tunnel][checksum]") {
  Byte stored[2] = {};
  store_checksum_nonzero(stored, add_bytes({}, std::vector<Byte>(2, 0xff)));
  CHECK(load_be16(stored) == 0xffff);
  store_checksum(stored, add_bytes({}, std::vector<Byte>(2, 0xff)));
  CHECK(load_be16(stored) == 0);
}

TEST_CASE("segments are those that one would build one by one", "[tunnel][segmentation]") {
  PacketSpec spec = GENERATE(PacketSpec{}, v6());
  spec.protocol = GENERATE(values<std::uint8_t>({tcp, udp}));
  spec.tcp_flags = ack | psh | fin | cwr;
  const std::size_t gso_size =
      GENERATE(std::size_t{1}, std::size_t{536}, std::size_t{1447}, std::size_t{1448});
  const std::size_t extra = GENERATE(std::size_t{1}, std::size_t{2});
  if (spec.protocol == tcp) spec.tcp_options = pattern(12);
  spec.payload = pattern(gso_size * 3 + std::min(extra, gso_size));
  const PacketMeta meta{super_kind(spec), static_cast<std::uint16_t>(gso_size)};
  // Neither the checksums of the super-packet nor what else stands in its checksum field matters.
  CHECK(cut(meta, build(spec)) == build_segments(spec, gso_size));
  CHECK(cut(meta, build_partial(spec)) == build_segments(spec, gso_size));
}

TEST_CASE("generated super-packets are cut as if each segment were built by itself",
          "[tunnel][segmentation]") {
  const auto seed = GENERATE(7U, 20260102U);
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 60; ++round) {
    PacketSpec spec = random_spec(random, 9000);
    if (spec.payload.size() < 2) continue;
    const std::size_t gso_size =
        1 + random() % std::min<std::size_t>(spec.payload.size() - 1, 1460);
    CAPTURE(round, gso_size, spec.payload.size());
    const PacketMeta meta{super_kind(spec), static_cast<std::uint16_t>(gso_size)};
    REQUIRE(cut(meta, build_partial(spec)) == build_segments(spec, gso_size));
  }
}

TEST_CASE("the largest super-packet is cut without a remainder lost", "[tunnel][segmentation]") {
  PacketSpec spec;
  spec.payload = pattern(65535 - 40);
  spec.identification = 0xfff0;  // wraps
  CHECK(cut({PacketKind::tcp4, 1460}, build(spec)) == build_segments(spec, 1460));
}

TEST_CASE("a segmenter says beforehand how many and how large", "[tunnel][segmentation]") {
  PacketSpec spec;
  spec.payload = pattern(1000);
  const auto packet = build(spec);
  for (const std::uint16_t gso_size :
       {std::uint16_t{1}, std::uint16_t{499}, std::uint16_t{500}, std::uint16_t{999}}) {
    CAPTURE(gso_size);
    auto segmenter = Segmenter::create({PacketKind::tcp4, gso_size}, packet);
    REQUIRE(segmenter);
    CHECK(segmenter->count() == build_segments(spec, gso_size).size());
    CHECK(segmenter->bytes_max() == 40U + gso_size);
    std::vector<Byte> exact(segmenter->bytes_max());
    std::size_t seen = 0;
    while (segmenter->next(exact))
      ++seen;
    CHECK(seen == segmenter->count());
    CHECK_FALSE(segmenter->next(exact));
  }
}

TEST_CASE("what is no super-packet is not cut", "[tunnel][segmentation]") {
  PacketSpec spec;
  spec.payload = pattern(1000);
  auto packet = build(spec);
  std::vector<Byte> scratch(2000);
  const auto refused = [&](PacketMeta meta) {
    const auto count = segment(meta, packet, scratch, [](ByteView) { FAIL("a segment came out"); });
    REQUIRE_FALSE(count);
    return count.error();
  };
  CHECK(refused({PacketKind::plain, 0}) == DropReason::bad_offload);
  CHECK(refused({PacketKind::partial_checksum, 0}) == DropReason::bad_offload);
  CHECK(refused({PacketKind::tcp4, 0}) == DropReason::bad_offload);
  CHECK(refused({PacketKind::tcp4, 1000}) == DropReason::bad_offload);
  CHECK(refused({PacketKind::tcp4, 65535}) == DropReason::bad_offload);
  CHECK(refused({PacketKind::tcp6, 500}) == DropReason::bad_offload);
  CHECK(refused({PacketKind::udp4, 500}) == DropReason::bad_offload);
  scratch.resize(539);
  CHECK(refused({PacketKind::tcp4, 500}) == DropReason::over_mtu);
  packet[33] = ack | syn;
  CHECK(refused({PacketKind::tcp4, 400}) == DropReason::bad_offload);
  packet[33] = rst;
  CHECK(refused({PacketKind::tcp4, 400}) == DropReason::bad_offload);
  packet[33] = ack;
  store_be16(&packet[6], 0x2000);
  CHECK(refused({PacketKind::tcp4, 400}) == DropReason::fragment_with_offload);
  packet[0] = 0x75;
  CHECK(refused({PacketKind::tcp4, 400}) == DropReason::bad_version);
}

TEST_CASE("an unfinished checksum is finished, whatever the field held", "[tunnel][segmentation]") {
  PacketSpec spec = GENERATE(PacketSpec{}, v6());
  spec.protocol = GENERATE(values<std::uint8_t>({tcp, udp}));
  spec.payload = pattern(GENERATE(std::size_t{0}, std::size_t{1}, std::size_t{999}));
  const auto finished = build(spec);
  auto packet = build_partial(spec);
  SECTION("the pseudo-header's sum") {}
  SECTION("anything") {
    packet[checksum_at(spec)] ^= 0xa5;
  }
  CHECK_FALSE(complete_checksum({PacketKind::partial_checksum, 0}, packet));
  CHECK(packet == finished);
}

TEST_CASE("a UDP checksum that comes out as zero is finished as all ones",
          "[tunnel][segmentation]") {
  PacketSpec spec;
  spec.protocol = udp;
  spec.payload = {0, 0};
  // Choose the payload so that the sum becomes 0xffff.
  auto packet = build(spec);
  const std::uint16_t checksum = load_be16(&packet[26]);
  spec.payload = {static_cast<Byte>(checksum >> 8), static_cast<Byte>(checksum)};
  packet = build_partial(spec);
  REQUIRE_FALSE(complete_checksum({PacketKind::partial_checksum, 0}, packet));
  CHECK(load_be16(&packet[26]) == 0xffff);
}

TEST_CASE("a packet without an unfinished checksum is left alone", "[tunnel][segmentation]") {
  PacketSpec spec;
  spec.payload = pattern(100);
  auto packet = build(spec);
  packet[checksum_at(spec)] ^= 0xff;  // wrong, and not ours to mend
  const auto before = packet;
  CHECK_FALSE(complete_checksum({}, packet));
  CHECK(packet == before);
  CHECK(complete_checksum({PacketKind::tcp4, 50}, packet) == DropReason::bad_offload);
  packet[9] = 1;
  CHECK(complete_checksum({PacketKind::partial_checksum, 0}, packet) == DropReason::bad_offload);
}

TEST_CASE("only a super-packet below the wire's least size has to be cut by the sender",
          "[tunnel][segmentation][P-36]") {
  CHECK(needs_segmentation({PacketKind::tcp4, 535}));
  CHECK(needs_segmentation({PacketKind::udp6, 1}));
  CHECK_FALSE(needs_segmentation({PacketKind::tcp4, 536}));
  CHECK_FALSE(needs_segmentation({PacketKind::plain, 0}));
  CHECK_FALSE(needs_segmentation({PacketKind::partial_checksum, 0}));
}

}  // namespace
}  // namespace lt::tunnel

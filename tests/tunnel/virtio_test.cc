#include "tunnel/virtio.h"

#include <catch2/catch.hpp>
#include <optional>

#include "tests/tunnel/packet_builder.h"

namespace lt::tunnel {
namespace {

using namespace testing;

constexpr std::uint32_t mtu = 1500;

PacketKind super_kind(const PacketSpec& spec) {
  if (spec.protocol == tcp) return spec.family == Family::v4 ? PacketKind::tcp4 : PacketKind::tcp6;
  return spec.family == Family::v4 ? PacketKind::udp4 : PacketKind::udp6;
}

std::uint8_t gso_type_of(const PacketSpec& spec) {
  if (spec.protocol == udp) return vnet_gso_udp;
  const std::uint8_t type = spec.family == Family::v4 ? vnet_gso_tcp4 : vnet_gso_tcp6;
  return (spec.tcp_flags & cwr) != 0 ? static_cast<std::uint8_t>(type | vnet_gso_ecn) : type;
}

// The header that a kernel gives to a super-packet of `spec`.
VnetHeader super_header(const PacketSpec& spec, std::uint16_t gso_size) {
  return {.flags = vnet_needs_checksum,
          .gso_type = gso_type_of(spec),
          .hdr_len = static_cast<std::uint16_t>(headers_bytes(spec)),
          .gso_size = gso_size,
          .csum_start = static_cast<std::uint16_t>(transport_offset(spec)),
          .csum_offset = static_cast<std::uint16_t>(spec.protocol == tcp ? 16 : 6)};
}

VnetHeader partial_header(const PacketSpec& spec) {
  VnetHeader header = super_header(spec, 0);
  header.gso_type = vnet_gso_none;
  header.hdr_len = 0;
  return header;
}

std::optional<DropReason> describe_fault(const VnetHeader& header, std::vector<Byte> packet) {
  const auto meta = describe(header, packet);
  return meta ? std::nullopt : std::optional(meta.error());
}

std::optional<DropReason> rebuild_fault(PacketMeta meta, std::vector<Byte> packet,
                                        std::uint32_t limit = mtu) {
  const auto header = rebuild(meta, packet, limit);
  return header ? std::nullopt : std::optional(header.error());
}

PacketSpec super_spec(Family family, std::uint8_t protocol, std::size_t payload = 5000) {
  PacketSpec spec = family == Family::v4 ? PacketSpec{} : v6();
  spec.protocol = protocol;
  spec.payload = pattern(payload);
  return spec;
}

TEST_CASE("the header has the kernel's shape", "[tunnel][virtio]") {
  const VnetHeader header{1, 4, 0x0102, 0x0304, 0x0506, 0x0708};
  Byte raw[vnet_header_bytes] = {};
  store_vnet(raw, header);
  CHECK(raw[0] == 1);
  CHECK(raw[1] == 4);
  std::uint16_t field = 0;
  std::memcpy(&field, raw + 2, 2);
  CHECK(field == 0x0102);
  std::memcpy(&field, raw + 8, 2);
  CHECK(field == 0x0708);
  CHECK(load_vnet(raw) == header);
}

TEST_CASE("a super-packet crosses the wire and gets the header back that it had",
          "[tunnel][virtio]") {
  PacketSpec spec = super_spec(GENERATE(values({Family::v4, Family::v6})),
                               GENERATE(values<std::uint8_t>({tcp, udp})));
  spec.tcp_flags = GENERATE(values<std::uint8_t>({ack, ack | cwr}));
  auto packet = build_partial(spec);
  const auto original = packet;
  const VnetHeader header = super_header(spec, 1400);
  const auto meta = describe(header, packet);
  REQUIRE(meta);
  CHECK(*meta == PacketMeta{super_kind(spec), 1400});
  CHECK(packet == original);
  const auto again = rebuild(*meta, packet, mtu);
  REQUIRE(again);
  CHECK(*again == header);
  CHECK(packet == original);
}

TEST_CASE("generated packets of every kind survive the round trip", "[tunnel][virtio]") {
  const auto seed = GENERATE(3U, 20260103U);
  CAPTURE(seed);
  std::mt19937 random(seed);
  unsigned supers = 0;
  for (int round = 0; round < 300; ++round) {
    const PacketSpec spec = random_spec(random, 4000);
    const std::uint16_t gso_size = static_cast<std::uint16_t>(536 + random() % 800);
    const bool super = spec.payload.size() > gso_size;
    supers += super;
    auto packet = build_partial(spec);
    const auto original = packet;
    const VnetHeader header = super ? super_header(spec, gso_size) : partial_header(spec);
    const auto meta = describe(header, packet);
    REQUIRE(meta);
    REQUIRE(meta->kind == (super ? super_kind(spec) : PacketKind::partial_checksum));
    REQUIRE(meta->gso_size == (super ? gso_size : 0));
    const auto again = rebuild(*meta, packet, 4096);
    REQUIRE(again);
    REQUIRE(*again == header);
    REQUIRE(packet == original);
  }
  CHECK(supers > 100);
}

TEST_CASE("a header length from the kernel is not believed", "[tunnel][virtio][P-58]") {
  const PacketSpec spec = super_spec(Family::v4, tcp);
  VnetHeader header = super_header(spec, 1400);
  for (const int lie : {0, 1, 39, 41, 1440, 65535}) {
    header.hdr_len = static_cast<std::uint16_t>(lie);
    auto packet = build_partial(spec);
    const auto meta = describe(header, packet);
    REQUIRE(meta);
    const auto again = rebuild(*meta, packet, mtu);
    REQUIRE(again);
    CHECK(again->hdr_len == 40);
  }
}

TEST_CASE("a finished packet is plain and gets an empty header", "[tunnel][virtio]") {
  PacketSpec spec = GENERATE(PacketSpec{}, v6());
  spec.payload = pattern(100);
  auto packet = build(spec);
  const auto original = packet;
  // "Data valid" (2) is a statement for this machine only.
  for (const std::uint8_t flags : {std::uint8_t{0}, std::uint8_t{2}}) {
    const auto meta = describe({.flags = flags}, packet);
    REQUIRE(meta);
    CHECK(*meta == PacketMeta{});
  }
  const auto header = rebuild({}, packet, mtu);
  REQUIRE(header);
  CHECK(*header == VnetHeader{});
  CHECK(packet == original);
}

TEST_CASE("a packet without segments may still want its checksum finished", "[tunnel][virtio]") {
  PacketSpec spec = super_spec(GENERATE(values({Family::v4, Family::v6})),
                               GENERATE(values<std::uint8_t>({tcp, udp})), 100);
  auto packet = build_partial(spec);
  const auto meta = describe(partial_header(spec), packet);
  REQUIRE(meta);
  CHECK(*meta == PacketMeta{PacketKind::partial_checksum, 0});
  const auto header = rebuild(*meta, packet, mtu);
  REQUIRE(header);
  CHECK(*header == partial_header(spec));
}

TEST_CASE("a super-packet trimmed to one segment is none", "[tunnel][virtio]") {
  const PacketSpec spec = super_spec(Family::v4, tcp, 1400);
  auto packet = build_partial(spec);
  const auto meta = describe(super_header(spec, 1400), packet);
  REQUIRE(meta);
  CHECK(*meta == PacketMeta{PacketKind::partial_checksum, 0});
}

TEST_CASE("a checksum that the wire has no word for is finished on the spot", "[tunnel][virtio]") {
  // An IPv4 packet with a TCP packet inside a UDP tunnel without checksum: the unfinished one is
  // the inner.
  const PacketSpec inner = super_spec(Family::v4, tcp, 333);
  const auto finished_inner = build(inner);
  const auto partial_inner = build_partial(inner);
  PacketSpec outer;
  outer.protocol = udp;
  outer.payload.assign(8, 0xee);  // the tunnel's own header
  outer.payload.insert(outer.payload.end(), partial_inner.begin(), partial_inner.end());
  auto packet = build(outer);
  store_be16(&packet[26], 0);
  const VnetHeader header{
      .flags = vnet_needs_checksum, .csum_start = 20 + 8 + 8 + 20, .csum_offset = 16};
  const auto meta = describe(header, packet);
  REQUIRE(meta);
  CHECK(*meta == PacketMeta{});
  CHECK(std::equal(finished_inner.begin(), finished_inner.end(), packet.begin() + 36));

  SECTION("and one whose pseudo-header is not that of its addresses likewise") {
    const PacketSpec spec = super_spec(Family::v6, tcp, 100);
    PacketSpec home = spec;
    home.source = *IpAddress::parse("fd01::1234");
    auto mobile = build_partial(home);
    std::copy(spec.source.bytes.begin(), spec.source.bytes.end(), mobile.begin() + 8);
    auto expected = build(home);
    std::copy(spec.source.bytes.begin(), spec.source.bytes.end(), expected.begin() + 8);
    const auto completed = describe(partial_header(spec), mobile);
    REQUIRE(completed);
    CHECK(*completed == PacketMeta{});
    CHECK(mobile == expected);
  }
  SECTION("and one outside the packet is refused") {
    VnetHeader wrong = header;
    for (const auto& [start, offset] :
         std::vector<std::pair<std::size_t, std::size_t>>{{packet.size(), 0},
                                                          {packet.size() - 1, 0},
                                                          {packet.size() - 17, 16},
                                                          {65535, 65535},
                                                          {0, packet.size() - 1}}) {
      wrong.csum_start = static_cast<std::uint16_t>(start);
      wrong.csum_offset = static_cast<std::uint16_t>(offset);
      CHECK(describe_fault(wrong, packet) == DropReason::bad_offload);
    }
    wrong.csum_start = static_cast<std::uint16_t>(packet.size() - 18);
    wrong.csum_offset = 16;
    CHECK_FALSE(describe_fault(wrong, packet));
  }
}

TEST_CASE("a kernel header that does not fit its packet is refused", "[tunnel][virtio]") {
  const PacketSpec spec = super_spec(Family::v4, tcp);
  const auto packet = build_partial(spec);
  const VnetHeader good = super_header(spec, 1400);
  REQUIRE_FALSE(describe_fault(good, packet));
  for (unsigned type = 0; type < 256; ++type) {
    VnetHeader header = good;
    header.gso_type = static_cast<std::uint8_t>(type);
    CAPTURE(type);
    const bool fits =
        type == vnet_gso_none || type == vnet_gso_tcp4 || type == (vnet_gso_tcp4 | vnet_gso_ecn);
    CHECK(describe_fault(header, packet).has_value() == !fits);
  }
  VnetHeader header = good;
  SECTION("no size") {
    header.gso_size = 0;
  }
  SECTION("no checksum to finish") {
    header.flags = 0;
  }
  SECTION("the checksum begins early") {
    header.csum_start = 19;
  }
  SECTION("the checksum begins late") {
    header.csum_start = 21;
  }
  SECTION("another protocol's checksum") {
    header.csum_offset = 6;
  }
  CHECK(describe_fault(header, packet) == DropReason::bad_offload);
}

TEST_CASE("a fragment has no offload", "[tunnel][virtio]") {
  const PacketSpec spec = super_spec(Family::v4, tcp);
  auto packet = build_partial(spec);
  store_be16(&packet[6], 0x2000);
  CHECK(describe_fault(super_header(spec, 1400), packet) == DropReason::fragment_with_offload);
  CHECK(describe_fault(partial_header(spec), packet) == DropReason::fragment_with_offload);
  CHECK_FALSE(describe_fault({}, packet));
  CHECK(rebuild_fault({PacketKind::tcp4, 1400}, packet) == DropReason::fragment_with_offload);
  CHECK(rebuild_fault({PacketKind::partial_checksum, 0}, packet, 9000) ==
        DropReason::fragment_with_offload);
  CHECK_FALSE(rebuild_fault({}, packet, 9000));
}

TEST_CASE("the peer's gso_size is bounded on both sides", "[tunnel][virtio][P-59]") {
  const PacketSpec spec = super_spec(GENERATE(values({Family::v4, Family::v6})),
                                     GENERATE(values<std::uint8_t>({tcp, udp})));
  const auto packet = build_partial(spec);
  const PacketKind kind = super_kind(spec);
  const auto largest = static_cast<std::uint16_t>(mtu - headers_bytes(spec));
  CHECK(rebuild_fault({kind, 0}, packet) == DropReason::bad_offload);
  CHECK(rebuild_fault({kind, 1}, packet) == DropReason::gso_size_too_small);
  CHECK(rebuild_fault({kind, 535}, packet) == DropReason::gso_size_too_small);
  CHECK_FALSE(rebuild_fault({kind, 536}, packet));
  CHECK_FALSE(rebuild_fault({kind, largest}, packet));
  CHECK(rebuild_fault({kind, static_cast<std::uint16_t>(largest + 1)}, packet) ==
        DropReason::gso_size_too_large);
  CHECK(rebuild_fault({kind, 65535}, packet) ==
        DropReason::bad_offload);  // and it would be one segment only
  CHECK(rebuild_fault({PacketKind::plain, 1400}, packet, 9000) == DropReason::bad_offload);
  CHECK(rebuild_fault({PacketKind::partial_checksum, 1400}, packet, 9000) ==
        DropReason::bad_offload);
}

TEST_CASE("the peer's kind is held against the packet", "[tunnel][virtio][P-58]") {
  using enum PacketKind;
  for (const Family family : {Family::v4, Family::v6}) {
    for (const std::uint8_t protocol : {tcp, udp}) {
      const PacketSpec spec = super_spec(family, protocol);
      for (const PacketKind kind : {tcp4, tcp6, udp4, udp6}) {
        CHECK(rebuild_fault({kind, 1400}, build_partial(spec)).has_value() ==
              (kind != super_kind(spec)));
      }
    }
  }
  PacketSpec ping = super_spec(Family::v4, tcp, 100);
  auto packet = build(ping);
  packet[9] = 1;
  CHECK(rebuild_fault({partial_checksum, 0}, packet) == DropReason::bad_offload);
  CHECK_FALSE(rebuild_fault({plain, 0}, packet));
}

TEST_CASE(
    "a packet larger than the device takes is refused, a super-packet is judged by its segments",
    "[tunnel][virtio][P-60]") {
  PacketSpec spec;
  spec.payload = pattern(mtu - 40);
  CHECK_FALSE(rebuild_fault({}, build(spec)));
  spec.payload = pattern(mtu - 39);
  CHECK(rebuild_fault({}, build(spec)) == DropReason::over_mtu);
  CHECK(rebuild_fault({PacketKind::partial_checksum, 0}, build(spec)) == DropReason::over_mtu);
  CHECK_FALSE(rebuild_fault({PacketKind::tcp4, 1400}, build(spec)));
}

TEST_CASE("what the peer left in the checksum field is replaced by what the kernel needs",
          "[tunnel][virtio][P-58]") {
  PacketSpec spec = super_spec(GENERATE(values({Family::v4, Family::v6})),
                               GENERATE(values<std::uint8_t>({tcp, udp})));
  const auto right = build_partial(spec);
  auto packet = right;
  packet[checksum_at(spec)] ^= 0x5a;
  packet[checksum_at(spec) + 1] ^= 0xa5;
  REQUIRE(rebuild({super_kind(spec), 1400}, packet, mtu));
  CHECK(packet == right);
}

TEST_CASE("a UDP length that does not cover the packet has no offload", "[tunnel][virtio]") {
  PacketSpec spec = super_spec(Family::v4, udp, 3000);
  for (const int lie : {0, 7, 8, 3007, 3009, 65535}) {
    auto packet = build_partial(spec);
    store_be16(&packet[24], static_cast<std::uint16_t>(lie));
    CHECK(rebuild_fault({PacketKind::udp4, 1400}, packet) == DropReason::bad_offload);
    CHECK(rebuild_fault({PacketKind::partial_checksum, 0}, packet, 9000) ==
          DropReason::bad_offload);
  }
}

TEST_CASE("a super-packet that would repeat SYN or RST is refused", "[tunnel][virtio]") {
  PacketSpec spec = super_spec(Family::v4, tcp);
  spec.tcp_flags = GENERATE(values<std::uint8_t>({syn, rst, ack | syn, ack | rst}));
  CHECK(rebuild_fault({PacketKind::tcp4, 1400}, build_partial(spec)) == DropReason::bad_offload);
  CHECK(describe_fault(super_header(spec, 1400), build_partial(spec)) == DropReason::bad_offload);
  CHECK_FALSE(rebuild_fault({PacketKind::partial_checksum, 0}, build_partial(spec), 9000));
}

TEST_CASE("every truncation of a super-packet is refused or rebuilt inside its bounds",
          "[tunnel][virtio]") {
  const PacketSpec spec = super_spec(GENERATE(values({Family::v4, Family::v6})),
                                     GENERATE(values<std::uint8_t>({tcp, udp})), 1200);
  const auto whole = build_partial(spec);
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    CAPTURE(size);
    std::vector<Byte> packet(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK(rebuild_fault({super_kind(spec), 600}, packet).has_value() == (size != whole.size()));
    // With a length field that tells the truth, so that the parse gets further.
    if (size < 60) continue;
    store_be16(&packet[spec.family == Family::v4 ? 2 : 4],
               static_cast<std::uint16_t>(spec.family == Family::v4 ? size : size - 40));
    const auto header = rebuild({super_kind(spec), 600}, packet, mtu);
    if (!header) continue;
    CHECK(std::size_t{header->hdr_len} + 600 < packet.size());
    CHECK(std::size_t{header->csum_start} + header->csum_offset + 2 <= header->hdr_len);
  }
}

TEST_CASE("an IPv6 super-packet behind extension headers is rebuilt behind them",
          "[tunnel][virtio]") {
  PacketSpec spec = super_spec(Family::v6, tcp);
  spec.extension = {0, 0, 1, 4, 0, 0, 0, 0};
  auto packet = build_partial(spec);
  const auto header = rebuild({PacketKind::tcp6, 1400}, packet, mtu);
  REQUIRE(header);
  CHECK(header->csum_start == 48);
  CHECK(header->hdr_len == 68);
}

}  // namespace
}  // namespace lt::tunnel

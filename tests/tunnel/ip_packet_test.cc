#include "tunnel/ip_packet.h"

#include <catch2/catch.hpp>
#include <optional>

#include "tests/tunnel/packet_builder.h"

namespace lt::tunnel {
namespace {

using namespace testing;

std::optional<DropReason> fault_of(const std::vector<Byte>& packet) {
  const auto view = parse_ip(packet);
  return view ? std::nullopt : std::optional(view.error());
}

// An IPv6 packet whose extension headers are given as (type, bytes); each gets its next-header byte
// here.
std::vector<Byte> with_extensions(const std::vector<std::pair<Byte, std::vector<Byte>>>& headers) {
  PacketSpec spec = v6();
  spec.payload = pattern(50);
  std::vector<Byte> packet = build(spec);
  std::vector<Byte> middle;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    std::vector<Byte> header = headers[i].second;
    header[0] = i + 1 < headers.size() ? headers[i + 1].first : tcp;
    middle.insert(middle.end(), header.begin(), header.end());
  }
  packet.insert(packet.begin() + 40, middle.begin(), middle.end());
  if (!headers.empty()) packet[6] = headers[0].first;
  store_be16(&packet[4], static_cast<std::uint16_t>(packet.size() - 40));
  return packet;
}

std::vector<Byte> options_header(Byte eights = 0) {
  std::vector<Byte> header(8 + 8 * std::size_t{eights});
  header[1] = eights;
  header[2] = 1;
  header[3] = static_cast<Byte>(header.size() - 4);
  return header;
}

constexpr Byte hop_by_hop = 0;
constexpr Byte routing = 43;
constexpr Byte fragment = 44;
constexpr Byte authentication = 51;
constexpr Byte destination_options = 60;

TEST_CASE("a sound packet is seen as it is", "[tunnel][ip_packet]") {
  PacketSpec spec = GENERATE(PacketSpec{}, v6());
  spec.protocol = GENERATE(values<std::uint8_t>({tcp, udp}));
  spec.payload = pattern(100);
  if (spec.protocol == tcp) spec.tcp_options = pattern(12);
  const auto packet = build(spec);
  const auto view = parse_ip(packet);
  REQUIRE(view);
  CHECK(view->family == spec.family);
  CHECK(view->protocol == spec.protocol);
  CHECK_FALSE(view->is_fragment);
  CHECK(view->transport_offset == transport_offset(spec));
  CHECK(view->headers_bytes() == headers_bytes(spec));
  CHECK(std::ranges::equal(view->source(), spec.source.raw()));
  CHECK(std::ranges::equal(view->destination(), spec.destination.raw()));
  CHECK(view->source_port() == spec.source_port);
  CHECK(view->destination_port() == spec.destination_port);
}

TEST_CASE("no truncation of a packet passes", "[tunnel][ip_packet][P-57]") {
  PacketSpec spec = GENERATE(PacketSpec{}, v6());
  spec.payload = pattern(10);
  const auto packet = build(spec);
  for (std::size_t size = 0; size < packet.size(); ++size) {
    CAPTURE(size);
    const std::size_t header = spec.family == Family::v4 ? 20 : 40;
    // In a buffer of its own size, so that a read past the end is one for the sanitizer.
    const std::vector<Byte> cut(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK(fault_of(cut) == (size < header ? DropReason::too_short : DropReason::bad_length));
  }
}

TEST_CASE("a packet longer than it says does not pass", "[tunnel][ip_packet]") {
  auto packet = build(GENERATE(PacketSpec{}, v6()));
  packet.push_back(0);
  CHECK(fault_of(packet) == DropReason::bad_length);
}

TEST_CASE("a length field that lies is found", "[tunnel][ip_packet]") {
  auto packet = build(PacketSpec{});
  for (const int length : {0, 1, 19, 39, 41, 65535}) {
    CAPTURE(length);
    store_be16(&packet[2], static_cast<std::uint16_t>(length));
    CHECK(fault_of(packet) == DropReason::bad_length);
  }
  auto packet6 = build(v6());
  for (const int length : {0, 1, 19, 21, 65535}) {
    CAPTURE(length);
    store_be16(&packet6[4], static_cast<std::uint16_t>(length));
    CHECK(fault_of(packet6) == DropReason::bad_length);
  }
}

TEST_CASE("only versions 4 and 6 exist", "[tunnel][ip_packet][P-57]") {
  auto packet = build(PacketSpec{});
  for (unsigned version = 0; version < 16; ++version) {
    if (version == 4 || version == 6) continue;
    packet[0] = static_cast<Byte>(version << 4 | 5);
    CHECK(fault_of(packet) == DropReason::bad_version);
  }
  // The other version's header does not fit either: 40 bytes of IPv4 as IPv6 have a payload length
  // that lies.
  packet[0] = 0x60;
  CHECK(fault_of(packet).has_value());
}

TEST_CASE("one byte of anything is too short", "[tunnel][ip_packet]") {
  for (unsigned byte = 0; byte < 256; ++byte) {
    CHECK(fault_of({static_cast<Byte>(byte)}) == DropReason::too_short);
  }
}

TEST_CASE("an IPv4 header length is 5 words, less is wrong, more holds options",
          "[tunnel][ip_packet][P-57]") {
  PacketSpec spec;
  spec.payload = pattern(100);
  auto packet = build(spec);
  for (unsigned words = 0; words < 16; ++words) {
    CAPTURE(words);
    packet[0] = static_cast<Byte>(0x40 | words);
    if (words < 5) CHECK(fault_of(packet) == DropReason::bad_header_length);
    if (words == 5) CHECK_FALSE(fault_of(packet));
    if (words > 5) CHECK(fault_of(packet) == DropReason::ip_options);
  }
  auto bare = std::vector<Byte>(packet.begin(), packet.begin() + 20);
  store_be16(&bare[2], 20);
  bare[0] = 0x46;
  CHECK(fault_of(bare) == DropReason::bad_header_length);
}

TEST_CASE("the largest packet passes", "[tunnel][ip_packet]") {
  PacketSpec spec;
  spec.payload = pattern(65535 - 40);
  CHECK_FALSE(fault_of(build(spec)));
  spec = v6();
  spec.payload = pattern(65535 - 60);
  CHECK_FALSE(fault_of(build(spec)));
  // An IPv6 payload length can say more than an IPv4 packet can hold; carried packets cannot.
  spec.payload = pattern(65535 - 59);
  CHECK(fault_of(build(spec)) == DropReason::bad_length);
}

TEST_CASE("fragments are seen as such, and have no transport header", "[tunnel][ip_packet]") {
  PacketSpec spec;
  spec.payload = pattern(64);
  auto packet = build(spec);
  for (const int bits : {0x2000, 0x0001, 0x1fff, 0x3fff, 0x6000}) {
    CAPTURE(bits);
    store_be16(&packet[6], static_cast<std::uint16_t>(bits));
    const auto view = parse_ip(packet);
    REQUIRE(view);
    CHECK(view->is_fragment);
    CHECK(view->transport_header_bytes == 0);
  }
  store_be16(&packet[6], 0x8000);  // the reserved bit alone
  const auto view = parse_ip(packet);
  REQUIRE(view);
  CHECK_FALSE(view->is_fragment);
}

TEST_CASE("IPv6 fragments end the walk where their payload begins", "[tunnel][ip_packet]") {
  const std::vector<Byte> first{0, 0, 0x00, 0x01, 1, 2, 3, 4};
  const std::vector<Byte> later{0, 0, 0x01, 0x00, 1, 2, 3, 4};
  const std::vector<Byte> atomic{0, 0, 0x00, 0x00, 1, 2, 3, 4};
  for (const auto& header : {first, later, atomic}) {
    const auto packet = with_extensions({{fragment, header}});
    const auto view = parse_ip(packet);
    REQUIRE(view);
    CHECK(view->is_fragment);
    CHECK(view->transport_offset == 48);
    CHECK(view->transport_header_bytes == 0);
  }
  // Behind a later fragment's header nothing is a header, whatever its next-header byte says.
  auto packet = with_extensions({{fragment, later}});
  packet[40] = routing;
  const auto view = parse_ip(packet);
  REQUIRE(view);
  CHECK(view->transport_offset == 48);
  // The reserved byte of a fragment header is no length.
  auto reserved = with_extensions({{fragment, first}});
  reserved[41] = 0xff;
  CHECK_FALSE(fault_of(reserved));
}

TEST_CASE("IPv6 extension headers are walked to the transport header", "[tunnel][ip_packet]") {
  const auto packet = with_extensions(
      {{hop_by_hop, options_header()},
       {destination_options, options_header(2)},
       {authentication, std::vector<Byte>{0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 9, 9, 9, 9}},
       {destination_options, options_header()}});
  const auto view = parse_ip(packet);
  REQUIRE(view);
  CHECK(view->protocol == tcp);
  CHECK(view->transport_offset == 40 + 8 + 24 + 16 + 8);
  CHECK(view->transport_header_bytes == 20);
}

TEST_CASE("eight extension headers pass, nine do not", "[tunnel][ip_packet][P-57]") {
  std::vector<std::pair<Byte, std::vector<Byte>>> headers(8,
                                                          {destination_options, options_header()});
  CHECK_FALSE(fault_of(with_extensions(headers)));
  headers.push_back(headers.back());
  CHECK(fault_of(with_extensions(headers)) == DropReason::too_many_headers);
  headers.resize(100, headers.back());
  CHECK(fault_of(with_extensions(headers)) == DropReason::too_many_headers);
}

TEST_CASE("an extension header that runs past the packet does not pass", "[tunnel][ip_packet]") {
  auto packet = with_extensions({{destination_options, options_header()}});
  for (unsigned eights = 0; eights < 256; ++eights) {
    CAPTURE(eights);
    packet[41] = static_cast<Byte>(eights);
    const bool fits = 40 + (eights + 1) * 8 <= packet.size();
    CHECK((fault_of(packet) == DropReason::bad_header_length) == !fits);
  }
  // A header cut anywhere, with a payload length that tells the truth.
  const auto whole = with_extensions({{destination_options, options_header(1)}});
  for (std::size_t size = 40; size < 56; ++size) {
    CAPTURE(size);
    std::vector<Byte> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    store_be16(&cut[4], static_cast<std::uint16_t>(size - 40));
    CHECK(fault_of(cut) == DropReason::bad_header_length);
  }
}

TEST_CASE("hop-by-hop options stand first or nowhere", "[tunnel][ip_packet]") {
  CHECK_FALSE(fault_of(with_extensions({{hop_by_hop, options_header()}})));
  CHECK(fault_of(with_extensions(
            {{destination_options, options_header()}, {hop_by_hop, options_header()}})) ==
        DropReason::bad_header_length);
}

TEST_CASE("source routing does not pass: type 0 never, others not with segments left",
          "[tunnel][ip_packet][P-57]") {
  auto header = options_header();
  for (const Byte type : {Byte{0}, Byte{2}, Byte{4}}) {
    for (const Byte left : {Byte{0}, Byte{1}, Byte{255}}) {
      CAPTURE(int(type), int(left));
      header[2] = type;
      header[3] = left;
      const bool passes = type != 0 && left == 0;
      CHECK(fault_of(with_extensions({{routing, header}})) ==
            (passes ? std::nullopt : std::optional(DropReason::routing_header)));
    }
  }
}

TEST_CASE("a malformed TCP or UDP header passes, but counts as none", "[tunnel][ip_packet]") {
  PacketSpec spec;
  spec.payload = pattern(20);
  auto packet = build(spec);
  for (unsigned words = 0; words < 16; ++words) {
    CAPTURE(words);
    packet[32] = static_cast<Byte>(words << 4);
    const auto view = parse_ip(packet);
    REQUIRE(view);
    const bool good = words >= 5 && words * 4 <= 40;
    CHECK(view->transport_header_bytes == (good ? words * 4 : 0));
  }
  for (std::size_t size = 20; size < 40; ++size) {
    std::vector<Byte> cut(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size));
    store_be16(&cut[2], static_cast<std::uint16_t>(size));
    const auto view = parse_ip(cut);
    REQUIRE(view);
    CHECK(view->transport_header_bytes == 0);
    cut[9] = udp;
    const auto datagram = parse_ip(cut);
    REQUIRE(datagram);
    CHECK(datagram->transport_header_bytes == (size >= 28 ? 8 : 0));
  }
}

TEST_CASE("whatever the bytes, the view stays inside them", "[tunnel][ip_packet]") {
  const auto seed = GENERATE(1U, 20260101U);
  CAPTURE(seed);
  std::mt19937 random(seed);
  unsigned passed = 0;
  for (int round = 0; round < 20000; ++round) {
    PacketSpec spec = random_spec(random, 60);
    auto packet = build(spec);
    for (unsigned flips = random() % 4; flips != 0; --flips) {
      packet[random() % packet.size()] ^= static_cast<Byte>(1U << random() % 8);
    }
    const auto view = parse_ip(packet);
    if (!view) continue;
    ++passed;
    REQUIRE(view->headers_bytes() <= packet.size());
    REQUIRE(view->transport_offset >= (view->family == Family::v4 ? 20 : 40));
  }
  CHECK(passed > 5000);
}

}  // namespace
}  // namespace lt::tunnel

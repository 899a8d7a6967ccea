#include "tunnel/admission.h"

#include <catch2/catch.hpp>
#include <string>

#include "tests/tunnel/packet_builder.h"

namespace lt::tunnel {
namespace {

using namespace testing;

Prefix prefix(const char* text) {
  const auto parsed = Prefix::parse(text);
  REQUIRE(parsed);
  return *parsed;
}

AdmissionOptions office() {
  return {.local_prefixes = {prefix("10.1.0.0/16"), prefix("fd01::/48")},
          .peer_prefixes = {prefix("10.2.0.0/16"), prefix("10.3.3.128/25"), prefix("fd02::/48"),
                            prefix("fd03::/72")},
          .tunnel_addresses = {prefix("10.77.0.1/30"), prefix("fd77::1/64")},
          .mtu = 1500};
}

std::vector<Byte> packet_between(const std::string& source, const std::string& destination) {
  PacketSpec spec;
  spec.source = *IpAddress::parse(source);
  spec.destination = *IpAddress::parse(destination);
  spec.family = spec.source.family;
  spec.payload = pattern(10);
  return build(spec);
}

std::optional<DropReason> outbound(const std::string& source, const std::string& destination) {
  return Admission(office()).admit_outbound({}, packet_between(source, destination));
}

std::optional<DropReason> inbound(const std::string& source, const std::string& destination) {
  return Admission(office()).admit_inbound({}, packet_between(source, destination));
}

TEST_CASE("packets between the two sites pass, both ways", "[tunnel][admission]") {
  const auto [local, peer] = GENERATE(table<std::string, std::string>({
      {"10.1.0.5", "10.2.0.7"},
      {"10.1.255.254", "10.3.3.129"},
      {"10.77.0.1", "10.2.0.7"},   // the gateway itself
      {"10.77.0.1", "10.77.0.2"},  // gateway to gateway
      {"10.1.0.5", "10.77.0.2"},
      {"fd01::5", "fd02::7"},
      {"fd01:0:0:ffff::1", "fd03:0:0:0:ff::1"},
      {"fd77::1", "fd77::2"},
  }));
  CAPTURE(local, peer);
  CHECK_FALSE(outbound(local, peer));
  CHECK_FALSE(inbound(peer, local));
}

TEST_CASE("a source outside the sending site does not pass", "[tunnel][admission][P-56][P-62]") {
  const std::string source =
      GENERATE("10.0.255.255", "10.4.0.1", "10.3.3.127", "192.0.2.1", "8.8.8.8", "0.0.0.0",
               "0.1.2.3", "127.0.0.1", "127.255.255.255", "169.254.1.1", "224.0.0.1", "239.1.2.3",
               "240.0.0.1", "255.255.255.255");
  CAPTURE(source);
  CHECK(outbound(source, "10.2.0.7") == DropReason::source_not_allowed);
  CHECK(inbound(source, "10.1.0.5") == DropReason::source_not_allowed);
}

TEST_CASE("an IPv6 source outside the sending site does not pass", "[tunnel][admission]") {
  const std::string source = GENERATE(
      "::", "::1", "::ffff:10.1.0.5", "::ffff:10.2.0.7", "::10.1.0.5", "fe80::1", "febf::1",
      "ff02::1", "ff0e::1", "2001:db8::1", "fd02:0:1::1", "fd01:0:1::1", "fd03::100:0:0:1");
  CAPTURE(source);
  CHECK(outbound(source, "fd02::7") == DropReason::source_not_allowed);
  CHECK(inbound(source, "fd01::5") == DropReason::source_not_allowed);
}

TEST_CASE("a destination outside the receiving site does not pass",
          "[tunnel][admission][P-56][P-62]") {
  const std::string destination =
      GENERATE("10.4.0.1", "192.0.2.1", "8.8.8.8", "0.0.0.0", "127.0.0.1", "169.254.1.1",
               "224.0.0.251", "255.255.255.255", "10.77.0.9");
  CAPTURE(destination);
  CHECK(outbound("10.1.0.5", destination) == DropReason::destination_not_allowed);
  CHECK(inbound("10.2.0.7", destination) == DropReason::destination_not_allowed);
}

TEST_CASE("an IPv6 destination outside the receiving site does not pass", "[tunnel][admission]") {
  const std::string destination = GENERATE("::", "::1", "fe80::1", "ff02::fb", "2001:db8::1",
                                           "::ffff:10.2.0.7", "fd77:0:0:1::1");
  CAPTURE(destination);
  CHECK(outbound("fd01::5", destination) == DropReason::destination_not_allowed);
  CHECK(inbound("fd02::7", destination) == DropReason::destination_not_allowed);
}

TEST_CASE("neither site speaks with the other's addresses", "[tunnel][admission][P-56][P-62]") {
  CHECK(outbound("10.2.0.7", "10.2.0.8") == DropReason::source_not_allowed);
  CHECK(outbound("10.1.0.5", "10.1.0.6") == DropReason::destination_not_allowed);
  CHECK(inbound("10.1.0.5", "10.1.0.6") == DropReason::source_not_allowed);
  CHECK(inbound("10.2.0.7", "10.2.0.8") == DropReason::destination_not_allowed);
  CHECK(inbound("10.77.0.1", "10.1.0.5") == DropReason::source_not_allowed);
  CHECK(outbound("10.77.0.2", "10.2.0.7") == DropReason::source_not_allowed);
  CHECK(outbound("10.1.0.5", "10.77.0.1") == DropReason::destination_not_allowed);
}

TEST_CASE("the broadcast address of a network does not pass", "[tunnel][admission]") {
  CHECK(outbound("10.1.0.5", "10.2.255.255") == DropReason::destination_not_allowed);
  CHECK(outbound("10.1.0.5", "10.3.3.255") == DropReason::destination_not_allowed);
  CHECK(outbound("10.1.0.5", "10.77.0.3") == DropReason::destination_not_allowed);
  CHECK(outbound("10.1.255.255", "10.2.0.7") == DropReason::source_not_allowed);
  CHECK(inbound("10.2.0.7", "10.1.255.255") == DropReason::destination_not_allowed);
  CHECK(inbound("10.2.255.255", "10.1.0.5") == DropReason::source_not_allowed);
  AdmissionOptions options = office();
  options.peer_prefixes = {prefix("192.0.2.1/32"), prefix("198.51.100.2/31")};
  const Admission admission(options);
  CHECK_FALSE(admission.admit_outbound({}, packet_between("10.1.0.5", "192.0.2.1")));
  CHECK_FALSE(admission.admit_outbound({}, packet_between("10.1.0.5", "198.51.100.3")));
}

TEST_CASE("a wide peer prefix does not cover what is local, nor what is never carried",
          "[tunnel][admission]") {
  AdmissionOptions options = office();
  options.peer_prefixes = {prefix("0.0.0.0/0"), prefix("::/0")};
  const Admission admission(options);
  CHECK_FALSE(admission.admit_outbound({}, packet_between("10.1.0.5", "8.8.8.8")));
  CHECK_FALSE(admission.admit_inbound({}, packet_between("2001:db8::1", "fd01::5")));
  CHECK(admission.admit_inbound({}, packet_between("10.1.0.6", "10.1.0.5")) ==
        DropReason::source_not_allowed);
  CHECK(admission.admit_inbound({}, packet_between("127.0.0.1", "10.1.0.5")) ==
        DropReason::source_not_allowed);
  CHECK(admission.admit_outbound({}, packet_between("10.1.0.5", "224.0.0.1")) ==
        DropReason::destination_not_allowed);
  CHECK(admission.admit_outbound({}, packet_between("fd01::5", "ff02::1")) ==
        DropReason::destination_not_allowed);
}

TEST_CASE("what is never carried is not, though every prefix covered it", "[tunnel][admission]") {
  AdmissionOptions options = office();
  options.peer_prefixes = {prefix("0.0.0.0/0"), prefix("::/0")};
  const Admission admission(options);
  const std::string address =
      GENERATE("0.0.0.0", "0.255.255.255", "127.0.0.1", "127.255.255.255", "169.254.0.0",
               "169.254.255.255", "224.0.0.0", "225.1.1.1", "239.255.255.255", "240.0.0.1",
               "255.255.255.255", "::", "::1", "::10.2.0.7", "::ffff:10.2.0.7", "fe80::1",
               "fe90::1", "febf:ffff::1", "ff00::1", "ff02::1", "ffff::1");
  CAPTURE(address);
  const std::string own = address.find(':') == std::string::npos ? "10.1.0.5" : "fd01::5";
  CHECK(admission.admit_inbound({}, packet_between(address, own)) ==
        DropReason::source_not_allowed);
  CHECK(admission.admit_outbound({}, packet_between(own, address)) ==
        DropReason::destination_not_allowed);
}

TEST_CASE("the neighbours of what is never carried are", "[tunnel][admission]") {
  AdmissionOptions options = office();
  options.peer_prefixes = {prefix("0.0.0.0/0"), prefix("::/0")};
  const Admission admission(options);
  const std::string address = GENERATE("1.0.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255",
                                       "169.255.0.0", "170.254.0.1", "223.255.255.255", "fe7f::1",
                                       "fec0::1", "fdff::1", "64:ff9b::1", "0:0:0:1::1");
  CAPTURE(address);
  const std::string own = address.find(':') == std::string::npos ? "10.1.0.5" : "fd01::5";
  CHECK_FALSE(admission.admit_inbound({}, packet_between(address, own)));
  CHECK_FALSE(admission.admit_outbound({}, packet_between(own, address)));
}

TEST_CASE("the link's own connection does not come out of its own device", "[tunnel][admission]") {
  AdmissionOptions options = office();
  Admission admission(options);
  const auto peer = *IpAddress::parse("10.2.0.7");
  PacketSpec spec;
  spec.destination = peer;
  spec.destination_port = 5198;
  CHECK_FALSE(admission.admit_outbound({}, build(spec)));
  admission.set_outer(OuterConnection{peer, 5198});
  CHECK(admission.admit_outbound({}, build(spec)) == DropReason::routing_loop);

  SECTION("from the listening side too") {
    spec.source_port = 5198;
    spec.destination_port = 50000;
    CHECK(admission.admit_outbound({}, build(spec)) == DropReason::routing_loop);
  }
  SECTION("whatever its source, so that the loop is counted as one") {
    spec.source = *IpAddress::parse("203.0.113.1");
    CHECK(admission.admit_outbound({}, build(spec)) == DropReason::routing_loop);
  }
  SECTION("but other ports, protocols and hosts pass") {
    spec.destination_port = 5199;
    CHECK_FALSE(admission.admit_outbound({}, build(spec)));
    spec.destination_port = 5198;
    spec.protocol = udp;
    CHECK_FALSE(admission.admit_outbound({}, build(spec)));
    spec.protocol = tcp;
    spec.destination = *IpAddress::parse("10.2.0.8");
    CHECK_FALSE(admission.admit_outbound({}, build(spec)));
  }
  SECTION("and nothing is guarded any more when the connection has gone") {
    admission.set_outer(std::nullopt);
    CHECK_FALSE(admission.admit_outbound({}, build(spec)));
  }
}

TEST_CASE("a packet above the MTU does not pass, a super-packet is judged by its segments",
          "[tunnel][admission][P-59][P-60]") {
  Admission admission(office());
  PacketSpec local;
  local.payload = pattern(1460);
  PacketSpec peer = local;
  std::swap(peer.source, peer.destination);
  CHECK_FALSE(admission.admit_outbound({}, build(local)));
  CHECK_FALSE(admission.admit_inbound({}, build(peer)));
  local.payload = peer.payload = pattern(1461);
  CHECK(admission.admit_outbound({}, build(local)) == DropReason::over_mtu);
  CHECK(admission.admit_inbound({}, build(peer)) == DropReason::over_mtu);
  local.payload = peer.payload = pattern(60000);
  CHECK(admission.admit_outbound({}, build(local)) == DropReason::over_mtu);
  CHECK_FALSE(admission.admit_outbound({PacketKind::tcp4, 1460}, build(local)));
  CHECK_FALSE(admission.admit_inbound({PacketKind::tcp4, 1460}, build(peer)));
  CHECK(admission.admit_outbound({PacketKind::tcp4, 1461}, build(local)) == DropReason::over_mtu);
  CHECK(admission.admit_inbound({PacketKind::tcp4, 1461}, build(peer)) == DropReason::over_mtu);
  admission.set_mtu(1400);
  CHECK(admission.admit_outbound({PacketKind::tcp4, 1361}, build(local)) == DropReason::over_mtu);
  CHECK_FALSE(admission.admit_outbound({PacketKind::tcp4, 1360}, build(local)));
}

TEST_CASE("a small gso_size is the sender's to cut up, and the peer's sin",
          "[tunnel][admission][P-59]") {
  const Admission admission(office());
  PacketSpec local;
  local.payload = pattern(60000);
  PacketSpec peer = local;
  std::swap(peer.source, peer.destination);
  CHECK_FALSE(admission.admit_outbound({PacketKind::tcp4, 1}, build(local)));
  CHECK(admission.admit_inbound({PacketKind::tcp4, 1}, build(peer)) ==
        DropReason::gso_size_too_small);
  CHECK(admission.admit_inbound({PacketKind::tcp4, 535}, build(peer)) ==
        DropReason::gso_size_too_small);
  CHECK_FALSE(admission.admit_inbound({PacketKind::tcp4, 536}, build(peer)));
  CHECK(admission.admit_inbound({PacketKind::tcp4, 0}, build(peer)) == DropReason::bad_offload);
  CHECK(admission.admit_inbound({PacketKind::udp4, 1400}, build(peer)) == DropReason::bad_offload);
  CHECK(admission.admit_inbound({PacketKind::tcp6, 1400}, build(peer)) == DropReason::bad_offload);
}

TEST_CASE("fragments pass as plain packets only", "[tunnel][admission]") {
  const Admission admission(office());
  PacketSpec peer;
  std::swap(peer.source, peer.destination);
  peer.payload = pattern(1400);
  auto packet = build(peer);
  store_be16(&packet[6], 0x2000);
  CHECK_FALSE(admission.admit_inbound({}, packet));
  CHECK(admission.admit_inbound({PacketKind::partial_checksum, 0}, packet) ==
        DropReason::fragment_with_offload);
  CHECK(admission.admit_inbound({PacketKind::tcp4, 600}, packet) ==
        DropReason::fragment_with_offload);
}

TEST_CASE("what the parser refuses is not admitted", "[tunnel][admission]") {
  const Admission admission(office());
  auto packet = packet_between("10.2.0.7", "10.1.0.5");
  CHECK(admission.admit_inbound({}, {}) == DropReason::too_short);
  CHECK(admission.admit_inbound({}, ByteView(packet).first(19)) == DropReason::too_short);
  CHECK(admission.admit_inbound({}, ByteView(packet).first(packet.size() - 1)) ==
        DropReason::bad_length);
  packet[0] = 0x75;
  CHECK(admission.admit_inbound({}, packet) == DropReason::bad_version);
  CHECK(admission.admit_outbound({}, packet) == DropReason::bad_version);
}

TEST_CASE("a prefix set agrees with the prefixes it was made of", "[tunnel][admission]") {
  const auto seed = GENERATE(5U, 20260104U);
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 400; ++round) {
    Prefix one;
    one.address.family = random() % 2 == 0 ? Family::v4 : Family::v6;
    const std::size_t size = one.address.raw().size();
    for (std::size_t i = 0; i < size; ++i)
      one.address.bytes[i] = static_cast<Byte>(random());
    one.length = static_cast<unsigned>(random() % (one.address.bit_length() + 1));
    PrefixSet set;
    set.add(one);
    IpAddress near = one.address;
    const std::size_t bit = random() % one.address.bit_length();
    near.bytes[bit / 8] = static_cast<Byte>(near.bytes[bit / 8] ^ (0x80U >> bit % 8));
    CAPTURE(one.text(), near.text());
    REQUIRE(set.contains(one.address.raw()));
    REQUIRE(set.contains(near.raw()) == one.contains(near));
    const IpAddress other =
        *IpAddress::parse(one.address.family == Family::v4 ? "::1" : "10.0.0.1");
    REQUIRE_FALSE(set.contains(other.raw()));
  }
}

}  // namespace
}  // namespace lt::tunnel

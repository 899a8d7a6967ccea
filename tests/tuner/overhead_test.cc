#include "tuner/overhead.h"

#include <catch2/catch.hpp>

using namespace lt;
using namespace lt::tuner;
using configs::OpenVpnKnobs;
using configs::OpenVpnProto;

TEST_CASE("what fits a path is the path less the outer headers", "[tuner][overhead]") {
  CHECK(openvpn_udp_fit(1500, Family::v4) == 1448);
  CHECK(openvpn_udp_fit(1500, Family::v6) == 1428);
  CHECK(openvpn_udp_fit(1492, Family::v4) == 1440);
  CHECK(wireguard_fit(1500, Family::v4) == 1440);
  CHECK(wireguard_fit(1500, Family::v6) == 1420);  // what wg-quick sets
  CHECK(openvpn_tcp_tun_mtu_max == 65'511);
  CHECK(openvpn_udp_tun_mtu_max == 65'483);
}

TEST_CASE("a full inner packet of the fitted tun-mtu fills the path to the byte",
          "[tuner][overhead]") {
  OpenVpnKnobs knobs;
  knobs.tun_mtu = openvpn_udp_fit(1500, Family::v4);
  CHECK(openvpn_udp_packet_max(knobs, Family::v4) == 1500);
  knobs.tun_mtu += 1;
  CHECK(openvpn_udp_packet_max(knobs, Family::v4) == 1501);
  knobs.fragment = 1400;
  CHECK(openvpn_udp_packet_max(knobs, Family::v4) == 1428);
}

TEST_CASE("the payload of a tunnel is its inner segment over all that goes with it",
          "[tuner][overhead]") {
  OpenVpnKnobs knobs;
  knobs.tun_mtu = 1448;
  knobs.mssfix = 0;
  CHECK(openvpn_payload_share(knobs, 1500, Family::v4) == Approx(1396.0 / 1500));
  knobs.tun_mtu = 9000;  // 9,032 bytes of UDP in 7 fragments, each with 20 bytes of IP
  CHECK(openvpn_payload_share(knobs, 1500, Family::v4) == Approx(8948.0 / (9032 + 7 * 20)));
  knobs.proto = OpenVpnProto::tcp;
  CHECK(openvpn_payload_share(knobs, 1500, Family::v4) == Approx(1448.0 / 1500 * 8948.0 / 9026));
  CHECK(bare_payload_share(1500, Family::v4) == Approx(1448.0 / 1500));
}

TEST_CASE("the share of the bare line is unknown with the path MTU", "[tuner][overhead]") {
  Physics physics;
  CHECK_FALSE(openvpn_share_of_bare({}, physics));
  physics.up.mtu = physics.down.mtu = 1500;
  const auto share = openvpn_share_of_bare({}, physics);
  REQUIRE(share);
  // mssfix by default: 1,440 of inner packet, 1,388 of payload, in 1,492 bytes.
  CHECK(*share == Approx(1388.0 / 1492 / (1448.0 / 1500)));
}

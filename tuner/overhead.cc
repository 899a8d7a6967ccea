#include "tuner/overhead.h"

#include <algorithm>
#include <cmath>

namespace lt::tuner {

namespace {

constexpr std::uint32_t tcp_length_bytes = 2;  // OpenVPN's length before each packet on tcp

// The inner MSS: what mssfix leaves of the packet.
std::uint32_t inner_payload(const configs::OpenVpnKnobs& knobs, Family family) {
  const std::uint32_t headers = ip_header_bytes(Family::v4) + tcp_header_bytes;
  const std::uint32_t around = ip_header_bytes(family) + udp_bytes + openvpn_bytes;
  std::uint32_t packet = knobs.tun_mtu;
  // Unset: 1492 with the outer headers when tun-mtu is 1500, else no narrower than tun-mtu.
  const bool clamps_by_default = !knobs.mssfix && knobs.tun_mtu == 1500;
  if (clamps_by_default) packet = std::min(packet, 1492 - around);
  if (knobs.mssfix && *knobs.mssfix > around) packet = std::min(packet, *knobs.mssfix - around);
  return packet > headers ? packet - headers : 1;
}

// The outer IP bytes of one UDP datagram of `payload` bytes, in as many fragments as it takes.
std::uint32_t udp_wire_bytes(std::uint32_t payload, std::uint32_t path_mtu, Family family) {
  const std::uint32_t ip = ip_header_bytes(family);
  const std::uint32_t whole = payload + udp_bytes;
  if (whole + ip <= path_mtu) return whole + ip;
  const std::uint32_t room = (path_mtu - ip) / 8 * 8;  // fragments are counted in eights (RFC 791)
  const std::uint32_t pieces = (whole + room - 1) / room;
  return whole + pieces * ip;
}

}  // namespace

std::uint32_t openvpn_udp_fit(std::uint32_t path_mtu, Family family) {
  return path_mtu - ip_header_bytes(family) - udp_bytes - openvpn_bytes;
}

std::uint32_t wireguard_fit(std::uint32_t path_mtu, Family family) {
  return path_mtu - ip_header_bytes(family) - udp_bytes - wireguard_bytes;
}

std::uint32_t openvpn_udp_packet_max(const configs::OpenVpnKnobs& knobs, Family family) {
  const std::uint32_t headers = ip_header_bytes(family) + udp_bytes;
  if (knobs.fragment) return *knobs.fragment + headers;
  return knobs.tun_mtu + openvpn_bytes + headers;
}

double bare_payload_share(std::uint32_t path_mtu, Family family) {
  const std::uint32_t headers = ip_header_bytes(family) + tcp_header_bytes;
  return path_mtu > headers ? static_cast<double>(path_mtu - headers) / path_mtu : 0;
}

double openvpn_payload_share(const configs::OpenVpnKnobs& knobs, std::uint32_t path_mtu,
                             Family family) {
  const std::uint32_t payload = inner_payload(knobs, family);
  const std::uint32_t packet =
      payload + ip_header_bytes(Family::v4) + tcp_header_bytes + openvpn_bytes;
  if (knobs.proto == configs::OpenVpnProto::tcp) {
    return bare_payload_share(path_mtu, family) * payload / (packet + tcp_length_bytes);
  }
  return static_cast<double>(payload) / udp_wire_bytes(packet, path_mtu, family);
}

std::optional<double> openvpn_share_of_bare(const configs::OpenVpnKnobs& knobs,
                                            const Physics& physics) {
  const auto mtu = physics.mtu();
  if (!mtu) return std::nullopt;
  const double bare = bare_payload_share(*mtu, physics.family);
  if (bare <= 0) return std::nullopt;
  return openvpn_payload_share(knobs, *mtu, physics.family) / bare;
}

}  // namespace lt::tuner

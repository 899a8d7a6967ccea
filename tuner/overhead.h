// Overhead: what a tunnel puts around a packet, and so what fits a path and what an arm can reach
// at most. Pure arithmetic; what is worked out here is proven by the gate before it is believed.
//
// @source openvpn.md 2: DATA_V2 with an AEAD cipher is opcode and peer id 4, packet id 4, tag 16;
// WireGuard, Donenfeld 2017, 5.4.6: type and receiver 8, counter 8, tag 16
#pragma once

#include <cstdint>
#include <optional>

#include "configs/openvpn_knobs.h"
#include "tuner/physics.h"

namespace lt::tuner {

inline constexpr std::uint32_t openvpn_bytes = 24;          // DATA_V2 with an AEAD cipher
inline constexpr std::uint32_t openvpn_fragment_bytes = 4;  // OpenVPN's own fragments
inline constexpr std::uint32_t wireguard_bytes = 32;
inline constexpr std::uint32_t udp_bytes = 8;
inline constexpr std::uint32_t openvpn_tcp_tun_mtu_max = 65'535 - openvpn_bytes;
inline constexpr std::uint32_t openvpn_udp_tun_mtu_max = 65'507 - openvpn_bytes;  // over IPv4

/// The largest tun-mtu whose packets pass `path_mtu` whole: 1448 for 1500 bytes over IPv4, udp.
[[nodiscard]] std::uint32_t openvpn_udp_fit(std::uint32_t path_mtu, Family family);
[[nodiscard]] std::uint32_t wireguard_fit(std::uint32_t path_mtu, Family family);

/// The largest UDP datagram, headers and all, that OpenVPN over udp makes of a full inner packet.
[[nodiscard]] std::uint32_t openvpn_udp_packet_max(const configs::OpenVpnKnobs& knobs,
                                                   Family family);

/// TCP payload inside for each byte of IP outside, at most, with full packets; 1 for the bare line
/// is no tunnel's: it is (mtu - 52) / mtu of it. @pre path_mtu is above the headers
[[nodiscard]] double openvpn_payload_share(const configs::OpenVpnKnobs& knobs,
                                           std::uint32_t path_mtu, Family family);
[[nodiscard]] double bare_payload_share(std::uint32_t path_mtu, Family family);

/// What OpenVPN with these knobs can reach on this line, as a share of the bare line's goodput; by
/// its headers alone. Nothing: the path MTU is not known.
[[nodiscard]] std::optional<double> openvpn_share_of_bare(const configs::OpenVpnKnobs& knobs,
                                                          const Physics& physics);

}  // namespace lt::tuner

// Physics: what the line itself is, measured before any arm: it bounds what an arm can reach and
// rules out what cannot work.
//
// Each fact is probed, never believed: a path MTU is the largest datagram that arrived, not what an
// ICMP message said. What could not be probed is absent, with a note that says why; nothing is
// ruled out by a fact that is absent.
//
// Arithmetic of the overheads: docs/MEASURING.md, "Physics". Sources: RFC 791, 768, 9293, 7323 (12
// bytes of timestamps); IEEE 802.3 (38 bytes around the payload of a frame: preamble and start 8,
// header 14, checksum 4, gap 12); openvpn.md 2 (24 bytes of DATA_V2 with AES-GCM).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "tuner/arm.h"
#include "tuner/probe.h"

namespace lt::tuner {

/// One direction of the line.
struct LineWay {
  std::optional<std::uint32_t> mtu{};       // largest IP packet that arrives whole (unit: B)
  std::optional<bool> carries_fragments{};  // a datagram in IP fragments arrives
  std::optional<BitsPerSecond> goodput{};   // of the bare line, TCP payload, receiver's
};

/// One way to compute a cipher, on one core.
struct CipherSpeed {
  std::string cipher;              // "AES-256-GCM"
  std::string backend;             // "openssl", "ipsec_mb"
  std::uint32_t bytes_at_once{0};  // of plaintext under one tag
  BitsPerSecond per_core{};        // sealing
};

struct Physics {
  Family family{Family::v4};  // of the outer addresses
  LineWay up;
  LineWay down;
  Latency idle;                                // of the bare line
  std::optional<BitsPerSecond> device_rate{};  // of the network device; no arm is faster
  std::vector<CipherSpeed> ciphers;
  unsigned cpus{0};
  std::vector<std::string> notes;  // what could not be measured, and why

  /// What passes both ways. Nothing: not known.
  [[nodiscard]] std::optional<std::uint32_t> mtu() const;
  /// Whether fragments survive both ways. Nothing: not known.
  [[nodiscard]] std::optional<bool> carries_fragments() const;
  /// Of the faster way: what a window must hold to fill the line. Nothing: not known.
  [[nodiscard]] std::optional<Bytes> bandwidth_delay() const;
};

inline constexpr std::size_t ciphers_max = 32;
inline constexpr std::size_t notes_max = 32;

inline constexpr std::uint32_t tcp_header_bytes = 32;  // with timestamps
inline constexpr std::uint32_t ethernet_bytes = 38;    // around each packet, on the wire
[[nodiscard]] std::uint32_t ip_header_bytes(Family family);

/// The share of an Ethernet's bits that is TCP payload, at most: 0.9415 for 1500 bytes over IPv4.
[[nodiscard]] double tcp_share_of_ethernet(std::uint32_t mtu, Family family);

/// What no arm exceeds, for each way (unit: bit/s of TCP payload), and why.
struct Bound {
  std::optional<BitsPerSecond> up{};
  std::optional<BitsPerSecond> down{};
  std::string text;  // "this line allows at most 941 Mbit/s of TCP payload: ..."
};
[[nodiscard]] Bound bound_of(const Physics& physics);

[[nodiscard]] Json to_json(const Physics& physics);
/// @error invalid: names the field
[[nodiscard]] Result<Physics> physics_from_json(const Json& value);

/// Sentences for a person, one a line: MTU, fragments, round trip, rates, product, ciphers, bound.
[[nodiscard]] std::vector<std::string> sentences_of(const Physics& physics);

}  // namespace lt::tuner

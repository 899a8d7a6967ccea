// FlowClass: on which lane a packet of ours travels. One pure function, and the one table behind
// it.
//
// Express travels what is short and what somebody waits for, on a lane of its own, so that bulk
// never stands in its way:
//
//   what                              why
//   ICMP, ICMPv6                      a ping measures the path; an error says why nothing works
//   port 53 (UDP, TCP), UDP port 123  a name is asked before each connection; NTP measures delay
//   TCP SYN, SYN-ACK without payload  a connection begins when this has crossed
//   TCP ACK without payload           the clock of the sender at the far end: late ACKs are bursts
//   express_dscps                     somebody said so, see there
//
// Everything else is bulk, and stays on the lane that its flow hash names.
//
// No flow is reordered by this (F-1 to F-3):
//   F-1  What decides, besides the address, port and mark of a flow, is absence of payload. Data,
//        FIN and RST of a flow travel together. A bare ACK that overtakes data is harmless: it lies
//        in the window, acknowledges no less than what it overtook, and neither SND.WL1 nor
//        TS.Recent follows a segment from beyond RCV.NXT (RFC 9293 3.10.7.4, RFC 7323 4.3).
//   F-2  Fragments are bulk, by their addresses alone: only the first one has ports. Their
//   datagrams
//        may overtake unfragmented ones of their flow; those of one datagram stay together.
//   F-3  A flow that changes its mark changes its lane once. OpenSSH does it before the first key
//        stroke, waiting for an answer.
//
// steering.cc says the same to the kernel; tests prove that both say the same of every packet.
// Source: RFC 4594, RFC 8325 (DSCP); performance.md 3.3 (never two lanes for one flow).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace lt::tunnel {

enum class Urgency : std::uint8_t { bulk, express };

struct FlowClass {
  Urgency urgency{Urgency::bulk};
  // Of bulk: the same for every packet of a flow, in both directions; 0 for express, and where not
  // even an address was understood.
  std::uint32_t flow_hash{0};

  friend bool operator==(const FlowClass&, const FlowClass&) = default;
};

/// Bulk flows share this many slots; a table says on which lane a slot travels (steering.h). Four
/// for each of 16 lanes, so that no lane has more than 1.25 times another's for any count up to 16.
inline constexpr std::size_t flow_slots = 64;

[[nodiscard]] constexpr std::size_t slot_of(std::uint32_t flow_hash) noexcept {
  return flow_hash % flow_slots;
}

/// The DSCPs that travel express; bit n stands for DSCP n.
///
///   CS2..CS7     16 24 32 40 48 56   network control, signalling, whatever ranks above the rest
///   EF, VA       46 44               telephony; OpenSSH >= 10.1 marks interactive sessions EF
///   AF21..AF23   18 20 22            low-latency data; OpenSSH >= 7.8 marks interactive ones AF21
///   AF41..AF43   34 36 38            meetings; some Mbit/s, and they adapt
///   NQB          45                  non-queue-building
///   old TOS 0x10 4                   "low delay" of RFC 1349; OpenSSH < 7.8
///
/// Classes as a whole: a policer on the way may lower a packet's rank within its class (AF21 to
/// AF22), which must not tear a flow apart. Bulk are CS1 and LE (below the rest: backups), CS0,
/// AF1x and AF3x (throughput, streaming). The two ECN bits do not matter.
/// @source RFC 4594 2.3, RFC 2597 (AF), RFC 5865 (VA), RFC 8622 (LE), draft-ietf-tsvwg-nqb;
/// ssh_config(5) IPQoS
inline constexpr std::uint64_t express_dscps = [] {
  std::uint64_t set = 0;
  for (const unsigned dscp :
       {16U, 24U, 32U, 40U, 48U, 56U, 46U, 44U, 18U, 20U, 22U, 34U, 36U, 38U, 45U, 4U})
    set |= std::uint64_t{1} << dscp;
  return set;
}();

/// Says where `packet`, which begins at its IP header, travels. Takes anything: what is not
/// understood is bulk by its addresses. A super-packet is judged as its first segment.
/// @thread any; allocates nothing
[[nodiscard]] FlowClass classify(ByteView packet) noexcept;

// The rule's numbers, which steering.cc puts into the kernel's program.
namespace flow_rule {

inline constexpr std::uint16_t port_dns = 53;
inline constexpr std::uint16_t port_ntp = 123;

// Of the TCP flags those that decide; PSH, ECE and CWR do not.
inline constexpr std::uint8_t tcp_fin = 0x01;
inline constexpr std::uint8_t tcp_syn = 0x02;
inline constexpr std::uint8_t tcp_rst = 0x04;
inline constexpr std::uint8_t tcp_ack = 0x10;
inline constexpr std::uint8_t tcp_urg = 0x20;
inline constexpr std::uint8_t tcp_deciding = tcp_fin | tcp_syn | tcp_rst | tcp_ack | tcp_urg;

// IPv6 extension headers as sets of bits: 0 (hop by hop), 43 (routing), 44 (fragment), 51
// (authentication), 60 (destination options); 135 (mobility), 139 (HIP), 140 (Shim6).
// @source IANA "IPv6 Extension Header Types"; as in parse_ip
inline constexpr std::uint8_t next_fragment = 44;
inline constexpr std::uint8_t next_authentication = 51;
inline constexpr std::uint64_t extensions_low =
    1ULL << 0 | 1ULL << 43 | 1ULL << 44 | 1ULL << 51 | 1ULL << 60;
inline constexpr std::uint64_t extensions_from_128 = 1ULL << 7 | 1ULL << 11 | 1ULL << 12;

// One step of the hash: x ^= x >> s1; x *= m1; x ^= x >> s2; x *= m2; x ^= x >> s3.
// @source the finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)
inline constexpr int mix_shift_1 = 30;
inline constexpr int mix_shift_2 = 27;
inline constexpr int mix_shift_3 = 31;
inline constexpr std::uint64_t mix_multiplier_1 = 0xbf58476d1ce4e5b9;
inline constexpr std::uint64_t mix_multiplier_2 = 0x94d049bb133111eb;

}  // namespace flow_rule

}  // namespace lt::tunnel

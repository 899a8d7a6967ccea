// Every bound of the tunnel, with its unit and its reason. Specification first: both ends must agree on
// these. Implementation second: ours alone, free to change.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "tunnel/ip_packet.h"
#include "tunnel/wire.h"

namespace lt::tunnel {

using namespace std::chrono_literals;

// --- Specification (docs/PROTOCOL.md) ---

// A record holds at least one whole super-packet, so that none is ever split.
inline constexpr std::size_t record_limit_min = 68 * 1024;  // plaintext
inline constexpr std::size_t record_limit_max = 1024 * 1024;
static_assert(record_limit_min >= packet_bytes_max + item_header_bytes);

inline constexpr std::uint32_t tun_mtu_min = 576;    // the least that every IPv4 host takes (RFC 791)
inline constexpr std::uint32_t tun_mtu_max = 65535;  // the length field of IPv4

// AES-GCM: 2^32 blocks (64 GiB) a key keep the distinguishing advantage near 2^-65; RFC 8446 5.5 stops at 2^34.5.
inline constexpr std::uint64_t blocks_per_key_max = std::uint64_t{1} << 32;
inline constexpr auto key_age_max = 120s;  // the time of WireGuard's REKEY_AFTER_TIME
inline constexpr std::uint64_t records_per_key_max = std::uint64_t{1} << 32;
inline constexpr unsigned key_updates_per_window_max = 100;
inline constexpr auto key_update_window = 60s;

inline constexpr auto ping_interval = 1s;  // and a jitter of a fifth
inline constexpr auto lane_suspect_after = 3s;
inline constexpr auto lane_dead_after = 5s;  // or eight smoothed round trips, if that is longer
inline constexpr unsigned lane_dead_round_trips = 8;
inline constexpr unsigned pings_per_second_max = 1000;

inline constexpr auto knock_deadline = 2s;
inline constexpr auto handshake_deadline = 5s;

inline constexpr unsigned joins_per_second_max = 8;
inline constexpr auto session_kept = 60s;       // without a lane, so that it can be joined again
inline constexpr auto lane_age_max = 60min;     // then a fresh Diffie-Hellman exchange, by a lane that takes over
inline constexpr std::uint64_t lane_bytes_max = std::uint64_t{1} << 40;
inline constexpr unsigned replacements_max = 3;  // by clients that were replaced before, within replacement_window
inline constexpr auto replacement_window = 60s;
inline constexpr auto duplicate_identity_wait = 30s;
inline constexpr std::size_t handshake_bytes_max = 4096;  // 580 are needed

// --- Implementation ---

inline constexpr std::size_t half_open_max = 32;
inline constexpr std::size_t half_open_per_source_max = 4;
inline constexpr std::size_t half_open_reserved = 8;  // of half_open_max, for sources that were our peer before
inline constexpr double arrivals_per_second_max = 20;  // of one source
inline constexpr double arrivals_burst_max = 20;
inline constexpr std::size_t sources_remembered_max = 4096;
inline constexpr std::size_t peers_remembered_max = 4;
inline constexpr int listen_backlog = 128;
inline constexpr auto accept_pause = 100ms;  // while the process has no descriptor left

inline constexpr auto reconnect_first = 100ms;
inline constexpr auto reconnect_longest = 5s;
inline constexpr auto reconnect_reset_after = 60s;  // of being up
inline constexpr auto connect_deadline = 3s;   // twice the longest round trip that is still served
// While nobody answers, a fresh connect goes out this often: the kernel's own second try comes after 1 s, its third
// after 3 s, and a path that is back must be found at once. 64 bytes each.
inline constexpr auto reach_interval = 250ms;
// A handshake from which nothing comes for so long is begun anew, each further time after twice as long: what stopped it may
// be over, and the kernel's own next try far away. 3 round trips where those are longer.
inline constexpr auto handshake_stall = 1s;
inline constexpr unsigned handshake_stall_round_trips = 3;
// A lane that has work for so many samples, and gets on with less than an eighth of what the session's lanes have lately
// done, is held back on its way alone: another connection may not be.
inline constexpr auto pace_interval = 1s;
inline constexpr unsigned pace_samples_min = 3;
inline constexpr double pace_share_least = 1.0 / 8;
inline constexpr double pace_kept_a_second = 0.97;  // of the best seen: half is forgotten in 23 s
inline constexpr auto pace_pause = 60s;             // between two lanes of one index that are replaced for this
// The client's side of half_open_per_source_max and joins_per_second_max, with room for a clock that runs unlike ours and
// a path that bunches up.
inline constexpr std::size_t joins_under_way_max = half_open_per_source_max;
inline constexpr auto join_pause = 1200ms;
inline constexpr auto resolve_deadline = 3s;
inline constexpr auto goodbye_patience = 2s;
// A lane that hands over drains while bytes pass: a full socket of 4 MiB takes this long at 0.6 Mbit/s.
inline constexpr auto drain_longest = 60s;
inline constexpr std::size_t lanes_draining_max = 32;  // beyond the session's own; then the eldest ends without a word
inline constexpr int drain_round_trips = 4;  // without progress: a loss may be mended only after a retransmission time-out

// Reads of the tun that one wake-up may bring: 8 super-packets are 0.5 MiB, more than a gigabit line drains in 4 ms.
inline constexpr std::size_t batch_packets_max = 8;
// Packets up to this size are copied together into one record; larger ones are sealed where they were read.
// Copying 4 KiB costs less than the AEAD call, the system call and the iovec that it saves.
inline constexpr std::size_t pack_copy_bytes_max = 4096;
// Two of the largest records that were agreed: what is left of one never keeps the next from being received whole.
[[nodiscard]] constexpr std::size_t receive_buffer_bytes(std::size_t record_limit) {
  return 2 * (record_limit + record_overhead_bytes);
}
inline constexpr std::size_t deliveries_max = 64;  // packets handed to the tun in one submission

}  // namespace lt::tunnel

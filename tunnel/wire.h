// Every byte of LT1 that travels on the WAN behind TLS: sizes, types, positions. docs/PROTOCOL.md is the text.
//
// A record:        8-byte header | ciphertext | 16-byte tag           the header is the AAD
// A DATA payload:  items, each    u32 length | u8 kind | u16 gso_size | packet
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace lt::tunnel {

inline constexpr std::uint8_t protocol_version = 1;

// The record header: u8 sync | u8 type | u16 reserved 0 | u32 length of ciphertext and tag.
inline constexpr std::uint8_t record_sync = 0xA5;  // neither TLS (0x14..0x17) nor ASCII
inline constexpr std::size_t record_header_bytes = 8;
inline constexpr std::size_t tag_bytes = 16;
inline constexpr std::size_t record_overhead_bytes = record_header_bytes + tag_bytes;

enum class RecordType : std::uint8_t {
  data = 1,
  ping = 2,
  pong = 3,
  key_update = 4,
  goodbye = 5,
};

inline constexpr std::size_t item_header_bytes = 7;
inline constexpr std::size_t packet_bytes_min = 20;  // an IPv4 header

enum class GoodbyeReason : std::uint8_t {
  shutdown = 1,
  restart = 2,
  moved = 3,
  protocol_error = 4,
  replaced = 5,
};

inline constexpr std::size_t goodbye_bytes = 9;  // u8 reason | u64 counter of the record that carries it
inline constexpr std::size_t stamp_bytes = 8;    // PING and PONG begin with it
inline constexpr std::size_t key_update_bytes = 1;

}  // namespace lt::tunnel

// Frames: what two linktunes send each other on a TCP connection inside the tunnel.
//
//     frame  = type (1 B), three zero bytes, length of the payload (4 B, big-endian), payload
//
// Which types there are and how long each may be is the protocol's own table. Types 1 and 2 are the
// same in all of them: the greeting by which each end proves who it is (peer_proof.h).
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"

namespace lt::channel {

inline constexpr std::size_t frame_header_bytes = 8;
inline constexpr std::uint8_t hello_type = 1;  // magic (4 B), version (4 B), nonce (32 B)
inline constexpr std::uint8_t proof_type = 2;  // signature (64 B)

/// Of a payload (unit: B).
struct Lengths {
  std::size_t min;
  std::size_t max;
};

/// A protocol's types; nothing: there is no such type.
using FrameTable = std::optional<Lengths> (*)(std::uint8_t type);

/// The rows of hello_type and proof_type.
[[nodiscard]] std::optional<Lengths> greeting_lengths(std::uint8_t type);

struct FrameHeader {
  std::uint8_t type;
  std::uint32_t length;
};

/// @error protocol: an unknown type, a reserved byte that is not zero, a length its type cannot have
[[nodiscard]] Result<FrameHeader> parse_frame_header(std::span<const Byte, frame_header_bytes> raw, FrameTable table);

/// Appends a header; `length` bytes follow.
void put_frame_header(Writer& out, std::uint8_t type, std::size_t length);
void put_frame(Writer& out, std::uint8_t type, ByteView payload);

}  // namespace lt::channel

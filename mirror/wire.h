// The agent's protocol: what two linktunes say to each other on a TCP connection inside the tunnel.
//
// Two layers. FRAMES travel on one connection; a connection comes and goes. Frames of type `data`
// carry pieces of two numbered byte sequences, one each way, that outlive connections (pipe.h). Those
// sequences are cut into PARTS: the request, its input, its outputs, its exit status.
//
//     frame  = as in channel/frame.h
//     part   = kind (1 B), length (4 B), bytes
//
// Order on a connection: hello both ways; proof from the agent, then from the client (channel/peer_proof.h);
// `attach` by the client, `attached` or `refused` by the agent; then data and acks both ways, and the
// client's `rate` where it pulls, until `bye`. All integers are big-endian. Whatever comes out of this order, or is longer than its
// type allows, ends the connection.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"
#include "channel/frame.h"

namespace lt::mirror {

inline constexpr std::size_t frame_payload_bytes_max = 256 << 10;
inline constexpr std::size_t part_header_bytes = 5;
inline constexpr std::size_t part_bytes_max = 256 << 10;
inline constexpr std::uint32_t protocol_version = 2;

enum class FrameType : std::uint8_t {
  hello = channel::hello_type,
  proof = channel::proof_type,
  attach = 3,  // session (16 B), fresh (1 B), window (4 B), received (8 B)
  attached = 4,  // received (8 B)
  refused = 5,   // a sentence
  data = 6,      // offset (8 B), bytes
  ack = 7,       // consumed (8 B), received (8 B), produced (8 B), what its `zfs` is doing (4 B)
  bye = 8,       // nothing: the client wants no more; what still runs is ended
  rate = 9,      // the most bits a second that the agent may send of this session (8 B); all ones: no limit
};

enum class PartKind : std::uint8_t {
  // client to agent
  command = 1,    // Syncoid's text
  request = 2,    // a typed request: its name, a zero byte, its argument
  input = 3,
  input_end = 4,
  // agent to client
  output = 16,
  errors = 17,
  exit_status = 18,  // 1 B; the last part
};

using SessionId = std::array<Byte, 16>;

/// The lengths of each type's payload.
[[nodiscard]] std::optional<channel::Lengths> frame_lengths(std::uint8_t type);

struct Attach {
  SessionId session{};
  bool is_fresh{false};        // may begin: the client has never been attached to this session
  std::uint32_t window{0};     // of both sequences (unit: B)
  std::uint64_t received{0};  // of the agent's sequence
};

struct Ack {
  std::uint64_t consumed{0};  // bytes of the other's sequence that are done with
  std::uint64_t received{0};  // bytes of it that have come
  std::uint64_t produced{0};  // bytes of the own sequence that there are yet
  std::uint32_t wait{0};      // ChildWait of meter.h, from an agent
};

// A frame each, appended to `out`.
void put_frame(Writer& out, FrameType type, ByteView payload);
void put_attach(Writer& out, const Attach& attach);
void put_attached(Writer& out, std::uint64_t received);
void put_ack(Writer& out, const Ack& ack);
void put_rate(Writer& out, std::optional<BitsPerSecond> rate);
/// The header of a data frame and its offset; `length` bytes follow.
void put_data_header(Writer& out, std::uint64_t offset, std::size_t length);

// Payloads. @return nothing when the length or a value is wrong
[[nodiscard]] std::optional<Attach> parse_attach(ByteView payload);
[[nodiscard]] std::optional<std::uint64_t> parse_attached(ByteView payload);
[[nodiscard]] std::optional<Ack> parse_ack(ByteView payload);
/// @pre 8 bytes, as frame_lengths() asks  @return nothing: no limit
[[nodiscard]] std::optional<BitsPerSecond> parse_rate(ByteView payload);

}  // namespace lt::mirror

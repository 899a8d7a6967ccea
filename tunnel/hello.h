// HELLO, ACCEPT, REJECT and GO: what the two ends say inside TLS before they leave it.
// Reading and writing of each stand together; the MACs are computed by handshake.cc.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/bytes.h"
#include "base/result.h"

namespace lt::tunnel {

inline constexpr std::size_t mac_bytes = 32;
using Mac = std::array<Byte, mac_bytes>;
using SessionId = std::array<Byte, 16>;
using BootId = std::array<Byte, 16>;
using PrefixHash = std::array<Byte, 32>;

/// What one end offers; the link then lives by the smaller of each pair of limits.
struct Offer {
  BootId boot_id{};
  std::uint32_t record_limit{0};  // (unit: B of plaintext)
  std::uint32_t tun_mtu{0};       // (unit: B)
  PrefixHash prefix_hash{};
  bool psk_used{false};
  std::uint8_t lane_count{1};  // lanes of the session, the express lane among them
  bool express{false};         // the lane of the highest index carries what is short and urgent
};

inline constexpr std::uint8_t lane_count_max = 16;
inline constexpr std::uint16_t capability_express = 1;

/// What becomes of a lane that holds the index already.
enum class TakeOver : std::uint8_t {
  no = 0,         // the index must be free
  graceful = 1,   // it says GOODBYE moved, and what it still carries goes before
  abandoned = 2,  // the client has given it up: it is ended at once
};

struct Hello {
  std::uint16_t capabilities{0};
  SessionId session_id{};  // zero: a new session
  std::uint8_t lane_index{0};
  TakeOver take_over{TakeOver::no};
  Offer offer;
  Mac join_mac{};  // of a join; zero for a new session
  Mac mac{};

  [[nodiscard]] bool is_join() const { return session_id != SessionId{}; }
};
inline constexpr std::size_t hello_bytes = 152;

struct Accept {
  std::uint16_t capabilities{0};
  SessionId session_id{};
  std::uint32_t record_limit{0};
  std::uint32_t tun_mtu{0};
  std::uint8_t lane_count{1};
  bool express{false};
  Mac mac{};
};
inline constexpr std::size_t accept_bytes = 64;

enum class RejectCode : std::uint8_t {
  psk_mismatch = 1,
  version = 2,
  prefix_mismatch = 3,
  duplicate_identity = 4,
  bad_hello = 5,
  busy = 6,
  unknown_session = 7,
};
inline constexpr auto reject_code_max = RejectCode::unknown_session;

struct Reject {
  RejectCode code{RejectCode::bad_hello};
  std::string text;  // printable ASCII
};
inline constexpr std::size_t reject_header_bytes = 4;
inline constexpr std::size_t reject_text_bytes_max = 120;

inline constexpr std::array<Byte, 2> go{4, 0};

/// The HELLO in wire order; with `mac` zero, its first hello_bytes - mac_bytes are what the MAC covers.
[[nodiscard]] std::array<Byte, hello_bytes> encode(const Hello& hello);
/// @error rejected: another version · protocol: a field that must be zero or in range is not
[[nodiscard]] Result<Hello> decode_hello(std::span<const Byte, hello_bytes> bytes);

[[nodiscard]] std::array<Byte, accept_bytes> encode(const Accept& accept);
[[nodiscard]] Result<Accept> decode_accept(std::span<const Byte, accept_bytes> bytes);

[[nodiscard]] std::vector<Byte> encode(const Reject& reject);
/// How many bytes a reply has, told by its first four (type, and for a REJECT its text's length).
/// @error protocol: neither ACCEPT nor REJECT, or a text longer than allowed
[[nodiscard]] Result<std::size_t> reply_length(std::span<const Byte, reject_header_bytes> head);
/// @error protocol: an unknown code, or a text that is not printable ASCII
[[nodiscard]] Result<Reject> decode_reject(ByteView bytes);
[[nodiscard]] bool is_accept(ByteView reply);

}  // namespace lt::tunnel

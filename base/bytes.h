// Bytes as spans, integers in network order, and the bounds-checked cursors that parse and build them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lt {

using Byte = std::uint8_t;
using ByteSpan = std::span<Byte>;
using ByteView = std::span<const Byte>;

[[nodiscard]] inline std::uint16_t load_be16(const Byte* at) {
  return static_cast<std::uint16_t>(at[0] << 8 | at[1]);
}
[[nodiscard]] inline std::uint32_t load_be32(const Byte* at) {
  return std::uint32_t{at[0]} << 24 | std::uint32_t{at[1]} << 16 | std::uint32_t{at[2]} << 8 | at[3];
}
[[nodiscard]] inline std::uint64_t load_be64(const Byte* at) {
  return std::uint64_t{load_be32(at)} << 32 | load_be32(at + 4);
}
inline void store_be16(Byte* at, std::uint16_t value) {
  at[0] = static_cast<Byte>(value >> 8);
  at[1] = static_cast<Byte>(value);
}
inline void store_be32(Byte* at, std::uint32_t value) {
  store_be16(at, static_cast<std::uint16_t>(value >> 16));
  store_be16(at + 2, static_cast<std::uint16_t>(value));
}
inline void store_be64(Byte* at, std::uint64_t value) {
  store_be32(at, static_cast<std::uint32_t>(value >> 32));
  store_be32(at + 4, static_cast<std::uint32_t>(value));
}

[[nodiscard]] inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const Byte*>(text.data()), text.size()};
}
[[nodiscard]] inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Reads in order; a read past the end yields nothing and leaves the cursor where it was.
class Reader {
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}

  [[nodiscard]] std::size_t left() const { return rest_.size(); }
  [[nodiscard]] std::optional<ByteView> take(std::size_t count) {
    if (count > rest_.size()) return std::nullopt;
    const ByteView taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  [[nodiscard]] std::optional<std::uint8_t> u8() {
    const auto bytes = take(1);
    return bytes ? std::optional((*bytes)[0]) : std::nullopt;
  }
  [[nodiscard]] std::optional<std::uint16_t> u16() {
    const auto bytes = take(2);
    return bytes ? std::optional(load_be16(bytes->data())) : std::nullopt;
  }
  [[nodiscard]] std::optional<std::uint32_t> u32() {
    const auto bytes = take(4);
    return bytes ? std::optional(load_be32(bytes->data())) : std::nullopt;
  }
  [[nodiscard]] std::optional<std::uint64_t> u64() {
    const auto bytes = take(8);
    return bytes ? std::optional(load_be64(bytes->data())) : std::nullopt;
  }
  template <std::size_t N>
  [[nodiscard]] std::optional<std::array<Byte, N>> array() {
    const auto bytes = take(N);
    if (!bytes) return std::nullopt;
    std::array<Byte, N> copy{};
    std::memcpy(copy.data(), bytes->data(), N);
    return copy;
  }

 private:
  ByteView rest_;
};

/// Appends in order to a growing sequence. Not for the data path: it allocates.
class Writer {
 public:
  Writer& u8(std::uint8_t value) {
    bytes_.push_back(value);
    return *this;
  }
  Writer& u16(std::uint16_t value) {
    Byte raw[2];
    store_be16(raw, value);
    return append(raw);
  }
  Writer& u32(std::uint32_t value) {
    Byte raw[4];
    store_be32(raw, value);
    return append(raw);
  }
  Writer& u64(std::uint64_t value) {
    Byte raw[8];
    store_be64(raw, value);
    return append(raw);
  }
  Writer& append(ByteView bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  Writer& append(std::string_view text) { return append(as_bytes(text)); }

  [[nodiscard]] ByteView view() const { return bytes_; }
  [[nodiscard]] std::vector<Byte> take() { return std::move(bytes_); }

 private:
  std::vector<Byte> bytes_;
};

[[nodiscard]] std::string to_hex(ByteView bytes);
/// @return nothing when a digit is not hexadecimal or their count is odd
[[nodiscard]] std::optional<std::vector<Byte>> from_hex(std::string_view text);
[[nodiscard]] std::string to_base64(ByteView bytes);
/// Strict RFC 4648: padding required, no white space. @return nothing otherwise
[[nodiscard]] std::optional<std::vector<Byte>> from_base64(std::string_view text);

}  // namespace lt

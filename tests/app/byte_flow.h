// What both ends of a byte flow share: the bytes, made of a seed, and their hash.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "crypto/kdf.h"

namespace lt::testing {

/// A stream of bytes that a seed determines (splitmix64, Steele 2014): fast, and no piece of it is like another.
class SeededBytes {
 public:
  explicit SeededBytes(std::uint64_t seed) : state_(seed) {}
  [[nodiscard]] std::uint64_t next() {
    std::uint64_t mixed = state_ += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
  }
  void fill(ByteSpan out) {
    for (std::size_t at = 0; at < out.size(); at += 8) {
      const std::uint64_t word = next();
      std::memcpy(out.data() + at, &word, std::min<std::size_t>(8, out.size() - at));
    }
  }

 private:
  std::uint64_t state_;
};

/// A hash of a stream however it is cut: each block is hashed under the hash of those before it.
class StreamHash {
 public:
  using Value = std::array<Byte, 32>;

  void add(ByteView bytes) {
    while (!bytes.empty()) {
      const std::size_t count = std::min(block_bytes - held_, bytes.size());
      std::copy_n(bytes.begin(), count, block_.begin() + static_cast<std::ptrdiff_t>(held_));
      held_ += count;
      bytes = bytes.subspan(count);
      if (held_ == block_bytes) close_block();
    }
  }
  [[nodiscard]] Value value() {
    close_block();
    return value_;
  }

 private:
  static constexpr std::size_t block_bytes = 256 * 1024;

  void close_block() {
    value_ = crypto::hmac_sha256(value_, {ByteView(block_).first(held_)});
    held_ = 0;
  }

  std::vector<Byte> block_ = std::vector<Byte>(block_bytes);
  std::size_t held_{0};
  Value value_{};
};

}  // namespace lt::testing

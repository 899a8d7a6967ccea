// What every fuzz target shares: choices read from the fuzzer's bytes, and the end of the program when a promise
// of the code is broken.
//
// A target is one function of the fuzzer's bytes. It decides by them alone: no clock, no randomness but steady_random.h,
// so that an input that breaks a promise breaks it again.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace lt::fuzz {

/// Stops the program, so that the fuzzer keeps the input, unless the promise is kept.
inline void expect(bool is_kept, const char* promise) {
  if (is_kept) return;
  std::fprintf(stderr, "BROKEN PROMISE: %s\n", promise);
  std::abort();
}

/// The fuzzer's bytes as decisions, in order. Behind their end every choice is 0 and every text empty.
class Choices {
 public:
  explicit Choices(ByteView bytes) : rest_(bytes) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] std::size_t left() const { return rest_.size(); }

  Byte u8() { return rest_.empty() ? Byte{0} : take(1)[0]; }
  std::uint16_t u16() { return static_cast<std::uint16_t>(u8() << 8 | u8()); }
  std::uint32_t u32() { return std::uint32_t{u16()} << 16 | u16(); }
  bool truth() { return (u8() & 1) != 0; }
  /// 0 .. limit - 1. @pre limit > 0
  std::size_t below(std::size_t limit) { return (limit <= 256 ? u8() : u32()) % limit; }

  /// Up to `count` bytes, less at the end.
  ByteView take(std::size_t count) {
    const ByteView taken = rest_.first(std::min(count, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  ByteView rest() { return take(rest_.size()); }

 private:
  ByteView rest_;
};

/// A copy in memory of exactly its size: a step beyond either end is seen by the address sanitizer.
inline std::vector<Byte> copy_of(ByteView bytes) { return {bytes.begin(), bytes.end()}; }

/// Whether one line of it may be shown to a person: printable ASCII and line ends only.
inline bool is_showable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= ' ' && c <= '~') || c == '\n'; });
}

}  // namespace lt::fuzz

/// The target: takes the fuzzer's bytes. Defined once in each NAME_fuzz.cc.
namespace lt::fuzz {
void run(ByteView input);
}

#include "tunnel/checksum.h"

#include <bit>
#include <cstring>

namespace lt::tunnel {

namespace {

std::uint64_t load_word(const Byte* at) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

std::uint16_t to_native(std::uint16_t word) noexcept {
  if constexpr (std::endian::native == std::endian::big) return word;
  return static_cast<std::uint16_t>(word << 8 | word >> 8);
}

std::uint16_t fold(ChecksumSum sum) noexcept {
  std::uint64_t value = sum.value;
  while (value >> 16 != 0)
    value = (value & 0xffff) + (value >> 16);
  return static_cast<std::uint16_t>(value);
}

}  // namespace

ChecksumSum add_bytes(ChecksumSum sum, ByteView bytes) noexcept {
  // Four independent sums of 32-bit halves: no carry to propagate, and no addition waits for the
  // one before.
  std::uint64_t low_a = 0;
  std::uint64_t high_a = 0;
  std::uint64_t low_b = 0;
  std::uint64_t high_b = 0;
  const Byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 16; left -= 16, at += 16) {
    const std::uint64_t a = load_word(at);
    const std::uint64_t b = load_word(at + 8);
    low_a += a & 0xffffffff;
    high_a += a >> 32;
    low_b += b & 0xffffffff;
    high_b += b >> 32;
  }
  Byte tail[16] = {};
  if (left != 0) std::memcpy(tail, at, left);
  for (const std::size_t offset : {std::size_t{0}, std::size_t{8}}) {
    const std::uint64_t word = load_word(tail + offset);
    low_a += word & 0xffffffff;
    high_a += word >> 32;
  }
  sum.value += low_a + high_a + low_b + high_b;
  return sum;
}

ChecksumSum add_word(ChecksumSum sum, std::uint16_t word) noexcept {
  sum.value += to_native(word);
  return sum;
}

ChecksumSum pseudo_header_sum(const IpPacket& packet, std::size_t transport_bytes) noexcept {
  // Source and destination stand side by side in both headers: 8 bytes, or 32.
  const Byte* at = packet.source().data();
  const Byte* const end = packet.destination().data() + packet.destination().size();
  ChecksumSum sum;
  for (; at != end; at += 8) {
    const std::uint64_t word = load_word(at);
    sum.value += (word & 0xffffffff) + (word >> 32);
  }
  sum = add_word(sum, packet.protocol);
  return add_word(sum, static_cast<std::uint16_t>(transport_bytes));
}

void store_partial(Byte* field, ChecksumSum sum) noexcept {
  const std::uint16_t folded = fold(sum);
  std::memcpy(field, &folded, sizeof folded);
}

void store_checksum(Byte* field, ChecksumSum sum) noexcept {
  const auto checksum = static_cast<std::uint16_t>(~fold(sum));
  std::memcpy(field, &checksum, sizeof checksum);
}

void store_checksum_nonzero(Byte* field, ChecksumSum sum) noexcept {
  auto checksum = static_cast<std::uint16_t>(~fold(sum));
  if (checksum == 0) checksum = 0xffff;
  std::memcpy(field, &checksum, sizeof checksum);
}

bool holds_partial(const Byte* field, ChecksumSum sum) noexcept {
  std::uint16_t held = 0;
  std::memcpy(&held, field, sizeof held);
  const std::uint16_t folded = fold(sum);
  return held == folded || (held % 0xffff == 0 && folded % 0xffff == 0);
}

}  // namespace lt::tunnel

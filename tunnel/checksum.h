// The Internet checksum (RFC 1071), a few bytes per cycle. Sums are kept in the machine's byte
// order: a one's complement sum does not mind, as long as words are loaded and the result is stored
// in the same order.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "tunnel/ip_packet.h"

namespace lt::tunnel {

/// A running one's complement sum; not folded. Room for 2^31 words of 32 bits.
struct ChecksumSum {
  std::uint64_t value{0};
};

/// Adds `bytes`, which begin at an even offset of the summed text; an odd last byte is padded with
/// zero.
[[nodiscard]] ChecksumSum add_bytes(ChecksumSum sum, ByteView bytes) noexcept;

/// Adds one 16-bit word of the text, given as a number.
[[nodiscard]] ChecksumSum add_word(ChecksumSum sum, std::uint16_t word) noexcept;

/// The TCP and UDP pseudo-header: addresses, protocol, and a transport length of `transport_bytes`.
/// @pre transport_bytes <= 65535 @source RFC 9293 3.1, RFC 768, RFC 8200 8.1
[[nodiscard]] ChecksumSum pseudo_header_sum(const IpPacket& packet,
                                            std::size_t transport_bytes) noexcept;

/// Stores the folded sum, not complemented: what the kernel wants in the field of a partial
/// checksum.
void store_partial(Byte* field, ChecksumSum sum) noexcept;

/// Stores the complement of the folded sum: a finished checksum.
void store_checksum(Byte* field, ChecksumSum sum) noexcept;

/// As store_checksum, but a checksum of zero is stored as 0xffff, as UDP wants it: zero means
/// "none" there.
void store_checksum_nonzero(Byte* field, ChecksumSum sum) noexcept;

/// Whether `field` holds the folded `sum`; the two zeros of one's complement are the same.
[[nodiscard]] bool holds_partial(const Byte* field, ChecksumSum sum) noexcept;

}  // namespace lt::tunnel

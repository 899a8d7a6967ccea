// HMAC-SHA-256, HKDF (RFC 5869) and the labelled expansion of the key schedule (security.md 5.3).
#pragma once

#include <array>
#include <initializer_list>
#include <string_view>

#include "base/bytes.h"
#include "crypto/secret.h"

namespace lt::crypto {

/// The most that one HKDF expansion gives.  (unit: B)  @source RFC 5869 2.3
inline constexpr std::size_t hkdf_bytes_max = 255 * 32;

/// HMAC-SHA-256 over `parts`, one behind the other, as if they were one text.
/// @source RFC 2104, FIPS 180-4
[[nodiscard]] std::array<Byte, 32> hmac_sha256(ByteView key, std::initializer_list<ByteView> parts);

/// HKDF-Extract. An empty `salt` stands for 32 zero bytes.  @source RFC 5869 2.2
[[nodiscard]] Secret<32> hkdf_extract(ByteView salt, ByteView ikm);

/// HKDF-Expand fills all of `out`.
/// @pre     out.size() <= hkdf_bytes_max, and `out` overlaps neither `prk` nor `info`
/// @source  RFC 5869 2.3
void hkdf_expand(ByteView prk, ByteView info, ByteSpan out);

/// HKDF-Expand whose info is built as TLS 1.3 builds its HkdfLabel, with a prefix of our own, so
/// that no two purposes share an output:
///
///     u16 length of out | u8 length of what follows | "lt1 " label | u8 0 (empty context)
///
/// @pre     label.size() <= 251, out.size() <= hkdf_bytes_max, and `out` does not overlap `secret`
/// @source  security.md 5.3; the form is RFC 8446 7.1
void expand_label(ByteView secret, std::string_view label, ByteSpan out);

/// True when both have the same length and bytes; the time depends on the length only.
[[nodiscard]] bool equal_constant_time(ByteView left, ByteView right);

}  // namespace lt::crypto

// The knock: 40 bytes that a client sends before TLS, and silence for whoever cannot make them.
//
// "LT1\0" | u32 flags, 0 | 16 random bytes | 16 bytes of HMAC-SHA256 over the first 24
//
// There is no timestamp, on purpose: a replayed knock only reaches TLS, a timestamp would tie the link to the
// wall clock (CVE-2021-46873).
#pragma once

#include <array>
#include <optional>

#include "base/bytes.h"
#include "crypto/identity.h"
#include "crypto/secret.h"
#include "tunnel/key_schedule.h"

namespace lt::tunnel {

inline constexpr std::size_t knock_bytes = 40;

class KnockKey {
 public:
  /// @param psk  empty, or the 32 bytes of the link's pre-shared key
  KnockKey(const crypto::PublicKey& server, ByteView psk);

  /// A knock with fresh random bytes. @source security: WireGuard's mac1
  [[nodiscard]] std::array<Byte, knock_bytes> make() const;

  /// The knock's random bytes when it was made with this key; nothing otherwise. Constant time in the tag.
  [[nodiscard]] std::optional<std::array<Byte, knock_random_bytes>> check(
      std::span<const Byte, knock_bytes> knock) const;

 private:
  [[nodiscard]] std::array<Byte, 32> tag(ByteView signed_part) const;

  crypto::Secret<32> key_;
};

}  // namespace lt::tunnel

#include "tunnel/knock.h"

#include <algorithm>

#include "crypto/kdf.h"
#include "crypto/random.h"

namespace lt::tunnel {

namespace {
constexpr std::size_t signed_bytes = 24;
constexpr std::array<Byte, 8> opening{'L', 'T', '1', 0, 0, 0, 0, 0};
}  // namespace

KnockKey::KnockKey(const crypto::PublicKey& server, ByteView psk) {
  crypto::Secret<64> material;  // the server's key, then the PSK or zeros
  std::copy(server.begin(), server.end(), material.writable().begin());
  std::copy(psk.begin(), psk.end(), material.writable().begin() + 32);
  const auto extracted = crypto::hkdf_extract(as_bytes("LT1 knock"), material.reveal());
  crypto::expand_label(extracted.reveal(), "knock", key_.writable());
}

std::array<Byte, 32> KnockKey::tag(ByteView signed_part) const {
  return crypto::hmac_sha256(key_.reveal(), {signed_part});
}

std::array<Byte, knock_bytes> KnockKey::make() const {
  std::array<Byte, knock_bytes> knock{};
  std::copy(opening.begin(), opening.end(), knock.begin());
  crypto::fill_random(ByteSpan(knock).subspan(opening.size(), knock_random_bytes));
  const auto mac = tag(ByteView(knock).first(signed_bytes));  // P-3
  std::copy_n(mac.begin(), knock_bytes - signed_bytes, knock.begin() + signed_bytes);
  return knock;
}

std::optional<std::array<Byte, knock_random_bytes>> KnockKey::check(
    std::span<const Byte, knock_bytes> knock) const {
  const auto mac = tag(knock.first<signed_bytes>());  // P-4
  const bool genuine = crypto::equal_constant_time(ByteView(mac).first(knock_bytes - signed_bytes),
                                                   knock.subspan<signed_bytes>());
  const bool opens = std::equal(opening.begin(), opening.end(), knock.begin());
  if (!genuine || !opens) return std::nullopt;
  std::array<Byte, knock_random_bytes> random{};
  std::copy_n(knock.begin() + opening.size(), knock_random_bytes, random.begin());
  return random;
}

}  // namespace lt::tunnel

#include "app/cipher_speed.h"

#include <array>
#include <string>
#include <vector>

#include "base/clock.h"
#include "crypto/aead.h"

namespace lt::app {

namespace {

constexpr Milliseconds time_each{20};
constexpr std::array<std::uint32_t, 2> sizes{1'400, 65'536};

// The nonce never repeats under this key, and nothing sealed here leaves this function.
BitsPerSecond seal_speed(crypto::Aead& aead, std::uint32_t bytes) {
  std::vector<Byte> text(bytes);
  std::array<Byte, crypto::aead_nonce_bytes> nonce{};
  std::array<Byte, crypto::aead_tag_bytes> tag{};
  const Instant begin = SteadyClock{}.now();
  std::uint64_t sealed = 0;
  Nanoseconds taken{0};
  do {
    for (int i = 0; i < 16; ++i) {
      store_be64(nonce.data() + 4, ++sealed);
      aead.seal(nonce, {}, text, tag);
    }
    taken = SteadyClock{}.now() - begin;
  } while (taken < time_each);
  return Bytes{sealed * bytes} / taken;
}

}  // namespace

Status add_cipher_speeds(tuner::Physics& physics) {
  LT_TRY(const auto fastest, crypto::resolve(crypto::AeadBackend::automatic));
  std::vector<crypto::AeadBackend> backends{crypto::AeadBackend::openssl};
  if (fastest != crypto::AeadBackend::openssl) backends.push_back(fastest);
  for (const auto backend : backends) {
    LT_TRY(auto aead, crypto::Aead::create(crypto::Secret<crypto::aead_key_bytes>{}, backend));
    for (const std::uint32_t bytes : sizes) {
      physics.ciphers.push_back(
          {"AES-256-GCM", std::string(crypto::name_of(backend)), bytes, seal_speed(aead, bytes)});
    }
  }
  return {};
}

}  // namespace lt::app

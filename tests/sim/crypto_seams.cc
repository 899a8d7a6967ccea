#define OPENSSL_SUPPRESS_DEPRECATED  // RAND_set_rand_method: the only way to seed the generators of all contexts
#include "tests/sim/crypto_seams.h"

#include <openssl/rand.h>

#include <unordered_map>

#include "base/assert.h"
#include "crypto/aead.h"
#include "tests/sim/dice.h"

namespace lt::sim {

namespace {

Dice& randomness() {
  static Dice dice(0);
  return dice;
}

int fill(unsigned char* out, int count) {
  for (int i = 0; i < count;) {
    std::uint64_t word = randomness().next();
    for (int j = 0; j < 8 && i < count; ++j, ++i, word >>= 8) out[i] = static_cast<unsigned char>(word);
  }
  return 1;
}
int is_ready() { return 1; }

struct KeyUse {
  std::uint64_t first_nonce;
  std::uint64_t count;
};

Seals& seen() {
  static Seals seals;
  return seals;
}
std::unordered_map<std::uint64_t, KeyUse>& uses() {
  static std::unordered_map<std::uint64_t, KeyUse> keys;
  return keys;
}
// Which key a sealing context holds. An Aead moves; what its first or its second member points to does not.
std::unordered_map<const void*, std::uint64_t>& keys_held() {
  static std::unordered_map<const void*, std::uint64_t> held;
  return held;
}
const void* context_of(const crypto::Aead& aead) {
  const auto* const members = reinterpret_cast<const void* const*>(&aead);
  return members[0] != nullptr ? members[0] : members[1];
}

}  // namespace

void seed_randomness(std::uint64_t seed) {
  static const RAND_METHOD method{nullptr, fill, nullptr, nullptr, fill, is_ready};
  LT_ASSERT(RAND_set_rand_method(&method) == 1);
  randomness() = Dice(seed);
}

const Seals& seals() { return seen(); }
void forget_seals() {
  seen() = {};
  uses().clear();
}

}  // namespace lt::sim

// The linker puts these in the place of Aead's own (--wrap): they look, and hand over to them.
using lt::Byte;
using lt::ByteSpan;
using lt::ByteView;
using lt::crypto::Aead;
extern "C" {
void __real__ZN2lt6crypto4Aead5rekeyERKNS0_6SecretILm32EEE(Aead&, const lt::crypto::Secret<32>&);
void __real__ZN2lt6crypto4Aead4sealESt4spanIKhLm12EES2_IS3_Lm18446744073709551615EES2_IhLm18446744073709551615EES2_IhLm16EE(
    Aead&, std::span<const Byte, 12>, ByteView, ByteSpan, std::span<Byte, 16>);

void __wrap__ZN2lt6crypto4Aead5rekeyERKNS0_6SecretILm32EEE(Aead& aead, const lt::crypto::Secret<32>& key) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const Byte byte : key.reveal()) hash = (hash ^ byte) * 0x100000001b3U;
  lt::sim::keys_held()[lt::sim::context_of(aead)] = hash;
  __real__ZN2lt6crypto4Aead5rekeyERKNS0_6SecretILm32EEE(aead, key);
}

void __wrap__ZN2lt6crypto4Aead4sealESt4spanIKhLm12EES2_IS3_Lm18446744073709551615EES2_IhLm18446744073709551615EES2_IhLm16EE(
    Aead& aead, std::span<const Byte, 12> nonce, ByteView aad, ByteSpan text, std::span<Byte, 16> tag) {
  using namespace lt::sim;
  const auto held = keys_held().find(context_of(aead));
  const std::uint64_t low = lt::load_be64(nonce.data() + 4);
  if (held != keys_held().end()) {
    const auto [use, is_new] = uses().try_emplace(held->second, KeyUse{low, 0});
    if (is_new) ++seen().keys;
    // nonce = IV xor counter, and the counter begins at 0
    if ((low ^ use->second.first_nonce) != use->second.count) ++seen().repeated;
    ++use->second.count;
  }
  ++seen().records;
  __real__ZN2lt6crypto4Aead4sealESt4spanIKhLm12EES2_IS3_Lm18446744073709551615EES2_IhLm18446744073709551615EES2_IhLm16EE(
      aead, nonce, aad, text, tag);
}
}

#include "crypto/kdf.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/assert.h"
#include "base/handle.h"
#include "crypto/openssl_library.h"

namespace lt::crypto {

namespace {

constexpr std::size_t hash_bytes = 32;
constexpr std::string_view label_prefix = "lt1 ";

void hmac_into(std::span<Byte, hash_bytes> out, ByteView key,
               std::initializer_list<ByteView> parts) {
  const Handle<EVP_MAC_CTX, EVP_MAC_CTX_free> mac(EVP_MAC_CTX_new(library().hmac));
  LT_ASSERT(mac != nullptr);
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                               OSSL_PARAM_construct_end()};
  const Byte no_key = 0;  // OpenSSL takes a null key as "keep the last one"
  LT_ASSERT(EVP_MAC_init(mac.get(), key.empty() ? &no_key : key.data(), key.size(), params) == 1);
  for (const ByteView part : parts) {
    LT_ASSERT(part.empty() || EVP_MAC_update(mac.get(), part.data(), part.size()) == 1);
  }
  std::size_t written = 0;
  LT_ASSERT(EVP_MAC_final(mac.get(), out.data(), &written, out.size()) == 1);
  LT_ASSERT(written == hash_bytes);
}

}  // namespace

std::array<Byte, 32> hmac_sha256(ByteView key, std::initializer_list<ByteView> parts) {
  std::array<Byte, hash_bytes> out{};
  hmac_into(out, key, parts);
  return out;
}

Secret<32> hkdf_extract(ByteView salt, ByteView ikm) {
  Secret<hash_bytes> prk;
  hmac_into(prk.writable(), salt, {ikm});
  return prk;
}

void hkdf_expand(ByteView prk, ByteView info, ByteSpan out) {
  LT_ASSERT(out.size() <= hkdf_bytes_max);
  Secret<hash_bytes> block;
  ByteView previous;  // T(0) is empty
  for (Byte index = 1; !out.empty(); ++index) {
    hmac_into(block.writable(), prk, {previous, info, ByteView(&index, 1)});
    previous = block.reveal();
    const std::size_t count = std::min(out.size(), hash_bytes);
    std::copy_n(block.reveal().begin(), count, out.begin());
    out = out.subspan(count);
  }
}

void expand_label(ByteView secret, std::string_view label, ByteSpan out) {
  LT_ASSERT(label_prefix.size() + label.size() <= 255 && out.size() <= hkdf_bytes_max);
  Writer info;  // P-23
  info.u16(static_cast<std::uint16_t>(out.size()))
      .u8(static_cast<std::uint8_t>(label_prefix.size() + label.size()))
      .append(label_prefix)
      .append(label)
      .u8(0);
  hkdf_expand(secret, info.view(), out);
}

bool equal_constant_time(ByteView left, ByteView right) {
  return left.size() == right.size() &&
         (left.empty() || CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0);
}

}  // namespace lt::crypto

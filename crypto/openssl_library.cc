#include "crypto/openssl_library.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>

#include "base/assert.h"
#include "base/sanitizers.h"

namespace lt::crypto {

namespace {

// OpenSSL's own copies of private keys lie in locked pages that no core dump holds. Where the limit
// for locked memory is too small, OpenSSL falls back to its ordinary heap.
constexpr std::size_t secure_heap_bytes = 65536;  // security.md 10
constexpr std::size_t secure_heap_unit_bytes = 32;

constexpr bool has_secure_heap = !LT_HAS_ADDRESS_SANITIZER;

Library open_library() {
  LT_ASSERT(OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr) == 1);
  // LeakSanitizer does not look into these pages and takes what is held from there for lost.
  if (has_secure_heap) CRYPTO_secure_malloc_init(secure_heap_bytes, secure_heap_unit_bytes);
  Library opened{};
  opened.context = OSSL_LIB_CTX_new();
  LT_ASSERT(opened.context != nullptr);
  LT_ASSERT(OSSL_PROVIDER_load(opened.context, "default") != nullptr);
  opened.hmac = EVP_MAC_fetch(opened.context, "HMAC", nullptr);
  opened.aes_256_gcm = EVP_CIPHER_fetch(opened.context, "AES-256-GCM", nullptr);
  LT_ASSERT(opened.hmac != nullptr && opened.aes_256_gcm != nullptr);
  return opened;
}

}  // namespace

const Library& library() {
  static const Library opened = open_library();
  return opened;
}

}  // namespace lt::crypto

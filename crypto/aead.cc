#include "crypto/aead.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <algorithm>

#include "base/assert.h"
#include "crypto/openssl_error.h"
#include "crypto/openssl_library.h"

namespace lt::crypto {

void Aead::FreeContext::operator()(evp_cipher_ctx_st* context) const {
  EVP_CIPHER_CTX_free(context);
}

std::string_view name_of(AeadBackend backend) {
  switch (backend) {
    case AeadBackend::automatic:
      return "automatic";
    case AeadBackend::openssl:
      return "openssl";
    case AeadBackend::ipsec_mb:
      return "ipsec_mb";
  }
  return "";
}

Result<AeadBackend> resolve(AeadBackend wanted) {
  const IpsecMbSupport& support = ipsec_mb_support();
  switch (wanted) {
    case AeadBackend::automatic:
      return support.is_fast ? AeadBackend::ipsec_mb : AeadBackend::openssl;
    case AeadBackend::ipsec_mb:
      if (support.is_usable) return wanted;
      return fail(Errc::unsupported, "aead = \"ipsec_mb\" is not possible here: " +
                                         support.why_not + "; write aead = \"automatic\"");
    case AeadBackend::openssl:
      return wanted;
  }
  return wanted;
}

Result<Aead> Aead::create(const Secret<aead_key_bytes>& key, AeadBackend backend) {
  LT_TRY(const AeadBackend chosen, resolve(backend));
  if (chosen == AeadBackend::ipsec_mb) {
    Aead aead(IpsecMbKey::create());
    aead.rekey(key);
    return aead;
  }
  LT_TRY(Aead aead, create_openssl());
  aead.rekey(key);
  return aead;
}

Result<Aead> Aead::create_openssl() {
  Context sealing(EVP_CIPHER_CTX_new());
  Context opening(EVP_CIPHER_CTX_new());
  if (sealing == nullptr || opening == nullptr) {
    return fail_openssl(Errc::unsupported, "OpenSSL gives no cipher context");
  }
  // The cipher is bound here once; rekey() and the per-record calls only change key and nonce.
  EVP_CIPHER* const cipher = library().aes_256_gcm;
  if (EVP_EncryptInit_ex2(sealing.get(), cipher, nullptr, nullptr, nullptr) != 1 ||
      EVP_DecryptInit_ex2(opening.get(), cipher, nullptr, nullptr, nullptr) != 1) {
    return fail_openssl(Errc::unsupported, "OpenSSL does not start AES-256-GCM");
  }
  return Aead(std::move(sealing), std::move(opening));
}

void Aead::rekey(const Secret<aead_key_bytes>& key) {
  if (fast_ != nullptr) return fast_->rekey(key);
  const Byte* const bytes = key.reveal().data();
  LT_ASSERT(EVP_EncryptInit_ex2(sealing_.get(), nullptr, bytes, nullptr, nullptr) == 1);
  LT_ASSERT(EVP_DecryptInit_ex2(opening_.get(), nullptr, bytes, nullptr, nullptr) == 1);
}

void Aead::seal(std::span<const Byte, aead_nonce_bytes> nonce, ByteView aad, ByteSpan text,
                std::span<Byte, aead_tag_bytes> tag) {
  LT_ASSERT(text.size() <= aead_text_bytes_max && aad.size() <= aead_text_bytes_max);
  if (fast_ != nullptr) return fast_->seal(nonce, aad, text, tag);
  EVP_CIPHER_CTX* const context = sealing_.get();
  int written = 0;
  LT_ASSERT(EVP_EncryptInit_ex2(context, nullptr, nullptr, nonce.data(), nullptr) == 1);
  LT_ASSERT(aad.empty() || EVP_EncryptUpdate(context, nullptr, &written, aad.data(),
                                             static_cast<int>(aad.size())) == 1);
  LT_ASSERT(text.empty() || EVP_EncryptUpdate(context, text.data(), &written, text.data(),
                                              static_cast<int>(text.size())) == 1);
  Byte nothing_left[aead_tag_bytes];  // GCM is a stream: the end writes no bytes
  LT_ASSERT(EVP_EncryptFinal_ex(context, nothing_left, &written) == 1 && written == 0);
  LT_ASSERT(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, static_cast<int>(tag.size()),
                                tag.data()) == 1);
}

bool Aead::open(std::span<const Byte, aead_nonce_bytes> nonce, ByteView aad, ByteSpan text,
                std::span<const Byte, aead_tag_bytes> tag) {
  LT_ASSERT(text.size() <= aead_text_bytes_max && aad.size() <= aead_text_bytes_max);
  if (fast_ != nullptr) return fast_->open(nonce, aad, text, tag);
  EVP_CIPHER_CTX* const context = opening_.get();
  int written = 0;
  LT_ASSERT(EVP_DecryptInit_ex2(context, nullptr, nullptr, nonce.data(), nullptr) == 1);
  LT_ASSERT(aad.empty() || EVP_DecryptUpdate(context, nullptr, &written, aad.data(),
                                             static_cast<int>(aad.size())) == 1);
  LT_ASSERT(text.empty() || EVP_DecryptUpdate(context, text.data(), &written, text.data(),
                                              static_cast<int>(text.size())) == 1);
  std::array<Byte, aead_tag_bytes> expected;  // OpenSSL asks for a pointer it could write to
  std::copy(tag.begin(), tag.end(), expected.begin());
  LT_ASSERT(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, static_cast<int>(expected.size()),
                                expected.data()) == 1);
  Byte nothing_left[aead_tag_bytes];
  if (EVP_DecryptFinal_ex(context, nothing_left, &written) == 1) return true;
  ERR_clear_error();
  wipe(text);
  return false;
}

}  // namespace lt::crypto

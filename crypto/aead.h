// Aead: AES-256-GCM in place, with a 96-bit nonce and a 128-bit tag.
//
// It knows no records and no counters: which nonce, how many blocks under one key and when to
// ratchet is the record layer's part. Nothing here is negotiable and no other length exists.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/secret.h"

struct evp_cipher_ctx_st;

namespace lt::crypto {

inline constexpr std::size_t aead_key_bytes = 32;
inline constexpr std::size_t aead_nonce_bytes = 12;  // NIST SP 800-38D 8.2.1
inline constexpr std::size_t aead_tag_bytes = 16;
inline constexpr std::size_t aead_text_bytes_max = std::size_t{1} << 30;  // fits OpenSSL's int

class Aead {
 public:
  /// @error unsupported  OpenSSL gives no cipher context (out of memory)
  [[nodiscard]] static Result<Aead> create(const Secret<aead_key_bytes>& key);

  /// Replaces the key; the old key's schedule is overwritten. Allocates nothing.
  void rekey(const Secret<aead_key_bytes>& key);

  /// Encrypts `text` in place and authenticates it together with `aad`.
  ///
  /// @param nonce  never twice under one key: the caller's counter sees to it
  /// @pre          text.size() <= aead_text_bytes_max
  /// @thread       one at a time; allocates nothing
  /// @source       NIST SP 800-38D 7.1
  void seal(std::span<const Byte, aead_nonce_bytes> nonce, ByteView aad, ByteSpan text,
            std::span<Byte, aead_tag_bytes> tag);

  /// Decrypts `text` in place.
  ///
  /// @return       false when text, aad, nonce, tag or key are not those of one seal(); `text` is
  /// then
  ///               all zeros, so that nobody takes it for what the peer sent
  /// @pre          text.size() <= aead_text_bytes_max
  /// @thread       one at a time; allocates nothing but OpenSSL's error queue, at a thread's first
  /// false
  /// @source       NIST SP 800-38D 7.2
  [[nodiscard]] bool open(std::span<const Byte, aead_nonce_bytes> nonce, ByteView aad,
                          ByteSpan text, std::span<const Byte, aead_tag_bytes> tag);

 private:
  struct FreeContext {
    void operator()(evp_cipher_ctx_st* context) const;  // wipes the key schedule
  };
  using Context = std::unique_ptr<evp_cipher_ctx_st, FreeContext>;

  Aead(Context sealing, Context opening)
      : sealing_(std::move(sealing)), opening_(std::move(opening)) {}

  Context sealing_;
  Context opening_;
};

}  // namespace lt::crypto

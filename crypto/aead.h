// Aead: AES-256-GCM in place, with a 96-bit nonce and a 128-bit tag.
//
// Two backends, chosen when it is made: OpenSSL, everywhere, and intel-ipsec-mb, where the
// processor has what makes it fast (ipsec_mb.h). They make the same bytes; the peer's does not
// matter.
//
// It knows no records and no counters: which nonce, how many blocks under one key and when to
// ratchet is the record layer's part. Nothing here is negotiable and no other length exists.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/ipsec_mb.h"
#include "crypto/secret.h"

struct evp_cipher_ctx_st;

namespace lt::crypto {

inline constexpr std::size_t aead_key_bytes = 32;
inline constexpr std::size_t aead_nonce_bytes = 12;  // NIST SP 800-38D 8.2.1
inline constexpr std::size_t aead_tag_bytes = 16;
inline constexpr std::size_t aead_text_bytes_max = std::size_t{1} << 30;  // fits OpenSSL's int

/// `automatic`: ipsec_mb where it is faster than OpenSSL, else openssl.
enum class AeadBackend : std::uint8_t { automatic, openssl, ipsec_mb };

/// The name of `backend`, as in the knob `native.aead`.
[[nodiscard]] std::string_view name_of(AeadBackend backend);

/// What `wanted` means on this machine: openssl or ipsec_mb.
/// @error unsupported  ipsec_mb is wanted and does not work here; the sentence says why
[[nodiscard]] Result<AeadBackend> resolve(AeadBackend wanted);

class Aead {
 public:
  /// @error unsupported  as resolve(); or OpenSSL gives no cipher context (out of memory)
  [[nodiscard]] static Result<Aead> create(const Secret<aead_key_bytes>& key,
                                           AeadBackend backend = AeadBackend::automatic);

  /// openssl or ipsec_mb.
  [[nodiscard]] AeadBackend backend() const {
    return fast_ != nullptr ? AeadBackend::ipsec_mb : AeadBackend::openssl;
  }

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
  explicit Aead(std::unique_ptr<IpsecMbKey> fast) : fast_(std::move(fast)) {}
  static Result<Aead> create_openssl();

  // Either this or the other two.
  std::unique_ptr<IpsecMbKey> fast_;
  Context sealing_;
  Context opening_;
};

}  // namespace lt::crypto

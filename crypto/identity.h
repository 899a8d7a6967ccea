// A site's long-term key: Ed25519. Made, loaded and saved here; the other site knows its public
// half.
//
// Private key file, mode 0600:        Public key, as text for configs and people:
//     linktune-private-key-1              ltpub-<32 bytes in base64>
//     <32-byte seed in base64>
//
// Pre-shared key file, mode 0600: the line linktune-pre-shared-key-1, then 32 bytes in base64. The
// first line may be left out, so that the output of `openssl rand -base64 32` is one too.
// @source RFC 8032 5.1 (the seed), RFC 4648 4 (base64 with padding)
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/result.h"
#include "crypto/secret.h"

namespace lt::crypto {

/// A raw Ed25519 public key.
using PublicKey = std::array<Byte, 32>;
using Signature = std::array<Byte, 64>;

inline constexpr std::string_view public_key_prefix = "ltpub-";

class Identity {
 public:
  [[nodiscard]] static Result<Identity> generate();

  /// @error  as load_secret_file() in key_file.h: each sentence names the cure
  [[nodiscard]] static Result<Identity> load(const std::string& path);

  /// Writes a new file of mode 0600.  @error exists: never overwrites, see save_secret_file()
  [[nodiscard]] Status save(const std::string& path) const;

  [[nodiscard]] const PublicKey& public_key() const { return public_key_; }

  /// Signs `message`, which begins with what it is for: a signature given for one purpose is then
  /// none for another. (TLS 1.3 signs 64 spaces first.)  @source RFC 8032 5.1.6, RFC 8446 4.4.3
  [[nodiscard]] Result<Signature> sign(ByteView message) const;

 private:
  friend class TlsContext;  // the only reader of the seed
  [[nodiscard]] static Result<Identity> from_seed(Secret<32> seed);
  Identity(Secret<32> seed, const PublicKey& public_key)
      : seed_(std::move(seed)), public_key_(public_key) {}

  Secret<32> seed_;
  PublicKey public_key_;
};

/// Whether the owner of `key` has signed `message`.  @source RFC 8032 5.1.7
[[nodiscard]] bool is_signed(ByteView message, const Signature& signature, const PublicKey& key);

/// "ltpub-..." as people and configs write it.
[[nodiscard]] std::string public_key_text(const PublicKey& key);

/// Reads what public_key_text() wrote; white space around it does not matter.
/// @error invalid  anything else; a private key is recognised and never repeated in the sentence
[[nodiscard]] Result<PublicKey> parse_public_key(std::string_view text);

/// Whether anybody at all could sign for `key`: the eight points of small order, among them the
/// all-zero key of a config that was never filled in.
/// @source RFC 8032 5.1.7 leaves the check to the user; the list is that of small-order points of
///         edwards25519 with their non-canonical spellings (Chalkias et al., "Taming the many
///         EdDSAs", 2020)
[[nodiscard]] bool is_weak_public_key(const PublicKey& key);

/// @error  as load_secret_file()
[[nodiscard]] Result<Secret<32>> load_psk(const std::string& path);

/// @error  as save_secret_file()
[[nodiscard]] Status save_psk(const std::string& path, const Secret<32>& psk);

}  // namespace lt::crypto

#include "crypto/identity.h"

#include <openssl/evp.h>

#include "base/assert.h"
#include "base/handle.h"
#include "base/text.h"
#include "crypto/key_file.h"
#include "crypto/openssl_error.h"
#include "crypto/openssl_library.h"

namespace lt::crypto {

namespace {

constexpr SecretFileKind private_key_file{
    .name = "private key", .header = "linktune-private-key-1", .make_one = "linktune keygen"};
constexpr SecretFileKind psk_file{.name = "pre-shared key",
                                  .header = "linktune-pre-shared-key-1",
                                  .make_one = "openssl rand -base64 32",
                                  .header_optional = true};

}  // namespace

Result<Identity> Identity::from_seed(Secret<32> seed) {
  const Handle<EVP_PKEY, EVP_PKEY_free> key(EVP_PKEY_new_raw_private_key_ex(
      library().context, "ED25519", nullptr, seed.reveal().data(), seed.reveal().size()));
  if (key == nullptr) return fail_openssl(Errc::unsupported, "OpenSSL makes no Ed25519 key");
  PublicKey public_key{};
  std::size_t size = public_key.size();
  LT_ASSERT(EVP_PKEY_get_raw_public_key(key.get(), public_key.data(), &size) == 1);
  LT_ASSERT(size == public_key.size());
  return Identity(std::move(seed), public_key);
}

Result<Identity> Identity::generate() {
  return from_seed(Secret<32>::random());
}

Result<Identity> Identity::load(const std::string& path) {
  LT_TRY(auto seed, load_secret_file(path, private_key_file));
  return from_seed(std::move(seed));
}

Status Identity::save(const std::string& path) const {
  return save_secret_file(path, private_key_file, seed_);
}

Result<Signature> Identity::sign(ByteView message) const {
  const Handle<EVP_PKEY, EVP_PKEY_free> key(EVP_PKEY_new_raw_private_key_ex(
      library().context, "ED25519", nullptr, seed_.reveal().data(), seed_.reveal().size()));
  const Handle<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
  Signature signature{};
  std::size_t size = signature.size();
  if (key == nullptr || context == nullptr ||
      EVP_DigestSignInit_ex(context.get(), nullptr, nullptr, library().context, nullptr, key.get(), nullptr) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) != 1) {
    return fail_openssl(Errc::io, "OpenSSL does not sign");
  }
  LT_ASSERT(size == signature.size());
  return signature;
}

bool is_signed(ByteView message, const Signature& signature, const PublicKey& key) {
  const Handle<EVP_PKEY, EVP_PKEY_free> owner(
      EVP_PKEY_new_raw_public_key_ex(library().context, "ED25519", nullptr, key.data(), key.size()));
  const Handle<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
  return owner != nullptr && context != nullptr &&
         EVP_DigestVerifyInit_ex(context.get(), nullptr, nullptr, library().context, nullptr, owner.get(), nullptr) ==
             1 &&
         EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(), message.size()) == 1;
}

std::string public_key_text(const PublicKey& key) {
  return std::string(public_key_prefix) + to_base64(key);
}

Result<PublicKey> parse_public_key(std::string_view text) {
  constexpr std::size_t shown_chars_max = 60;
  const std::string_view word = trim(text);
  if (word.find("linktune-private-key") != std::string_view::npos) {
    return fail(Errc::invalid,
                "this is a private key, which must never leave its machine; the public key is "
                "wanted here (linktune pubkey prints it)");
  }
  if (!word.starts_with(public_key_prefix)) {
    // Not repeated: what has no prefix may be the base64 line of a private key.
    return fail(Errc::invalid, "a public key begins with " + std::string(public_key_prefix) +
                                   " (linktune pubkey prints it)");
  }
  const auto bytes = from_base64(word.substr(public_key_prefix.size()));
  PublicKey key{};
  if (!bytes || bytes->size() != key.size()) {
    return fail(Errc::invalid,
                "\"" + printable(word, shown_chars_max) +
                    "\" is not a whole public key: " + std::string(public_key_prefix) + " and " +
                    std::to_string(key_text_chars) + " base64 characters");
  }
  std::copy(bytes->begin(), bytes->end(), key.begin());
  if (is_weak_public_key(key)) {
    return fail(Errc::invalid, "\"" + printable(word, shown_chars_max) +
                                   "\" is a key for which anybody can sign; no site has made it");
  }
  return key;
}

bool is_weak_public_key(const PublicKey& key) {
  // y of each small-order point, little-endian, without the sign bit: 0, 1, the two of order 8,
  // then p-1 and the second spellings p and p+1 with p = 2^255 - 19.
  static constexpr std::string_view order_8_first =
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
  static constexpr std::string_view order_8_second =
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";
  PublicKey y = key;
  y.back() &= 0x7f;
  const std::string hex = to_hex(y);
  if (hex == order_8_first || hex == order_8_second) return true;
  const Byte low = y.front();
  const bool middle_zero = hex.find_first_not_of('0', 2) == std::string::npos;
  if (middle_zero && low <= 1) return true;
  const bool middle_ones = hex.substr(2, 60) == std::string(60, 'f') && y.back() == 0x7f;
  return middle_ones && low >= 0xec && low <= 0xee;
}

Result<Secret<32>> load_psk(const std::string& path) {
  return load_secret_file(path, psk_file);
}

Status save_psk(const std::string& path, const Secret<32>& psk) {
  return save_secret_file(path, psk_file, psk);
}

}  // namespace lt::crypto

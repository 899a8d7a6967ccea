// OpenSSL used directly, for what crypto/ must be held against: a second opinion on hashes and
// certificates, and TLS peers that do what ours never would.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "crypto/identity.h"
#include "crypto/tls_channel.h"

namespace lt::test {

[[nodiscard]] std::string sha256_hex(ByteView bytes);

/// The last byte of OpenSSL's own HKDF-Expand of `size` bytes with empty info.
[[nodiscard]] Byte hkdf_last_byte(ByteView prk, std::size_t size);

/// What OpenSSL reads out of a certificate in PEM, and of the private key beside it.
struct CertificateFacts {
  std::string subject;
  std::string issuer;
  std::string curve;
  std::string serial_hex;
  std::string sha256_hex;
  bool is_signed_by_itself{false};
  bool is_authority{true};
  bool key_matches{false};
  bool is_good_now{false};
  bool is_good_for_server_and_client{false};
  int days{0};
};
[[nodiscard]] std::optional<CertificateFacts> read_certificate(const std::string& certificate_pem,
                                                               const std::string& key_pem);

/// Takes away the check that `context` makes of a peer's certificate during the handshake.
void trust_everybody_during_handshake(const crypto::TlsContext& context);

/// Whether a context made with OpenSSL's defaults allows kernel TLS: it obeys OPENSSL_CONF.
[[nodiscard]] bool default_context_allows_kernel_tls();

/// An Ed25519 seed and its public key, for strangers. The same for the same `first`.
struct StrangerKey {
  std::array<Byte, 32> seed{};
  crypto::PublicKey key{};
};
[[nodiscard]] StrangerKey make_stranger_key(Byte first);

/// A TLS end as others would build it. It trusts everybody.
class PlainTls {
 public:
  enum class Shows : std::uint8_t {
    ed25519,       // a sound certificate of `seed`
    nothing,       // no certificate
    p256,          // another algorithm
    expired,       // as ed25519, but good only for a day in 2001
    wrong_signer,  // names `claimed_key`, signs with `seed`
  };
  struct Options {
    crypto::Role role{crypto::Role::client};
    Shows shows{Shows::ed25519};
    std::array<Byte, 32> seed{};
    crypto::PublicKey claimed_key{};
    bool is_tls_1_2{false};
    std::vector<std::string> protocols{"linktune/1"};  // empty: no ALPN at all
    std::size_t tickets{0};
    std::size_t certificate_padding_bytes{0};
  };
  explicit PlainTls(const Options& options);
  ~PlainTls();

  void feed(ByteView bytes);
  [[nodiscard]] std::vector<Byte> take_output();
  /// @return true once complete
  bool handshake();
  /// OpenSSL's words for the last failure; empty when there was none.
  [[nodiscard]] const std::string& failure() const { return failure_; }
  void write(ByteView text);
  /// Up to `count` bytes.
  [[nodiscard]] std::vector<Byte> read(std::size_t count);
  /// Sends a KeyUpdate that asks the other end for one too.
  void update_keys();
  void close();
  [[nodiscard]] std::vector<Byte> export_keying(std::string_view label, ByteView context,
                                                std::size_t size);

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::string failure_;
};

}  // namespace lt::test

// What tls_context.cc and tls_channel.cc share; nobody else includes it.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "crypto/tls_channel.h"

struct bio_st;
struct ssl_ctx_st;
struct ssl_st;
struct x509_st;

namespace lt::crypto {

struct FreeSslContext {
  void operator()(ssl_ctx_st* context) const;
};
struct FreeSsl {
  void operator()(ssl_st* ssl) const;  // never SSL_shutdown: it would write into the raw stream
};

struct TlsContext::State {
  std::unique_ptr<ssl_ctx_st, FreeSslContext> ssl_context;
  PublicKey own_key{};
  bool has_post_quantum_group{false};
};

/// What OpenSSL's callbacks know of a channel and leave behind. Its address is in the SSL object.
struct PeerCheck {
  Role role{Role::client};
  PublicKey own_key{};
  PublicKey peer_key{};
  std::optional<Error> refusal;  // why a callback said no
};

struct TlsChannel::State {
  PeerCheck check;
  bool requires_post_quantum{false};
  std::unique_ptr<ssl_st, FreeSsl> ssl;  // gone after leave()
  bio_st* from_wire{nullptr};            // owned by ssl
  bio_st* to_wire{nullptr};              // owned by ssl
  bool is_complete{false};
  std::size_t handed_to_tls{0};
  std::vector<Byte> waiting;     // fed, not yet handed to TLS
  std::vector<Byte> text;        // decrypted, not yet asked for in full
  std::vector<Byte> output;      // for the wire, taken out of ssl
  std::optional<Error> failure;  // the first one; every later call repeats it
};

/// How a raw Ed25519 key in a certificate compares with what we expect.
enum class PeerVerdict : std::uint8_t { pinned, own, other, no_ed25519 };

/// @param shown  [out] the key in the certificate, when it is an Ed25519 key
[[nodiscard]] PeerVerdict judge_peer(x509_st* certificate, const PeerCheck& check,
                                     PublicKey& shown);

/// The refusal for a verdict other than pinned.
[[nodiscard]] Error refusal_of(PeerVerdict verdict, const PublicKey& shown);

[[nodiscard]] Error not_tls_1_3();
[[nodiscard]] Error wrong_application_protocol();

/// Makes a sentence of OpenSSL's error queue after a failed TLS call, and empties the queue.
[[nodiscard]] Error tls_failure(const PeerCheck& check);

}  // namespace lt::crypto

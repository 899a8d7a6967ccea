// TlsChannel: one TLS 1.3 handshake without I/O, and the way out of TLS again.
//
// Bytes from the wire go in by feed(), bytes for the wire come out by take_output(); no socket,
// clock or thread is in here. The life of a channel:
//
//     create -> handshake() until true -> write() / read_exactly() -> export_keying() -> leave()
//
// Both ends show self-signed Ed25519 certificates made in memory; a peer is the one raw public key
// that the config names. Chains, names and dates of certificates mean nothing here (security.md
// D1, 5.2).
//
// Invariants
//   - A session is handed out only after the peer's key was compared twice, in the callback and
//   again
//     after the handshake (security.md 3).
//   - A TLS 1.3 client is done before its server has looked at it. A handshake() that returned true
//   says
//     nothing about what the peer thinks of us: only bytes from read_exactly() do (D3).
//   - TLS takes in at most bytes_before_authentication_max until the peer is known, and
//   tls_bytes_max in
//     all. Whatever lies behind what the peer sent through TLS comes out of leave(), byte for byte.
//   - After leave() nothing of TLS is ever written: no close_notify, no ticket.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/identity.h"

namespace lt::crypto {

/// The application protocol both ends must name.  @source security.md 5.2
inline constexpr std::string_view tls_application_protocol = "linktune/1";

/// What an unknown peer may make us read.  (unit: B)  @source security.md 5.2: about 600 are
/// needed, about 1,900 with a post-quantum group
inline constexpr std::size_t bytes_before_authentication_max = 4096;
/// What a peer may send through TLS in all.  (unit: B)  @source security.md A-12, with room for
/// HELLO
inline constexpr std::size_t tls_bytes_max = 16384;
/// What one read_exactly() or write() may carry.  (unit: B)
inline constexpr std::size_t tls_text_bytes_max = 4096;
/// What may wait in a channel for leave().  (unit: B)
inline constexpr std::size_t raw_bytes_waiting_max = std::size_t{4} << 20;

/// What is really set, read back from OpenSSL: for `doctor`, and for tests.
struct TlsSettings {
  bool is_tls_1_3_only{false};
  bool allows_kernel_tls{false};
  bool reads_ahead{false};
  bool caches_sessions{false};
  std::size_t tickets{0};
  bool has_post_quantum_group{false};

  friend bool operator==(const TlsSettings&, const TlsSettings&) = default;
};

/// Keys, certificate and settings of this site for all its handshakes. Built once per start, before
/// a sandbox closes: it makes OpenSSL load all it will ever need.
/// @thread any, once made
class TlsContext {
 public:
  /// @error unsupported  this OpenSSL refuses a setting we cannot do without; the sentence names it
  [[nodiscard]] static Result<TlsContext> create(const Identity& identity);

  TlsContext(TlsContext&&) noexcept;
  TlsContext& operator=(TlsContext&&) noexcept;
  ~TlsContext();

  [[nodiscard]] TlsSettings settings() const;

 private:
  friend class TlsChannel;
  friend struct TlsContextProbe;  // tests/crypto: takes one check of the pin away to see the other
                                  // hold
  struct State;
  explicit TlsContext(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

enum class Role : std::uint8_t { client, server };

/// @thread one at a time; channels of one TlsContext are independent and may outlive it
class TlsChannel {
 public:
  struct Options {
    Role role{Role::client};
    PublicKey peer_key{};               // the only peer there is
    bool requires_post_quantum{false};  // refuse a group without ML-KEM
  };

  /// @error invalid      peer_key is our own, or one for which anybody could sign
  /// @error unsupported  requires_post_quantum, and this OpenSSL is older than 3.5
  [[nodiscard]] static Result<TlsChannel> create(const TlsContext& context, const Options& options);

  TlsChannel(TlsChannel&&) noexcept;
  TlsChannel& operator=(TlsChannel&&) noexcept;
  ~TlsChannel();

  /// Takes bytes as they came from the wire, in any portions. Nothing is judged yet.
  /// @error limit   more than an unknown peer may send, or raw_bytes_waiting_max
  /// @error closed  after leave(): the stream is the caller's now
  [[nodiscard]] Status feed(ByteView from_wire);

  /// What is to be sent next, in order; empty when there is nothing. Call it after each step, also
  /// after one that failed: the alert that tells the peer why is in here.
  [[nodiscard]] std::vector<Byte> take_output();

  /// Goes on with the handshake as far as the bytes fed so far allow.
  ///
  /// @return         true once the peer is authenticated; false while more bytes are needed
  /// @error protocol the peer's key is not the pinned one or is our own; it shows no certificate,
  /// speaks no
  ///                 TLS 1.3 or no linktune/1; bytes were changed on the way: the sentence says
  ///                 which
  /// @error rejected the peer refused us, mostly since it does not know our key
  /// @error limit    bytes_before_authentication_max
  /// @error unsupported  no post-quantum group was agreed on, and one is required
  [[nodiscard]] Result<bool> handshake();

  /// Encrypts `text`; take_output() has it then.
  /// @error  invalid before handshake() is through; closed after leave(); and whatever failed
  /// before
  /// @pre    text.size() <= tls_text_bytes_max
  [[nodiscard]] Status write(ByteView text);

  /// The next `count` bytes from the peer, once all of them are there. It never reads beyond them.
  ///
  /// @return          nothing while bytes are missing
  /// @error rejected  the peer refused us after all: a client learns so only here
  /// @error closed    the peer ended TLS in good order; or after leave()
  /// @error protocol  what came is no TLS, or was changed on the way
  /// @error limit     tls_bytes_max
  /// @error invalid   before handshake() is through
  /// @pre             0 < count <= tls_text_bytes_max
  [[nodiscard]] Result<std::optional<std::vector<Byte>>> read_exactly(std::size_t count);

  /// Key material that both ends share and nobody else has; `context` is always used, even when
  /// empty.
  /// @error   invalid before handshake() is through; closed after leave()
  /// @source  RFC 8446 7.5. It does not cover the client's certificate: put both public keys into
  /// `context`
  [[nodiscard]] Status export_keying(std::string_view label, ByteView context, ByteSpan out) const;

  /// Ends TLS without a byte to the peer and wipes its keys. What take_output() still holds must go
  /// out before the caller's own bytes.
  ///
  /// @return          what was fed but was not for TLS: the beginning of the peer's raw stream
  /// @error protocol  bytes that the peer sent through TLS were not read: the two ends disagree on
  /// where
  ///                  TLS ends
  /// @error invalid   before handshake() is through; closed when called twice
  [[nodiscard]] Result<std::vector<Byte>> leave();

  /// The key agreement's group, as OpenSSL calls it ("X25519"); empty before handshake() is
  /// through.
  [[nodiscard]] std::string group_name() const;

 private:
  struct State;
  friend struct TlsSteps;
  explicit TlsChannel(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace lt::crypto

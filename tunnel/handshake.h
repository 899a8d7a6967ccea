// The LT1 handshake as a pure machine: bytes in, bytes out, no socket, no clock, no thread.
//
//   client                                   server
//   knock, ClientHello          ->           awaiting_knock: silence unless the knock is right
//                               <-           TLS 1.3, both certificates, both keys pinned
//   HELLO (MAC)                 ->           checked; REJECT with a reason, or
//                               <-           ACCEPT (MAC)
//   GO                          ->           both leave TLS: from here on records, on the same socket
//
// A TLS 1.3 client "succeeds" before the server has checked its certificate: only ACCEPT says that it is in.
// Source: security decisions D1, D3, D5, D8; docs/PROTOCOL.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "crypto/identity.h"
#include "crypto/tls_channel.h"
#include "tunnel/hello.h"
#include "tunnel/key_schedule.h"
#include "tunnel/knock.h"
#include "tunnel/session_book.h"

namespace lt::tunnel {

/// What a finished handshake leaves behind: all that a lane needs.
struct Established {
  crypto::Secret<32> outbound;  // x_0 of the records that this end sends
  crypto::Secret<32> inbound;
  std::uint32_t record_limit{0};  // agreed (unit: B of plaintext)
  std::uint32_t tun_mtu{0};       // agreed (unit: B)
  SessionId session_id{};
  BootId peer_boot_id{};              // the server's view of the client; zero at the client
  bool is_join{false};                // a further lane of a session that exists
  std::uint8_t lane_index{0};
  TakeOver take_over{TakeOver::no};
  SessionTerms terms;                 // of the session; its secret is set for a new one only
  std::vector<Byte> early_records;    // bytes of the record stream that came with the last of the handshake
};

/// The client's wish to bring a further lane into a session. The secret outlives the handshake.
struct JoinRequest {
  SessionId session_id{};
  const SessionTerms* terms{nullptr};
  std::uint8_t lane_index{0};
  TakeOver take_over{TakeOver::no};
};

struct HandshakeOptions {
  crypto::Role role{crypto::Role::client};
  const crypto::TlsContext* tls{nullptr};  // outlives the handshake
  crypto::PublicKey own_key{};
  crypto::PublicKey peer_key{};
  ByteView psk;  // empty, or 32 bytes that outlive the handshake
  Offer offer;
  std::optional<JoinRequest> join;        // at the client; none: a new session
  const SessionBook* sessions{nullptr};   // at the server, outlives the handshake; none: no session can be joined
};

class Handshake {
 public:
  static Result<Handshake> create(const HandshakeOptions& options);

  /// Takes what came from the wire.
  /// @error protocol, rejected, limit, closed: the connection ends, for the reason in the sentence, and for good.
  ///        What take_output() still holds (a REJECT, an alert) may be sent first; it is empty for strangers
  [[nodiscard]] Status on_bytes(ByteView bytes);

  /// What must be sent now; empty when nothing.
  [[nodiscard]] std::vector<Byte> take_output();

  /// The most bytes that may be read from the wire now: a stranger gets 4 KiB in all. (unit: B)
  [[nodiscard]] std::size_t bytes_wanted_max() const;

  /// Whether a client has proved that it knows this server: from here on the longer deadline holds.
  [[nodiscard]] bool has_knocked() const { return state_ != State::awaiting_knock; }
  [[nodiscard]] bool is_established() const { return established_.has_value(); }
  /// Why the peer refused, when it did so in a REJECT. @thread the owner's
  [[nodiscard]] std::optional<RejectCode> rejected() const { return rejected_; }
  /// @pre is_established()
  [[nodiscard]] Established take_established();

 private:
  enum class State { awaiting_knock, tls, awaiting_hello, awaiting_reply, awaiting_go, done };

  Handshake(const HandshakeOptions& options, crypto::TlsChannel channel);

  Status knock_in(ByteView bytes);
  Status advance();
  Status enter_greeting();
  Status send_hello();
  Status take_hello(ByteView bytes);
  Status take_reply(ByteView bytes);
  Status refuse(RejectCode code, std::string text);
  [[nodiscard]] std::optional<Reject> judge_join(const Hello& hello);
  Status establish();
  [[nodiscard]] bool is_client() const { return options_.role == crypto::Role::client; }
  [[nodiscard]] Mac join_mac_of(const SessionTerms& terms, const Hello& hello) const;
  [[nodiscard]] Mac mac_of(const crypto::Secret<32>& key, ByteView first, ByteView second = {}) const;
  Status take(ByteView bytes);

  HandshakeOptions options_;
  crypto::TlsChannel channel_;
  KnockKey knock_key_;
  State state_;
  bool has_failed_{false};  // an error is final: no later byte mends it
  std::vector<Byte> knock_;  // the first 40 bytes, as they arrive
  std::array<Byte, knock_random_bytes> knock_random_{};
  std::vector<Byte> output_;
  std::size_t bytes_seen_{0};
  std::vector<Byte> reply_head_;  // ACCEPT or REJECT as far as it is here
  std::optional<HandshakeSecrets> secrets_;
  crypto::Secret<binding_bytes> binding_;
  std::array<Byte, hello_bytes> hello_{};
  Hello peer_hello_;  // the server's view of the client
  Accept accepted_;
  std::optional<RejectCode> rejected_;
  std::optional<Established> established_;
};

}  // namespace lt::tunnel

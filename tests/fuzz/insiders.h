// Ends that have a site's key and every secret of the handshake, and say inside TLS what the fuzzer wants.
#pragma once

#include "crypto/kdf.h"
#include "tests/fuzz/sites.h"

namespace lt::fuzz {

/// What both insiders have: a TLS channel, and the secrets that follow from it.
class Insider {
 public:
  Insider(crypto::Role role, ByteView psk)
      : psk_(psk), channel_(*crypto::TlsChannel::create(
                       role == crypto::Role::client ? office().tls : offsite().tls,
                       {.role = role, .peer_key = role == crypto::Role::client ? offsite().key() : office().key()})) {}

  [[nodiscard]] crypto::TlsChannel& channel() { return channel_; }
  [[nodiscard]] const tunnel::HandshakeSecrets& secrets() const { return secrets_; }

  /// Says `text` inside TLS. @return what the other end thinks of it
  Status say(tunnel::Handshake& other, ByteView text) {
    LT_CHECK(channel_.write(text));
    return other.on_bytes(channel_.take_output());
  }

  [[nodiscard]] tunnel::Mac mac_of(const crypto::Secret<32>& key, ByteView first, ByteView second = {}) const {
    return crypto::hmac_sha256(key.reveal(), {first, second, ByteView(binding_)});
  }

  /// Both ends have come to the end of TLS's own handshake.
  void derive(ByteView knock) {
    std::array<Byte, tunnel::knock_random_bytes> random{};
    std::copy_n(knock.begin() + 8, random.size(), random.begin());
    const auto context = tunnel::KeyContext{.client = office().key(), .server = offsite().key(), .knock_random = random}.bytes();
    std::array<Byte, tunnel::exporter_bytes> exported{};
    expect(channel_.export_keying(tunnel::exporter_label, context, exported).has_value(), "TLS gives key material");
    expect(channel_.export_keying(tunnel::binding_label, context, binding_).has_value(), "TLS gives key material");
    secrets_ = tunnel::derive_secrets(exported, psk_);
  }

 private:
  ByteView psk_;
  crypto::TlsChannel channel_;
  std::array<Byte, tunnel::binding_bytes> binding_{};
  tunnel::HandshakeSecrets secrets_;
};

/// Shakes hands with an honest server up to the place where HELLO is due.
inline void come_to_hello(Insider& client, tunnel::Handshake& server, ByteView psk) {
  const auto knock = tunnel::KnockKey(offsite().key(), psk).make();
  expect(server.on_bytes(knock).has_value(), "a right knock is taken");
  bool is_complete = false;
  for (int turn = 0; turn < 8; ++turn) {
    const auto done = client.channel().handshake();
    expect(done.has_value(), "TLS agrees");
    is_complete = *done;
    expect(server.on_bytes(client.channel().take_output()).has_value(), "the server takes honest TLS");
    const auto answer = server.take_output();
    if (answer.empty() && is_complete) break;
    expect(client.channel().feed(answer).has_value(), "TLS takes bytes");
  }
  expect(is_complete, "TLS comes to its end");
  client.derive(knock);
}

/// Shakes hands with an honest client up to the place where ACCEPT is due. @return the client's HELLO
inline std::vector<Byte> come_to_accept(Insider& server, tunnel::Handshake& client) {
  const std::vector<Byte> first = client.take_output();
  expect(first.size() > tunnel::knock_bytes, "a client begins with its knock and TLS");
  expect(server.channel().feed(ByteView(first).subspan(tunnel::knock_bytes)).has_value(), "TLS takes bytes");
  for (int turn = 0; turn < 8; ++turn) {
    const auto done = server.channel().handshake();
    expect(done.has_value(), "TLS agrees");
    if (*done) break;
    expect(client.on_bytes(server.channel().take_output()).has_value(), "the client takes honest TLS");
    expect(server.channel().feed(client.take_output()).has_value(), "TLS takes bytes");
  }
  const auto hello = server.channel().read_exactly(tunnel::hello_bytes);
  expect(hello && *hello, "a client says HELLO");
  server.derive(ByteView(first).first(tunnel::knock_bytes));
  return **hello;
}

}  // namespace lt::fuzz

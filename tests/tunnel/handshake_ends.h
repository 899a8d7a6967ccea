// Two sites that shake hands in memory, and ends that know the keys and do not keep to the
// protocol.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <random>

#include "crypto/kdf.h"
#include "tunnel/handshake.h"
#include "tunnel/limits.h"

namespace lt::tunnel::testing {

struct Site {
  crypto::Identity identity;
  crypto::TlsContext tls;

  [[nodiscard]] const crypto::PublicKey& key() const { return identity.public_key(); }
};

inline Site make_site() {
  auto identity = crypto::Identity::generate();
  REQUIRE(identity);
  auto tls = crypto::TlsContext::create(*identity);
  REQUIRE(tls);
  return {std::move(*identity), std::move(*tls)};
}

/// Made once, since they are never changed. The office connects, the other listens.
inline const Site& office() {
  static const Site site = make_site();
  return site;
}
inline const Site& offsite() {
  static const Site site = make_site();
  return site;
}
inline const Site& third() {
  static const Site site = make_site();
  return site;
}

inline constexpr std::array<Byte, 32> psk_one{1, 2, 3};
inline constexpr std::array<Byte, 32> psk_two{1, 2, 4};

inline Offer an_offer(Byte boot = 1) {
  Offer offer;
  offer.boot_id.fill(boot);
  offer.record_limit = 256 * 1024;
  offer.tun_mtu = 1500;
  offer.prefix_hash.fill(0x77);
  return offer;
}

inline HandshakeOptions client_options() {
  return {.role = crypto::Role::client,
          .tls = &office().tls,
          .own_key = office().key(),
          .peer_key = offsite().key(),
          .psk = {},
          .offer = an_offer()};
}
inline HandshakeOptions server_options() {
  return {.role = crypto::Role::server,
          .tls = &offsite().tls,
          .own_key = offsite().key(),
          .peer_key = office().key(),
          .psk = {},
          .offer = an_offer(2)};
}

inline Handshake make_handshake(const HandshakeOptions& options) {
  auto handshake = Handshake::create(options);
  if (!handshake) FAIL(handshake.error().text());
  return std::move(*handshake);
}

/// May change what is on the wire: `at` is the position of the first byte in that direction.
using Tamper = std::function<void(crypto::Role to, std::size_t at, std::vector<Byte>& bytes)>;

struct Ends {
  Handshake client;
  Handshake server;
  Status client_status{};
  Status server_status{};
  std::size_t to_server_bytes{0};
  std::size_t to_client_bytes{0};

  explicit Ends(const HandshakeOptions& for_client = client_options(),
                const HandshakeOptions& for_server = server_options())
      : client(make_handshake(for_client)), server(make_handshake(for_server)) {}

  /// Carries bytes until neither has anything to say. An end that has failed still gets its last
  /// words out.
  void converse(const Tamper& tamper = {}) {
    for (bool moved = true; moved;) {
      moved = carry(client, server, server_status, crypto::Role::server, to_server_bytes, tamper);
      moved |= carry(server, client, client_status, crypto::Role::client, to_client_bytes, tamper);
    }
  }
  [[nodiscard]] bool are_established() const {
    return client.is_established() && server.is_established();
  }

 private:
  static bool carry(Handshake& from, Handshake& to, Status& to_status, crypto::Role role,
                    std::size_t& count, const Tamper& tamper) {
    std::vector<Byte> bytes = from.take_output();
    const bool moved = !bytes.empty();
    const std::size_t size = bytes.size();
    if (tamper) tamper(role, count, bytes);
    count += size;
    if (!bytes.empty() && to_status && !to.is_established()) to_status = to.on_bytes(bytes);
    return moved;
  }
};

/// The client's side of a handshake made by hand: it has the office's key and every secret, and
/// says inside TLS what the test wants.
struct ClientByHand {
  explicit ClientByHand(ByteView psk_used = {}) : psk(psk_used), channel(make_channel()) {
    const KnockKey key(offsite().key(), psk);
    knock = key.make();
  }

  /// Runs TLS against `server`. @return what the server said when it failed
  Status shake(Handshake& server) {
    LT_CHECK(server.on_bytes(knock));
    for (int turn = 0; turn < 8; ++turn) {
      const auto done = channel.handshake();
      if (!done) return fail(done.error());
      is_complete = *done;
      LT_CHECK(server.on_bytes(channel.take_output()));
      const auto answer = server.take_output();
      if (answer.empty() && is_complete) break;
      LT_CHECK(channel.feed(answer));
    }
    return derive();
  }

  /// The secrets of both ends. @pre TLS is complete
  Status derive() {
    REQUIRE(is_complete);
    std::array<Byte, knock_random_bytes> random{};
    std::copy_n(knock.begin() + 8, random.size(), random.begin());
    const auto context =
        KeyContext{.client = office().key(), .server = offsite().key(), .knock_random = random}
            .bytes();
    LT_CHECK(channel.export_keying(exporter_label, context, exported));
    LT_CHECK(channel.export_keying(binding_label, context, binding));
    secrets = derive_secrets(exported, psk);
    return {};
  }

  /// A HELLO with the right MAC over whatever `hello` says.
  [[nodiscard]] std::array<Byte, hello_bytes> hello_with_mac(
      std::array<Byte, hello_bytes> hello) const {
    const Mac mac = crypto::hmac_sha256(secrets.confirm_client.reveal(),
                                        {ByteView(hello).first(hello_bytes - mac_bytes), binding});
    std::copy(mac.begin(), mac.end(), hello.end() - mac_bytes);
    return hello;
  }
  [[nodiscard]] std::array<Byte, hello_bytes> good_hello() const {
    Hello hello{.offer = offer};
    hello.offer.psk_used = !psk.empty();
    return hello_with_mac(encode(hello));
  }

  /// Says `text` inside TLS. @return the server's verdict
  Status say(Handshake& server, ByteView text) {
    LT_CHECK(channel.write(text));
    return server.on_bytes(channel.take_output());
  }
  /// What the server answers inside TLS, `count` bytes of it.
  std::vector<Byte> hear(Handshake& server, std::size_t count) {
    REQUIRE(channel.feed(server.take_output()));
    const auto text = channel.read_exactly(count);
    REQUIRE(text);
    REQUIRE(*text);
    return **text;
  }
  /// The REJECT that the server sends.
  Reject hear_reject(Handshake& server) {
    auto bytes = hear(server, reject_header_bytes);
    const auto length = reply_length(std::span<const Byte, reject_header_bytes>(bytes));
    REQUIRE(length);
    const auto rest = hear(server, *length - reject_header_bytes);
    bytes.insert(bytes.end(), rest.begin(), rest.end());
    const auto reject = decode_reject(bytes);
    REQUIRE(reject);
    return *reject;
  }

  ByteView psk;
  Offer offer = an_offer();
  crypto::TlsChannel channel;
  std::array<Byte, knock_bytes> knock{};
  bool is_complete{false};
  std::array<Byte, exporter_bytes> exported{};
  std::array<Byte, binding_bytes> binding{};
  HandshakeSecrets secrets;

 private:
  static crypto::TlsChannel make_channel() {
    auto made = crypto::TlsChannel::create(
        office().tls, {.role = crypto::Role::client, .peer_key = offsite().key()});
    REQUIRE(made);
    return std::move(*made);
  }
};

/// The server's side made by hand, against an honest client.
struct ServerByHand {
  ServerByHand() : channel(make_channel()) {}

  /// Runs TLS and takes the client's HELLO.
  void take_hello(Handshake& client) {
    std::vector<Byte> first = client.take_output();
    REQUIRE(first.size() > knock_bytes);
    std::copy_n(first.begin(), knock_bytes, knock.begin());
    REQUIRE(channel.feed(ByteView(first).subspan(knock_bytes)));
    bool is_complete = false;
    for (int turn = 0; turn < 8 && !is_complete; ++turn) {
      const auto done = channel.handshake();
      REQUIRE(done);
      is_complete = *done;
      REQUIRE(client.on_bytes(channel.take_output()));
      REQUIRE(channel.feed(client.take_output()));
    }
    REQUIRE(is_complete);
    const auto text = channel.read_exactly(hello_bytes);
    REQUIRE(text);
    REQUIRE(*text);
    std::copy((*text)->begin(), (*text)->end(), hello.begin());
    std::array<Byte, knock_random_bytes> random{};
    std::copy_n(knock.begin() + 8, random.size(), random.begin());
    const auto context =
        KeyContext{.client = office().key(), .server = offsite().key(), .knock_random = random}
            .bytes();
    std::array<Byte, exporter_bytes> exported{};
    REQUIRE(channel.export_keying(exporter_label, context, exported));
    REQUIRE(channel.export_keying(binding_label, context, binding));
    secrets = derive_secrets(exported, {});
  }

  [[nodiscard]] std::array<Byte, accept_bytes> accept_with_mac(
      std::array<Byte, accept_bytes> accept) const {
    const Mac mac =
        crypto::hmac_sha256(secrets.confirm_server.reveal(),
                            {hello, ByteView(accept).first(accept_bytes - mac_bytes), binding});
    std::copy(mac.begin(), mac.end(), accept.end() - mac_bytes);
    return accept;
  }
  [[nodiscard]] std::array<Byte, accept_bytes> good_accept() const {
    return accept_with_mac(encode(Accept{.capabilities = 0,
                                         .session_id = {9},
                                         .record_limit = 256 * 1024,
                                         .tun_mtu = 1500,
                                         .mac = {}}));
  }
  Status say(Handshake& client, ByteView text) {
    LT_CHECK(channel.write(text));
    return client.on_bytes(channel.take_output());
  }

  crypto::TlsChannel channel;
  std::array<Byte, knock_bytes> knock{};
  std::array<Byte, hello_bytes> hello{};
  std::array<Byte, binding_bytes> binding{};
  HandshakeSecrets secrets;

 private:
  static crypto::TlsChannel make_channel() {
    auto made = crypto::TlsChannel::create(
        offsite().tls, {.role = crypto::Role::server, .peer_key = office().key()});
    REQUIRE(made);
    return std::move(*made);
  }
};

inline bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// Whether `needle` stands anywhere in the memory of `object` itself.
template <class Object>
bool holds(const Object& object, ByteView needle) {
  const ByteView memory(reinterpret_cast<const Byte*>(&object), sizeof object);
  return std::search(memory.begin(), memory.end(), needle.begin(), needle.end()) != memory.end();
}

}  // namespace lt::tunnel::testing

// What TLS gives the link when both ends are honest, and how it is left.
#include "crypto/tls_channel.h"

#include <catch2/catch.hpp>
#include <random>

#include "crypto/aead.h"
#include "crypto/kdf.h"
#include "crypto/key_file.h"
#include "tests/crypto/plain_openssl.h"
#include "tests/crypto/tls_ends.h"
#include "tests/crypto/witness.h"

namespace lt::crypto {
namespace {

using Catch::Contains;
using test::carry;
using test::office;
using test::offsite;
using test::Pair;
using test::shake_hands;

const std::vector<Byte> hello(120, 'h');
const std::vector<Byte> accept(60, 'a');
const std::vector<Byte> go{4, 0};

/// A pair that is through with the handshake.
Pair connected_pair() {
  Pair pair;
  const auto outcome = shake_hands(pair.client, pair.server);
  REQUIRE(outcome.client.is_complete);
  REQUIRE(outcome.server.is_complete);
  return pair;
}

std::vector<Byte> exported(const TlsChannel& channel, std::string_view label,
                           std::string_view context, std::size_t size = 64) {
  std::vector<Byte> out(size);
  REQUIRE(channel.export_keying(label, as_bytes(context), out));
  return out;
}

void expect_text(TlsChannel& channel, const std::vector<Byte>& expected) {
  const auto text = channel.read_exactly(expected.size());
  REQUIRE(text);
  REQUIRE(*text);
  CHECK(**text == expected);
}

TEST_CASE("two sites that know each other complete the handshake", "[crypto][tls][P-5][P-6][P-7]") {
  Pair pair;
  const auto outcome = shake_hands(pair.client, pair.server);
  CHECK(outcome.client.is_complete);
  CHECK(outcome.server.is_complete);
  CHECK(outcome.client.error.empty());
  CHECK(outcome.server.error.empty());
  // What an unknown peer may send holds several handshakes of this size.
  CHECK(outcome.to_server_bytes + outcome.to_client_bytes < bytes_before_authentication_max);
  CHECK(pair.client.group_name() == pair.server.group_name());
  CHECK_THAT(pair.client.group_name(), Contains("X25519"));
}

TEST_CASE("when both ends are through, TLS has nothing more to say", "[crypto][tls][P-9][P-21]") {
  Pair pair = connected_pair();
  CHECK(pair.client.take_output().empty());
  CHECK(pair.server.take_output().empty());
  const auto from_client = pair.client.leave();
  const auto from_server = pair.server.leave();
  REQUIRE((from_client && from_server));
  CHECK(from_client->empty());
  CHECK(from_server->empty());
  CHECK(pair.client.take_output().empty());
  CHECK(pair.server.take_output().empty());
}

TEST_CASE("both ends export the same keys, others for every label, context and session",
          "[crypto][tls]") {
  Pair pair = connected_pair();
  const auto reference = exported(pair.client, "EXPERIMENTAL linktune v1", "context");
  CHECK(exported(pair.server, "EXPERIMENTAL linktune v1", "context") == reference);
  CHECK(exported(pair.client, "EXPERIMENTAL linktune v1", "context") == reference);
  CHECK(exported(pair.server, "EXPERIMENTAL linktune bind", "context") != reference);
  CHECK(exported(pair.server, "EXPERIMENTAL linktune v1", "contexT") != reference);
  CHECK(exported(pair.server, "EXPERIMENTAL linktune v1", "") != reference);
  Pair other = connected_pair();
  CHECK(exported(other.client, "EXPERIMENTAL linktune v1", "context") != reference);
}

TEST_CASE("raw bytes corked right behind GO come out of leave, all of them",
          "[crypto][tls][P-21]") {
  Pair pair = connected_pair();
  const std::vector<Byte> raw(19, 0xa5);
  REQUIRE(pair.client.write(hello));
  carry(pair.client, pair.server);
  expect_text(pair.server, hello);
  REQUIRE(pair.server.write(accept));
  carry(pair.server, pair.client);
  expect_text(pair.client, accept);
  REQUIRE(pair.client.write(go));
  auto wire = pair.client.take_output();
  wire.insert(wire.end(), raw.begin(), raw.end());
  REQUIRE(pair.server.feed(wire));
  expect_text(pair.server, go);
  const auto rest = pair.server.leave();
  REQUIRE(rest);
  CHECK(*rest == raw);
  CHECK(pair.server.take_output().empty());
}

TEST_CASE("raw bytes survive the switch in both directions, however the wire cuts them",
          "[crypto][tls][P-21]") {
  const auto seed = GENERATE(take(20, random(1U, 4294967295U)));
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const auto random_bytes = [&](std::size_t count_max) {
    std::vector<Byte> bytes(random() % (count_max + 1));
    for (Byte& byte : bytes)
      byte = static_cast<Byte>(random());
    return bytes;
  };
  /// Feeds in random portions, and tries to read `text` after each one.
  const auto deliver = [&](TlsChannel& to, ByteView wire, const std::vector<Byte>& text) {
    bool was_read = false;
    while (!wire.empty()) {
      const std::size_t count = std::min<std::size_t>(wire.size(), 1 + random() % 40);
      REQUIRE(to.feed(wire.first(count)));
      wire = wire.subspan(count);
      if (was_read) continue;
      const auto got = to.read_exactly(text.size());
      REQUIRE(got);
      if (!*got) continue;
      CHECK(**got == text);
      was_read = true;
    }
    CHECK(was_read);
  };
  Pair pair = connected_pair();
  const auto from_client = random_bytes(3000);
  const auto from_server = random_bytes(3000);
  REQUIRE(pair.client.write(hello));
  deliver(pair.server, pair.client.take_output(), hello);
  REQUIRE(pair.server.write(accept));
  deliver(pair.client, pair.server.take_output(), accept);
  REQUIRE(pair.client.write(go));
  auto wire = pair.client.take_output();
  wire.insert(wire.end(), from_client.begin(), from_client.end());
  deliver(pair.server, wire, go);
  REQUIRE(pair.client.feed(from_server));
  const auto at_server = pair.server.leave();
  const auto at_client = pair.client.leave();
  REQUIRE((at_server && at_client));
  CHECK(*at_server == from_client);
  CHECK(*at_client == from_server);
}

TEST_CASE("a megabyte of raw bytes may already wait behind GO", "[crypto][tls]") {
  Pair pair = connected_pair();
  REQUIRE(pair.client.write(go));
  auto wire = pair.client.take_output();
  wire.resize(wire.size() + (1 << 20), 0x17);
  REQUIRE(pair.server.feed(wire));
  expect_text(pair.server, go);
  const auto rest = pair.server.leave();
  REQUIRE(rest);
  CHECK(*rest == std::vector<Byte>(1 << 20, 0x17));
}

TEST_CASE("a KeyUpdate from the peer does not disturb the switch", "[crypto][tls]") {
  const auto key = test::make_stranger_key(1);
  test::PlainTls client({.role = Role::client, .seed = key.seed});
  TlsChannel server = offsite().channel(Role::server, key.key);
  REQUIRE(shake_hands(server, client).ours.is_complete);
  client.update_keys();
  client.write(hello);
  REQUIRE(server.feed(client.take_output()));
  expect_text(server, hello);
  REQUIRE(server.write(accept));
  client.feed(server.take_output());
  CHECK(client.read(accept.size()) == accept);
  client.update_keys();
  client.write(go);
  auto wire = client.take_output();
  wire.insert(wire.end(), 19, 0xa5);
  REQUIRE(server.feed(wire));
  expect_text(server, go);
  const auto rest = server.leave();
  REQUIRE(rest);
  CHECK(*rest == std::vector<Byte>(19, 0xa5));
}

TEST_CASE("a server that sends tickets does not disturb the switch", "[crypto][tls]") {
  const auto key = test::make_stranger_key(2);
  test::PlainTls server({.role = Role::server, .seed = key.seed, .tickets = 2});
  TlsChannel client = office().channel(Role::client, key.key);
  const auto outcome = shake_hands(client, server);
  REQUIRE(outcome.ours.is_complete);
  REQUIRE(client.write(hello));
  server.feed(client.take_output());
  CHECK(server.read(hello.size()) == hello);
  server.write(accept);
  auto wire = server.take_output();
  wire.insert(wire.end(), 19, 0xa5);
  REQUIRE(client.feed(wire));
  expect_text(client, accept);
  const auto rest = client.leave();
  REQUIRE(rest);
  CHECK(*rest == std::vector<Byte>(19, 0xa5));
}

TEST_CASE("our exporter is RFC 8446's with a context, as another TLS end computes it",
          "[crypto][tls]") {
  const auto key = test::make_stranger_key(3);
  test::PlainTls client({.role = Role::client, .seed = key.seed});
  TlsChannel server = offsite().channel(Role::server, key.key);
  REQUIRE(shake_hands(server, client).ours.is_complete);
  CHECK(exported(server, "EXPERIMENTAL linktune v1", "context") ==
        client.export_keying("EXPERIMENTAL linktune v1", as_bytes("context"), 64));
}

TEST_CASE("reading gives exactly what was asked, from parts or from more", "[crypto][tls]") {
  Pair pair = connected_pair();
  CHECK_FALSE(pair.server.read_exactly(1).value_or(hello));
  REQUIRE(pair.client.write(as_bytes("abc")));
  REQUIRE(pair.client.write({}));
  REQUIRE(pair.client.write(as_bytes("defgh")));
  carry(pair.client, pair.server);
  expect_text(pair.server, {'a', 'b'});
  expect_text(pair.server, {'c', 'd', 'e'});
  const auto too_early = pair.server.read_exactly(4);
  REQUIRE(too_early);
  CHECK_FALSE(*too_early);
  REQUIRE(pair.client.write(as_bytes("i")));
  carry(pair.client, pair.server);
  expect_text(pair.server, {'f', 'g', 'h', 'i'});
  const std::vector<Byte> most(tls_text_bytes_max, 'm');
  REQUIRE(pair.client.write(most));
  carry(pair.client, pair.server);
  expect_text(pair.server, most);
}

TEST_CASE("the calls of a channel have an order", "[crypto][tls]") {
  Pair pair;
  std::vector<Byte> out(32);
  const auto is_refused = [](const auto& result, Errc code) {
    return !result && result.error().code == code;
  };
  CHECK(is_refused(pair.client.write(hello), Errc::invalid));
  CHECK(is_refused(pair.client.read_exactly(1), Errc::invalid));
  CHECK(is_refused(pair.client.export_keying("label", {}, out), Errc::invalid));
  CHECK(is_refused(pair.client.leave(), Errc::invalid));
  CHECK(pair.client.group_name().empty());
  const auto outcome = shake_hands(pair.client, pair.server);
  REQUIRE(outcome.client.is_complete);
  CHECK(pair.client.handshake().value_or(false));
  REQUIRE(pair.client.leave());
  CHECK(is_refused(pair.client.write(hello), Errc::closed));
  CHECK(is_refused(pair.client.read_exactly(1), Errc::closed));
  CHECK(is_refused(pair.client.export_keying("label", {}, out), Errc::closed));
  CHECK(is_refused(pair.client.leave(), Errc::closed));
  CHECK(is_refused(pair.client.feed(hello), Errc::closed));
  CHECK(is_refused(pair.client.handshake(), Errc::closed));
  CHECK(pair.client.take_output().empty());
}

TEST_CASE("asking for nothing or for more than 4 KiB at once is a bug", "[crypto][tls]") {
  Pair pair = connected_pair();
  CHECK(test::aborts([&] { static_cast<void>(pair.client.read_exactly(0)); }));
  CHECK(test::aborts([&] { static_cast<void>(pair.client.read_exactly(tls_text_bytes_max + 1)); }));
  CHECK(test::aborts(
      [&] { static_cast<void>(pair.client.write(std::vector<Byte>(tls_text_bytes_max + 1))); }));
}

TEST_CASE("leaving waits for no bytes, but unread ones are an error", "[crypto][tls]") {
  SECTION("a whole text is unread") {
    Pair pair = connected_pair();
    REQUIRE(pair.client.write(as_bytes("abc")));
    carry(pair.client, pair.server);
    expect_text(pair.server, {'a'});
    const auto left = pair.server.leave();
    REQUIRE_FALSE(left);
    CHECK(left.error().code == Errc::protocol);
  }
  SECTION("part of a text was decrypted while waiting for more") {
    Pair pair = connected_pair();
    REQUIRE(pair.client.write(as_bytes("abc")));
    carry(pair.client, pair.server);
    REQUIRE_FALSE(pair.server.read_exactly(4).value_or(hello));
    CHECK_FALSE(pair.server.leave());
  }
  SECTION("TLS has begun to read a record") {
    Pair pair = connected_pair();
    REQUIRE(pair.client.write(as_bytes("abc")));
    auto wire = pair.client.take_output();
    wire.resize(3);
    REQUIRE(pair.server.feed(wire));
    REQUIRE_FALSE(pair.server.read_exactly(1).value_or(hello));
    CHECK_FALSE(pair.server.leave());
  }
}

TEST_CASE("output that was not taken before leaving can be taken afterwards", "[crypto][tls]") {
  Pair pair = connected_pair();
  REQUIRE(pair.client.write(go));
  REQUIRE(pair.client.leave());
  carry(pair.client, pair.server);
  expect_text(pair.server, go);
}

TEST_CASE("a channel lives longer than the context it came from", "[crypto][tls]") {
  auto site = std::make_unique<test::Site>(test::make_site());
  const auto key = site->key();
  TlsChannel client = site->channel(Role::client, offsite().key());
  TlsChannel server = offsite().channel(Role::server, key);
  site.reset();
  TlsChannel moved = std::move(client);
  CHECK(shake_hands(moved, server).server.is_complete);
}

TEST_CASE("expired certificates with the right key are taken: no clock decides", "[crypto][tls]") {
  using Shows = test::PlainTls::Shows;
  const auto key = test::make_stranger_key(4);
  const auto role = GENERATE(Role::client, Role::server);
  test::PlainTls theirs({.role = role, .shows = Shows::expired, .seed = key.seed});
  TlsChannel ours = role == Role::client ? offsite().channel(Role::server, key.key)
                                         : office().channel(Role::client, key.key);
  const auto outcome = shake_hands(ours, theirs);
  CHECK(outcome.ours.error.empty());
  CHECK(outcome.ours.is_complete);
  CHECK(outcome.is_theirs_complete);
}

TEST_CASE("a post-quantum key agreement is used where both ends have it, or refused",
          "[crypto][tls]") {
  auto strict = TlsChannel::create(office().context,
                                   {.peer_key = offsite().key(), .requires_post_quantum = true});
  if (!office().context.settings().has_post_quantum_group) {
    REQUIRE_FALSE(strict);
    CHECK(strict.error().code == Errc::unsupported);
    CHECK_THAT(strict.error().what, Contains("OpenSSL 3.5"));
    CHECK(connected_pair().client.group_name() == "X25519");
    return;
  }
  REQUIRE(strict);
  TlsChannel server = offsite().channel(Role::server, office().key());
  CHECK(shake_hands(*strict, server).client.is_complete);
  CHECK(strict->group_name() == "X25519MLKEM768");
}

TEST_CASE("no key of a finished session stays in memory", "[crypto][tls][secret][P-26]") {
  constexpr Byte mask = 0x5a;
  if (!test::count_in_memory(std::vector<Byte>(32, 1), mask)) {
    WARN("this build has a sanitizer's memory, which is not searched");
    return;
  }
  const auto masked = [](ByteView bytes) {
    std::vector<Byte> result(bytes.begin(), bytes.end());
    for (Byte& byte : result)
      byte ^= mask;
    return result;
  };
  const test::TemporaryDirectory directory;
  std::vector<Byte> seed_masked;
  std::vector<Byte> ekm_masked;
  std::vector<Byte> key_masked;
  {
    const auto seed = Secret<32>::random();
    seed_masked = masked(seed.reveal());
    REQUIRE(save_secret_file(
        directory.path("key"),
        {.name = "private key", .header = "linktune-private-key-1", .make_one = {}}, seed));
  }
  {
    auto identity = Identity::load(directory.path("key"));
    REQUIRE(identity);
    auto context = TlsContext::create(*identity);
    REQUIRE(context);
    auto client = TlsChannel::create(*context, {.role = Role::client, .peer_key = offsite().key()});
    REQUIRE(client);
    TlsChannel server = offsite().channel(Role::server, identity->public_key());
    REQUIRE(shake_hands(*client, server).server.is_complete);
    Secret<32> ekm;
    REQUIRE(client->export_keying("EXPERIMENTAL linktune v1", {}, ekm.writable()));
    ekm_masked = masked(ekm.reveal());
    const auto root = hkdf_extract({}, ekm.reveal());
    Secret<32> key;
    expand_label(root.reveal(), "key", key.writable());
    key_masked = masked(key.reveal());
    auto aead = Aead::create(key);
    REQUIRE(aead);
    std::vector<Byte> record(1500);
    std::array<Byte, 16> tag{};
    aead->seal(std::array<Byte, 12>{}, {}, record, tag);
    // While all of it lives, the search does find it.
    CHECK(test::count_in_memory(seed_masked, mask) > 0U);
    CHECK(test::count_in_memory(ekm_masked, mask) > 0U);
    CHECK(test::count_in_memory(key_masked, mask) > 0U);
    REQUIRE(client->leave());
    REQUIRE(server.leave());
  }
  CHECK(test::count_in_memory(seed_masked, mask) == 0U);
  CHECK(test::count_in_memory(ekm_masked, mask) == 0U);
  CHECK(test::count_in_memory(key_masked, mask) == 0U);
}

}  // namespace
}  // namespace lt::crypto

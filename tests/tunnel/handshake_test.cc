#include "tunnel/handshake.h"

#include <set>

#include "base/text.h"
#include "tests/tunnel/handshake_ends.h"

namespace lt::tunnel {
namespace {

using testing::client_options;
using testing::ClientByHand;
using testing::Ends;
using testing::has;
using testing::holds;
using testing::make_handshake;
using testing::office;
using testing::offsite;
using testing::psk_one;
using testing::psk_two;
using testing::server_options;
using testing::ServerByHand;
using testing::third;

bool same(const crypto::Secret<32>& a, const crypto::Secret<32>& b) {
  return std::ranges::equal(a.reveal(), b.reveal());
}

std::string text_of(const Status& status) {
  return status ? "" : status.error().text();
}

// --- the good course ---

TEST_CASE("two sites that know each other agree on keys, limits and a session",
          "[tunnel][handshake][P-16][P-25]") {
  HandshakeOptions for_client = client_options();
  HandshakeOptions for_server = server_options();
  for_client.offer.tun_mtu = 9000;
  for_server.offer.tun_mtu = 1400;
  for_client.offer.record_limit = 70'000;
  for_server.offer.record_limit = 1'000'000;
  const ByteView psk = GENERATE(values<ByteView>({{}, psk_one}));
  for_client.psk = for_server.psk = psk;
  Ends ends(for_client, for_server);
  ends.converse();
  INFO(text_of(ends.client_status) << " / " << text_of(ends.server_status));
  REQUIRE(ends.are_established());
  const Established client = ends.client.take_established();
  const Established server = ends.server.take_established();
  CHECK(same(client.outbound, server.inbound));
  CHECK(same(client.inbound, server.outbound));
  CHECK_FALSE(same(client.inbound, client.outbound));
  CHECK(client.record_limit == 70'000);
  CHECK(server.record_limit == 70'000);
  CHECK(client.tun_mtu == 1400);
  CHECK(server.tun_mtu == 1400);
  CHECK(client.session_id == server.session_id);
  CHECK(client.session_id != SessionId{});
  CHECK(server.peer_boot_id == for_client.offer.boot_id);
  CHECK(client.early_records.empty());
  CHECK(server.early_records.empty());
}

TEST_CASE("no two handshakes share a key or a session id", "[tunnel][handshake][P-25]") {
  std::set<std::vector<Byte>> seen;
  for (int i = 0; i < 8; ++i) {
    Ends ends;
    ends.converse();
    REQUIRE(ends.are_established());
    const Established client = ends.client.take_established();
    for (const auto& secret : {&client.outbound, &client.inbound}) {
      CHECK(seen.emplace(secret->reveal().begin(), secret->reveal().end()).second);
    }
    CHECK(seen.emplace(client.session_id.begin(), client.session_id.end()).second);
  }
}

TEST_CASE("the handshake stays far below its byte budget", "[tunnel][handshake][P-54]") {
  Ends ends;
  ends.converse();
  REQUIRE(ends.are_established());
  INFO(ends.to_server_bytes << " bytes to the server, " << ends.to_client_bytes
                            << " to the client");
  CHECK(ends.to_server_bytes < handshake_bytes_max / 2);
  CHECK(ends.to_client_bytes < handshake_bytes_max / 2);
}

TEST_CASE("bytes that come one at a time, as truncated at each, establish nobody before the last",
          "[tunnel][handshake][P-20][P-32]") {
  Ends ends;
  std::vector<Byte> to_server = ends.client.take_output();
  std::vector<Byte> to_client;
  // A machine that got n bytes and no more is the machine whose stream was cut behind byte n.
  while (!to_server.empty() || !to_client.empty()) {
    for (const Byte byte : to_server) {
      REQUIRE_FALSE(ends.server.is_established());
      REQUIRE(ends.server.on_bytes({&byte, 1}));
      const auto answer = ends.server.take_output();
      to_client.insert(to_client.end(), answer.begin(), answer.end());
    }
    to_server.clear();
    for (const Byte byte : to_client) {
      REQUIRE_FALSE(ends.client.is_established());
      REQUIRE(ends.client.on_bytes({&byte, 1}));
      const auto answer = ends.client.take_output();
      to_server.insert(to_server.end(), answer.begin(), answer.end());
    }
    to_client.clear();
  }
  CHECK(ends.are_established());
}

// --- what is on the wire ---

TEST_CASE("one flipped bit at any byte of the handshake is never agreed upon",
          "[tunnel][handshake][P-5][P-7]") {
  // RFC 8446 5.1: the version in the header of a record in clear "MUST be ignored for all
  // purposes". Nothing else is.
  std::size_t to_server_bytes = 0;
  std::size_t to_client_bytes = 0;
  {
    Ends ends;
    ends.converse();
    REQUIRE(ends.are_established());
    to_server_bytes = ends.to_server_bytes;
    to_client_bytes = ends.to_client_bytes;
  }
  constexpr unsigned seed = 20261122;
  INFO("seed " << seed);
  std::minstd_rand random(seed);
  const auto try_flip = [&](crypto::Role to, std::size_t at) {
    const auto mask = static_cast<Byte>(1U << (random() >> 8) % 8);
    Ends ends;
    bool is_flipped = false;
    std::vector<Byte> before;
    ends.converse([&](crypto::Role role, std::size_t start, std::vector<Byte>& bytes) {
      if (role != to || at < start || at >= start + bytes.size()) return;
      bytes[at - start] ^= mask;
      is_flipped = true;
    });
    const Handshake& receiver = to == crypto::Role::server ? ends.server : ends.client;
    INFO("to the " << (to == crypto::Role::server ? "server" : "client") << ", byte " << at
                   << ", mask " << int(mask));
    REQUIRE(is_flipped);
    if (!receiver.is_established()) return false;
    // It passed: then both must have agreed all the same.
    REQUIRE(ends.are_established());
    const Established client = ends.client.take_established();
    const Established server = ends.server.take_established();
    CHECK(same(client.outbound, server.inbound));
    CHECK(same(client.inbound, server.outbound));
    return true;
  };
  std::vector<std::size_t> passed_server;
  std::vector<std::size_t> passed_client;
  for (std::size_t at = 0; at < to_server_bytes; ++at) {
    if (try_flip(crypto::Role::server, at)) passed_server.push_back(at);
  }
  for (std::size_t at = 0; at < to_client_bytes; ++at) {
    if (try_flip(crypto::Role::client, at)) passed_client.push_back(at);
  }
  // Only the minor version of the records in clear: ClientHello's behind the knock, ServerHello's.
  for (const std::size_t at : passed_server)
    CHECK(at == knock_bytes + 2);
  for (const std::size_t at : passed_client)
    CHECK(at == 2);
}

TEST_CASE("a knock with any of its 320 bits flipped hears nothing",
          "[tunnel][handshake][knock][P-1][P-4]") {
  Handshake client = make_handshake(client_options());
  const auto opening = client.take_output();
  for (std::size_t bit = 0; bit < knock_bytes * 8; ++bit) {
    Handshake server = make_handshake(server_options());
    auto bad = opening;  // the ClientHello behind it is right
    bad[bit / 8] ^= static_cast<Byte>(1U << bit % 8);
    INFO("bit " << bit);
    const auto status = server.on_bytes(bad);
    REQUIRE_FALSE(status);
    CHECK(status.error().code == Errc::rejected);
    CHECK_FALSE(server.has_knocked());
    CHECK(server.take_output().empty());
  }
  Handshake server = make_handshake(server_options());
  CHECK(server.on_bytes(opening));
  CHECK_FALSE(server.take_output().empty());
}

TEST_CASE("strangers are not answered with a single byte", "[tunnel][handshake][P-1]") {
  const std::string tls_hello =
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + std::string(600, 'r');
  const std::string stranger = GENERATE_COPY(values<std::string>(
      {"GET / HTTP/1.1\r\nHost: example.org\r\nUser-Agent: x\r\n\r\n",
       "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3 and some more\r\n", tls_hello,
       std::string(4096, '\0'), std::string("LT1\0\0\0\0\0", 8) + std::string(4000, 'x')}));
  SECTION("at once") {
    Handshake server = make_handshake(server_options());
    CHECK_FALSE(server.on_bytes(as_bytes(stranger)));
    CHECK(server.take_output().empty());
    CHECK_FALSE(server.on_bytes(as_bytes(stranger)));  // and it stays so
    CHECK(server.take_output().empty());
  }
  SECTION("byte by byte") {
    Handshake server = make_handshake(server_options());
    for (const char c : stranger.substr(0, knock_bytes - 1)) {
      const auto byte = static_cast<Byte>(c);
      CHECK(server.on_bytes({&byte, 1}));
      CHECK(server.take_output().empty());
      CHECK_FALSE(server.has_knocked());
    }
    const auto last = static_cast<Byte>(stranger[knock_bytes - 1]);
    CHECK_FALSE(server.on_bytes({&last, 1}));
    CHECK(server.take_output().empty());
  }
}

TEST_CASE("a client says its knock first, and nothing behind it but TLS",
          "[tunnel][handshake][P-2]") {
  Handshake client = make_handshake(client_options());
  const auto first = client.take_output();
  REQUIRE(first.size() > knock_bytes + 1);
  const KnockKey key(offsite().key(), {});
  CHECK(key.check(std::span<const Byte, knock_bytes>(first.data(), knock_bytes)));
  CHECK(first[knock_bytes] == 0x16);  // a TLS handshake record
}

TEST_CASE("a knock that is replayed reaches TLS and no further", "[tunnel][handshake][P-4]") {
  Ends recorded;
  std::vector<Byte> stream;
  recorded.converse([&](crypto::Role to, std::size_t, std::vector<Byte>& bytes) {
    if (to == crypto::Role::server) stream.insert(stream.end(), bytes.begin(), bytes.end());
  });
  REQUIRE(recorded.are_established());
  Handshake server = make_handshake(server_options());
  CHECK_FALSE(server.on_bytes(stream));
  CHECK(server.has_knocked());
  CHECK_FALSE(server.is_established());
}

// --- who the other is ---

TEST_CASE("a client that expects another server is turned away in silence, and hears nothing",
          "[tunnel][handshake][P-1][P-4]") {
  HandshakeOptions for_client = client_options();
  for_client.peer_key = third().key();  // so its knock is for another server as well
  Ends ends(for_client);
  ends.converse();
  CHECK_FALSE(ends.are_established());
  REQUIRE_FALSE(ends.server_status);
  CHECK(ends.server_status.error().what == "a stranger: its knock is wrong");
  CHECK(ends.to_client_bytes == 0);
}

TEST_CASE("a server whose key is not the pinned one is refused by the client, by name",
          "[tunnel][handshake][P-7]") {
  // Somebody who has learnt how to knock: it has the server's public key and answers in its place.
  HandshakeOptions for_server = server_options();
  for_server.tls = &third().tls;
  Ends ends(client_options(), for_server);
  ends.converse();
  CHECK_FALSE(ends.client.is_established());
  CHECK_FALSE(ends.server.is_established());
  REQUIRE_FALSE(ends.client_status);
  INFO(ends.client_status.error().text());
  CHECK(has(ends.client_status.error().text(), "key"));
}

TEST_CASE("a client whose key is not the pinned one is refused, and both ends say why",
          "[tunnel][handshake][P-7]") {
  HandshakeOptions for_client = client_options();
  for_client.tls = &third().tls;
  for_client.own_key = third().key();
  Ends ends(for_client);
  ends.converse();
  CHECK_FALSE(ends.client.is_established());
  CHECK_FALSE(ends.server.is_established());
  REQUIRE_FALSE(ends.server_status);
  REQUIRE_FALSE(ends.client_status);
  INFO(ends.server_status.error().text() << " / " << ends.client_status.error().text());
  CHECK(has(ends.server_status.error().text(), "key"));
  CHECK(has(ends.client_status.error().text(), "key"));
}

TEST_CASE("a client that presents another key in its context than in TLS is refused",
          "[tunnel][handshake][P-24]") {
  // It authenticates as the office, yet derives its keys as if it were somebody else.
  HandshakeOptions for_client = client_options();
  for_client.own_key = third().key();
  Ends ends(for_client);
  ends.converse();
  CHECK_FALSE(ends.client.is_established());
  CHECK_FALSE(ends.server.is_established());
  REQUIRE_FALSE(ends.server_status);
  CHECK(has(ends.server_status.error().text(), "pre-shared keys differ"));
}

TEST_CASE("the keys are bound to the knock of their own connection", "[tunnel][handshake][P-24]") {
  Handshake server = make_handshake(server_options());
  ClientByHand client;
  REQUIRE(client.shake(server));
  auto context =
      KeyContext{.client = office().key(), .server = offsite().key(), .knock_random = {}}.bytes();
  REQUIRE(client.channel.export_keying(exporter_label, context, client.exported));
  REQUIRE(client.channel.export_keying(binding_label, context, client.binding));
  client.secrets = derive_secrets(client.exported, {});
  CHECK_FALSE(client.say(server, client.good_hello()));
  CHECK(client.hear_reject(server).code == RejectCode::psk_mismatch);
}

// --- what they agree on ---

TEST_CASE("different pre-shared keys are named at both ends", "[tunnel][handshake][P-14]") {
  HandshakeOptions for_client = client_options();
  HandshakeOptions for_server = server_options();
  SECTION("one end knows that it has another") {
    // The knock of a foreign PSK is wrong: to the server this is a stranger, and the client hears
    // nothing.
    for_client.psk = psk_one;
    for_server.psk = psk_two;
    Ends ends(for_client, for_server);
    ends.converse();
    CHECK_FALSE(ends.are_established());
    CHECK(ends.to_client_bytes == 0);
    CHECK(text_of(ends.server_status) == "a stranger: its knock is wrong");
  }
  SECTION("HELLO's MAC is made with another") {
    for_server.psk = psk_one;
    Handshake server = make_handshake(for_server);
    ClientByHand client(psk_one);
    REQUIRE(client.shake(server));
    client.secrets = derive_secrets(client.exported, psk_two);
    const auto status = client.say(server, client.good_hello());
    REQUIRE_FALSE(status);
    CHECK(has(status.error().text(),
              "the pre-shared keys differ: put the same psk file on both sites"));
    const Reject reject = client.hear_reject(server);
    CHECK(reject.code == RejectCode::psk_mismatch);
    CHECK(has(reject.text, "pre-shared keys differ"));
  }
  SECTION("HELLO says that none is used, though its MAC is right") {
    for_server.psk = psk_one;
    Handshake server = make_handshake(for_server);
    ClientByHand client(psk_one);
    REQUIRE(client.shake(server));
    Hello hello{.offer = testing::an_offer()};
    hello.offer.psk_used = false;
    CHECK_FALSE(client.say(server, client.hello_with_mac(encode(hello))));
    CHECK(client.hear_reject(server).code == RejectCode::psk_mismatch);
  }
  SECTION("an honest client shows the server's reason") {
    Handshake client = make_handshake(for_client);
    ServerByHand server;
    server.take_hello(client);
    const auto status =
        server.say(client, encode(Reject{RejectCode::psk_mismatch, "the pre-shared keys differ"}));
    REQUIRE_FALSE(status);
    CHECK(status.error().code == Errc::rejected);
    CHECK(status.error().text() == "the peer refused: the pre-shared keys differ");
    CHECK_FALSE(client.is_established());
  }
}

TEST_CASE("sites that disagree about their networks are told so, both of them",
          "[tunnel][handshake][P-15]") {
  HandshakeOptions for_client = client_options();
  for_client.offer.prefix_hash[31] ^= 1;
  Ends ends(for_client);
  ends.converse();
  CHECK_FALSE(ends.client.is_established());
  CHECK_FALSE(ends.server.is_established());
  CHECK(has(text_of(ends.server_status), "the sites disagree about their networks"));
  CHECK(has(text_of(ends.client_status),
            "the peer refused: the sites disagree about their networks"));
}

TEST_CASE("a HELLO of another version is answered with REJECT version",
          "[tunnel][handshake][P-12]") {
  const Byte version = GENERATE(values<Byte>({0, 2, 255}));
  Handshake server = make_handshake(server_options());
  ClientByHand client;
  REQUIRE(client.shake(server));
  auto hello = client.good_hello();
  hello[1] = version;
  const auto status = client.say(server, client.hello_with_mac(hello));
  REQUIRE_FALSE(status);
  const Reject reject = client.hear_reject(server);
  CHECK(reject.code == RejectCode::version);
  CHECK(reject.text == "the peer speaks LT" + std::to_string(version) +
                           ", this program LT1: upgrade the older end");
}

TEST_CASE("a HELLO with a bad field is answered with REJECT bad_hello",
          "[tunnel][handshake][P-13]") {
  const auto [at, value] = GENERATE(table<std::size_t, Byte>({{0, 2},
                                                              {0, 4},
                                                              {36, 1},
                                                              {37, 0},
                                                              {37, 17},
                                                              {38, 1},
                                                              {38, 3},
                                                              {39, 1},
                                                              {40, 0xff},
                                                              {44, 0xff},
                                                              {80, 2},
                                                              {87, 1},
                                                              {88, 1},
                                                              {119, 1}}));
  INFO("byte " << at << " is " << int(value));
  Handshake server = make_handshake(server_options());
  ClientByHand client;
  REQUIRE(client.shake(server));
  auto hello = client.good_hello();
  hello[at] = value;
  CHECK_FALSE(
      client.say(server, client.hello_with_mac(hello)));  // the MAC is right: it is the field
  CHECK(client.hear_reject(server).code == RejectCode::bad_hello);
  CHECK_FALSE(server.is_established());
}

TEST_CASE("no bit of HELLO can be changed behind its MAC", "[tunnel][handshake][P-11][P-14]") {
  constexpr unsigned seed = 7;
  INFO("seed " << seed);
  std::minstd_rand random(seed);
  for (std::size_t at = 0; at < hello_bytes; ++at) {
    Handshake server = make_handshake(server_options());
    ClientByHand client;
    REQUIRE(client.shake(server));
    auto hello = client.good_hello();
    hello[at] ^= static_cast<Byte>(1U << (random() >> 8) % 8);
    INFO("byte " << at);
    REQUIRE_FALSE(client.say(server, hello));
    const Reject reject = client.hear_reject(server);
    CHECK(reject.code != RejectCode::busy);
    CHECK_FALSE(server.is_established());
  }
}

TEST_CASE("capabilities that a receiver does not know are ignored", "[tunnel][handshake]") {
  Handshake server = make_handshake(server_options());
  ClientByHand client;
  REQUIRE(client.shake(server));
  auto hello = client.good_hello();
  hello[2] = hello[3] = 0xff;
  CHECK(client.say(server, client.hello_with_mac(hello)));
  CHECK(client.hear(server, accept_bytes)[0] == 2);
}

TEST_CASE("ACCEPT carries the MAC over HELLO and itself, and the smaller limits",
          "[tunnel][handshake][P-16][P-17]") {
  HandshakeOptions for_server = server_options();
  for_server.offer.record_limit = 100'000;
  for_server.offer.tun_mtu = 9000;
  Handshake server = make_handshake(for_server);
  ClientByHand client;
  REQUIRE(client.shake(server));
  const auto hello = client.good_hello();
  REQUIRE(client.say(server, hello));
  const auto bytes = client.hear(server, accept_bytes);
  const auto accept = decode_accept(std::span<const Byte, accept_bytes>(bytes));
  REQUIRE(accept);
  CHECK(accept->record_limit == 100'000);
  CHECK(accept->tun_mtu == 1500);
  const Mac mac = crypto::hmac_sha256(client.secrets.confirm_server.reveal(),
                                      {hello, ByteView(bytes).first(32), client.binding});
  CHECK(accept->mac == mac);
}

TEST_CASE("a HELLO in two TLS records is one HELLO", "[tunnel][handshake]") {
  Handshake server = make_handshake(server_options());
  ClientByHand client;
  REQUIRE(client.shake(server));
  const auto hello = client.good_hello();
  REQUIRE(client.say(server, ByteView(hello).first(50)));
  CHECK(server.take_output().empty());
  REQUIRE(client.say(server, ByteView(hello).subspan(50)));
  CHECK(client.hear(server, accept_bytes)[0] == 2);
}

TEST_CASE("a client refuses an ACCEPT with a wrong MAC", "[tunnel][handshake][P-18]") {
  constexpr unsigned seed = 11;
  INFO("seed " << seed);
  std::minstd_rand random(seed);
  for (std::size_t at = 0; at < accept_bytes; ++at) {
    Handshake client = make_handshake(client_options());
    ServerByHand server;
    server.take_hello(client);
    auto accept = server.good_accept();
    accept[at] ^= static_cast<Byte>(1U << (random() >> 8) % 8);
    INFO("byte " << at);
    // A changed type may make it a shorter message; what is behind it then never counts.
    CHECK_FALSE(server.say(client, accept));
    CHECK_FALSE(client.is_established());
  }
}

TEST_CASE("a client refuses an ACCEPT that allows more than it offered",
          "[tunnel][handshake][P-18]") {
  struct Case {
    std::uint32_t record_limit;
    std::uint32_t tun_mtu;
    bool is_taken;
  };
  const Case one = GENERATE(values<Case>({{262'144, 1500, true},
                                          {262'143, 1499, true},
                                          {69'632, 576, true},
                                          {262'145, 1500, false},
                                          {262'144, 1501, false},
                                          {1'048'576, 65'535, false},
                                          {69'631, 1500, false},
                                          {262'144, 575, false}}));
  INFO(one.record_limit << " " << one.tun_mtu);
  Handshake client = make_handshake(client_options());
  ServerByHand server;
  server.take_hello(client);
  const auto accept = server.accept_with_mac(encode(Accept{.capabilities = 0,
                                                           .session_id = {1},
                                                           .record_limit = one.record_limit,
                                                           .tun_mtu = one.tun_mtu,
                                                           .mac = {}}));
  const auto status = server.say(client, accept);
  CHECK(status.has_value() == one.is_taken);
  CHECK(client.is_established() == one.is_taken);
}

TEST_CASE("a client shows no byte of a REJECT that breaks the rules", "[tunnel][handshake][P-19]") {
  std::vector<Byte> reject = encode(Reject{RejectCode::busy, "secret \x1b[2J words"});
  SECTION("a text that is not printable") {}
  SECTION("a text longer than it may be") {
    reject[3] = 121;
  }
  SECTION("an unknown code") {
    reject = encode(Reject{RejectCode::busy, "secret words"});
    reject[1] = 8;
  }
  SECTION("neither ACCEPT nor REJECT") {
    reject[0] = 4;
  }
  Handshake client = make_handshake(client_options());
  ServerByHand server;
  server.take_hello(client);
  const auto status = server.say(client, reject);
  REQUIRE_FALSE(status);
  CHECK(status.error().code == Errc::protocol);
  CHECK_FALSE(has(status.error().text(), "secret"));
  CHECK_FALSE(client.is_established());
}

// --- GO and the way out of TLS ---

TEST_CASE("anything but the two bytes of GO ends the connection before a record is taken",
          "[tunnel][handshake][P-20]") {
  Handshake server = make_handshake(server_options());
  ClientByHand client;
  REQUIRE(client.shake(server));
  REQUIRE(client.say(server, client.good_hello()));
  client.hear(server, accept_bytes);
  CHECK_FALSE(server.is_established());
  SECTION("a wrong first byte") {
    CHECK_FALSE(client.say(server, std::array<Byte, 2>{5, 0}));
  }
  SECTION("a wrong second byte") {
    CHECK_FALSE(client.say(server, std::array<Byte, 2>{4, 1}));
  }
  SECTION("HELLO once more") {
    CHECK_FALSE(client.say(server, client.good_hello()));
  }
  SECTION("more than GO inside TLS") {
    CHECK_FALSE(client.say(server, std::array<Byte, 3>{4, 0, 0}));
  }
  SECTION("a record, outside TLS") {
    CHECK_FALSE(server.on_bytes(std::vector<Byte>{record_sync, 1, 0, 0, 0, 0, 0, 17, 1, 2, 3, 4, 5,
                                                  6,           7, 8, 9, 0, 1, 2, 3,  4, 5, 6, 7}));
  }
  SECTION("half of GO, then a record") {
    CHECK(client.say(server, std::array<Byte, 1>{4}));
    CHECK_FALSE(server.is_established());
    CHECK_FALSE(server.on_bytes(std::vector<Byte>{record_sync, 1, 0, 0, 0, 0, 0, 17}));
  }
  CHECK_FALSE(server.is_established());
}

TEST_CASE("records right behind GO and ACCEPT cross over byte for byte",
          "[tunnel][handshake][P-21]") {
  constexpr std::size_t sizes[] = {0, 1, 7, 8, 24, 1500};
  const std::size_t size = GENERATE_COPY(from_range(std::begin(sizes), std::end(sizes)));
  std::vector<Byte> raw(size);
  for (std::size_t i = 0; i < size; ++i)
    raw[i] = static_cast<Byte>(record_sync + i);

  Ends ends;
  // The server is heard to its ACCEPT, the client to its GO: the last message of each that is not
  // empty.
  std::vector<Byte> last_to_server;
  for (;;) {
    const auto out = ends.client.take_output();
    if (ends.client.is_established()) {
      last_to_server = out;
      break;
    }
    REQUIRE(ends.server.on_bytes(out));
    auto back = ends.server.take_output();
    REQUIRE_FALSE(back.empty());
    REQUIRE(ends.client.on_bytes(back));
  }
  REQUIRE_FALSE(last_to_server.empty());
  // Not a byte of TLS follows: no alert, no ticket.
  CHECK(ends.client.take_output().empty());
  last_to_server.insert(last_to_server.end(), raw.begin(), raw.end());
  REQUIRE(ends.server.on_bytes(last_to_server));
  REQUIRE(ends.server.is_established());
  CHECK(ends.server.take_output().empty());
  CHECK(ends.server.take_established().early_records == raw);

  // The other way: an ACCEPT with records right behind it.
  Handshake client = make_handshake(client_options());
  ServerByHand by_hand;
  by_hand.take_hello(client);
  REQUIRE(by_hand.channel.write(by_hand.good_accept()));
  auto reply = by_hand.channel.take_output();
  reply.insert(reply.end(), raw.begin(), raw.end());
  REQUIRE(client.on_bytes(reply));
  REQUIRE(client.is_established());
  CHECK(client.take_established().early_records == raw);
}

TEST_CASE("leaving TLS says nothing: the last bytes are GO, and no alert follows",
          "[tunnel][handshake][P-21]") {
  Handshake server = make_handshake(server_options());
  ClientByHand client;
  REQUIRE(client.shake(server));
  REQUIRE(client.say(server, client.good_hello()));
  client.hear(server, accept_bytes);
  REQUIRE(client.say(server, go));
  REQUIRE(server.is_established());
  CHECK(server.take_output().empty());
  const auto raw = client.channel.leave();
  REQUIRE(raw);
  CHECK(raw->empty());
}

// --- limits, ends, wiping ---

TEST_CASE("a handshake that takes more than 4096 bytes from the wire is ended",
          "[tunnel][handshake][P-54]") {
  SECTION("the server, fed with the beginning of an endless TLS record") {
    Handshake client = make_handshake(client_options());
    const auto opening = client.take_output();
    Handshake server = make_handshake(server_options());
    REQUIRE(server.on_bytes(ByteView(opening).first(knock_bytes)));
    CHECK(server.bytes_wanted_max() == handshake_bytes_max - knock_bytes);
    // A handshake record of 16 KiB that never ends.
    REQUIRE(server.on_bytes(std::array<Byte, 5>{0x16, 3, 1, 0x40, 0}));
    Status status;
    std::size_t fed = knock_bytes + 5;
    for (; status && fed < 2 * handshake_bytes_max; ++fed) {
      CHECK(server.bytes_wanted_max() == handshake_bytes_max - fed);
      status = server.on_bytes(std::array<Byte, 1>{1});
    }
    REQUIRE_FALSE(status);
    CHECK(fed <= handshake_bytes_max);
    CHECK_FALSE(server.is_established());
  }
  SECTION("the client, fed by a server that never comes to ACCEPT") {
    Handshake client = make_handshake(client_options());
    ServerByHand server;
    server.take_hello(client);
    // An application record of 16 KiB that never ends.
    Status status = client.on_bytes(std::array<Byte, 5>{0x17, 3, 3, 0x40, 0});
    std::size_t fed = 5;
    for (; status && fed < 2 * handshake_bytes_max; ++fed)
      status = client.on_bytes(std::array<Byte, 1>{1});
    REQUIRE_FALSE(status);
    CHECK(fed < handshake_bytes_max);
    CHECK_FALSE(client.is_established());
  }
  SECTION("exactly at the limit while established is no fault") {
    Ends ends;
    std::vector<Byte> last;
    for (;;) {
      const auto out = ends.client.take_output();
      if (ends.client.is_established()) {
        last = out;
        break;
      }
      REQUIRE(ends.server.on_bytes(out));
      REQUIRE(ends.client.on_bytes(ends.server.take_output()));
    }
    last.resize(last.size() + ends.server.bytes_wanted_max());  // as much as may be read at once
    CHECK(ends.server.on_bytes(last));
    CHECK(ends.server.is_established());
  }
}

TEST_CASE("a handshake that has failed stays failed, whatever comes", "[tunnel][handshake][P-20]") {
  Handshake server = make_handshake(server_options());
  ClientByHand client;
  REQUIRE(client.shake(server));
  auto bad = client.good_hello();
  bad[100] ^= 1;
  REQUIRE_FALSE(client.say(server, bad));
  client.hear_reject(server);
  const auto status = client.say(server, client.good_hello());
  REQUIRE_FALSE(status);
  CHECK(status.error().code == Errc::closed);
  CHECK(server.take_output().empty());
  CHECK_FALSE(client.say(server, go));
  CHECK_FALSE(server.is_established());
}

TEST_CASE("when the handshake is over, its machine holds no secret any more",
          "[tunnel][handshake][P-26]") {
  Handshake server = make_handshake(server_options());
  ClientByHand client;
  REQUIRE(client.shake(server));
  CHECK(holds(server, client.binding));  // so the search below finds what is there
  CHECK(holds(server, client.secrets.confirm_client.reveal()));
  CHECK(holds(server, client.secrets.traffic_server.reveal()));
  REQUIRE(client.say(server, client.good_hello()));
  client.hear(server, accept_bytes);
  REQUIRE(client.say(server, go));
  REQUIRE(server.is_established());
  CHECK_FALSE(holds(server, client.binding));
  CHECK_FALSE(holds(server, client.secrets.confirm_client.reveal()));
  CHECK_FALSE(holds(server, client.secrets.confirm_server.reveal()));
  const Established established = server.take_established();
  CHECK(same(established.outbound, client.secrets.traffic_server));
  CHECK(same(established.inbound, client.secrets.traffic_client));
  CHECK_FALSE(holds(server, client.secrets.traffic_client.reveal()));
  CHECK_FALSE(holds(server, client.secrets.traffic_server.reveal()));
}

}  // namespace
}  // namespace lt::tunnel

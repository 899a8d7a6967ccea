#include "tunnel/key_schedule.h"

#include <catch2/catch.hpp>

#include "tests/tunnel/lt1_vectors.h"
#include "tunnel/knock.h"
#include "tunnel/link.h"

namespace lt::tunnel {
namespace {

using testing::array_of;
using testing::bytes_of;
using testing::lt1_vectors;

std::string hex(const crypto::Secret<32>& secret) {
  return to_hex(secret.reveal());
}

TEST_CASE("the exporter's context is the one an independent program builds",
          "[tunnel][key_schedule][P-24]") {
  const Json& known = lt1_vectors();
  const KeyContext context{.client = array_of<32>(known["client_key"]),
                           .server = array_of<32>(known["server_key"]),
                           .knock_random = array_of<16>(known["knock_random"])};
  CHECK(to_hex(context.bytes()) == known["context"].get<std::string>());
}

TEST_CASE("confirm, join and traffic secrets are what an independent program computes",
          "[tunnel][key_schedule][P-23][P-25][P-64]") {
  const Json& known = lt1_vectors();
  const auto exported = bytes_of(known["ekm"]);
  const auto check = [&](const Json& expected, ByteView psk) {
    const HandshakeSecrets secrets = derive_secrets(exported, psk);
    CHECK(hex(secrets.confirm_client) == expected["confirm_c"].get<std::string>());
    CHECK(hex(secrets.confirm_server) == expected["confirm_s"].get<std::string>());
    CHECK(hex(secrets.join) == expected["join"].get<std::string>());
    CHECK(hex(secrets.traffic_client) == expected["x0_client"].get<std::string>());
    CHECK(hex(secrets.traffic_server) == expected["x0_server"].get<std::string>());
  };
  check(known["without_psk"], {});
  check(known["with_psk"], bytes_of(known["psk"]));
}

TEST_CASE("the knock's tag is what an independent program computes", "[tunnel][knock][P-3]") {
  const Json& known = lt1_vectors();
  const auto server = array_of<32>(known["server_key"]);
  const auto random = array_of<16>(known["knock_random"]);
  const KnockKey plain(server, {});
  CHECK(plain.check(array_of<40>(known["knock"])) == random);
  CHECK_FALSE(plain.check(array_of<40>(known["knock_with_psk"])));
  const auto psk = bytes_of(known["psk"]);
  const KnockKey with_psk(server, psk);
  CHECK(with_psk.check(array_of<40>(known["knock_with_psk"])) == random);
  CHECK_FALSE(with_psk.check(array_of<40>(known["knock"])));
}

TEST_CASE(
    "the hash of the prefixes is what an independent program computes, in whatever order they are "
    "given",
    "[tunnel][link][P-15]") {
  const Json& known = lt1_vectors();
  const auto prefixes_of = [](const Json& texts) {
    std::vector<Prefix> prefixes;
    for (const auto& text : texts)
      prefixes.push_back(*Prefix::parse(text.get<std::string>()));
    return prefixes;
  };
  auto client = prefixes_of(known["client_prefixes"]);
  const auto server = prefixes_of(known["server_prefixes"]);
  CHECK(to_hex(hash_prefixes(client, server)) == known["prefix_hash"].get<std::string>());
  std::reverse(client.begin(), client.end());
  CHECK(to_hex(hash_prefixes(client, server)) == known["prefix_hash"].get<std::string>());
  CHECK(hash_prefixes(client, server) != hash_prefixes(server, client));
  CHECK(hash_prefixes(client, {}) != hash_prefixes({}, client));
}

}  // namespace
}  // namespace lt::tunnel

#include "crypto/certificate.h"

#include <catch2/catch.hpp>

#include "base/text.h"
#include "tests/crypto/plain_openssl.h"

namespace lt::crypto {
namespace {

TEST_CASE("a certificate for OpenVPN is what its fingerprint mode wants", "[crypto][certificate]") {
  const auto made = make_self_signed("office", 3650);
  REQUIRE(made);
  const auto facts = test::read_certificate(made->certificate, made->private_key);
  REQUIRE(facts);
  CHECK(facts->subject == "/CN=office");
  CHECK(facts->issuer == facts->subject);
  CHECK(facts->curve == "secp384r1");
  CHECK(facts->is_signed_by_itself);
  CHECK_FALSE(facts->is_authority);
  CHECK(facts->key_matches);
  CHECK(facts->is_good_now);
  CHECK(facts->is_good_for_server_and_client);
  CHECK(facts->days == 3651);
  CHECK(made->certificate.starts_with("-----BEGIN CERTIFICATE-----\n"));
  CHECK(made->certificate.ends_with("-----END CERTIFICATE-----\n"));
  CHECK(made->private_key.starts_with("-----BEGIN PRIVATE KEY-----\n"));
  CHECK(made->private_key.ends_with("-----END PRIVATE KEY-----\n"));
}

TEST_CASE("the fingerprint is the SHA-256 of the certificate, in pairs with colons",
          "[crypto][certificate]") {
  const auto made = make_self_signed("offsite", 1);
  REQUIRE(made);
  const auto facts = test::read_certificate(made->certificate, made->private_key);
  REQUIRE(facts);
  std::string expected;
  for (std::size_t i = 0; i < facts->sha256_hex.size(); i += 2) {
    if (i != 0) expected += ':';
    for (const char digit : facts->sha256_hex.substr(i, 2)) {
      expected += digit >= 'a' ? static_cast<char>(digit - 'a' + 'A') : digit;
    }
  }
  CHECK(made->fingerprint_sha256 == expected);
  CHECK(expected.size() == 95);
}

TEST_CASE("two certificates share neither key nor serial number, and serials are 20 positive bytes",
          "[crypto][certificate]") {
  const auto first = make_self_signed("office", 3650);
  const auto second = make_self_signed("office", 3650);
  REQUIRE((first && second));
  CHECK(first->private_key != second->private_key);
  const auto first_facts = test::read_certificate(first->certificate, first->private_key);
  const auto second_facts = test::read_certificate(second->certificate, second->private_key);
  REQUIRE((first_facts && second_facts));
  CHECK(first_facts->serial_hex != second_facts->serial_hex);
  CHECK(first_facts->serial_hex.size() == 40);
  CHECK(first_facts->serial_hex.front() < '8');
  const auto crossed = test::read_certificate(first->certificate, second->private_key);
  REQUIRE(crossed);
  CHECK_FALSE(crossed->key_matches);
}

TEST_CASE("names and lifetimes that no certificate can have are refused", "[crypto][certificate]") {
  for (const std::string& name : {std::string(), std::string(65, 'a'), std::string("a\nb"),
                                  std::string("b\xc3\xbcro"), std::string("a\0b", 3)}) {
    const auto made = make_self_signed(name, 1);
    REQUIRE_FALSE(made);
    CHECK(made.error().code == Errc::invalid);
  }
  for (const unsigned days : {0U, certificate_days_max + 1, 4294967295U}) {
    const auto made = make_self_signed("office", days);
    REQUIRE_FALSE(made);
    CHECK(made.error().code == Errc::invalid);
  }
  CHECK(make_self_signed(std::string(64, 'a'), certificate_days_max));
}

}  // namespace
}  // namespace lt::crypto

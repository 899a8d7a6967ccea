#include "crypto/kdf.h"

#include <catch2/catch.hpp>

#include "tests/crypto/plain_openssl.h"
#include "tests/crypto/witness.h"

namespace lt::crypto {
namespace {

std::vector<Byte> bytes_of(std::string_view hex) {
  return from_hex(hex).value_or(std::vector<Byte>());
}

Secret<32> rising_secret() {
  Secret<32> secret;
  for (std::size_t i = 0; i < 32; ++i)
    secret.writable()[i] = static_cast<Byte>(i);
  return secret;
}

std::string expanded(std::string_view label, std::size_t count) {
  std::vector<Byte> out(count);
  expand_label(rising_secret().reveal(), label, out);
  return to_hex(out);
}

TEST_CASE("HMAC-SHA-256 gives the answers of RFC 4231", "[crypto][kdf][vectors]") {
  // RFC 4231 4.2, 4.3, 4.7 (a key longer than a block)
  CHECK(to_hex(hmac_sha256(std::vector<Byte>(20, 0x0b), {as_bytes("Hi There")})) ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(to_hex(hmac_sha256(as_bytes("Jefe"), {as_bytes("what do ya want for nothing?")})) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(to_hex(hmac_sha256(std::vector<Byte>(131, 0xaa),
                           {as_bytes("Test Using Larger Than Block-Size Key - Hash Key First")})) ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST_CASE("an HMAC over parts is the HMAC over the whole, wherever it is cut", "[crypto][kdf]") {
  const std::string whole = "what do ya want for nothing?";
  const auto expected = hmac_sha256(as_bytes("Jefe"), {as_bytes(whole)});
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    CHECK(hmac_sha256(as_bytes("Jefe"),
                      {as_bytes(whole).first(cut), {}, as_bytes(whole).subspan(cut)}) == expected);
  }
}

TEST_CASE("an HMAC with an empty key and nothing to say is defined", "[crypto][kdf]") {
  // python3: hmac.new(b"", b"", hashlib.sha256)
  CHECK(to_hex(hmac_sha256({}, {})) ==
        "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST_CASE("an empty salt stands for 32 zero bytes", "[crypto][kdf]") {
  const std::vector<Byte> zeros(32, 0);
  const auto ikm = bytes_of("0b0b0b0b");
  CHECK(to_hex(hkdf_extract({}, ikm).reveal()) == to_hex(hkdf_extract(zeros, ikm).reveal()));
}

TEST_CASE("expand_label gives what an independent program computes", "[crypto][kdf][P-23]") {
  // Python's hmac module, info built by hand: u16 length | u8 | "lt1 " label | u8 0; secret 00..1f
  CHECK(expanded("key", 32) == "4f8f8493bac1ab7f29378a658ea0cafd0f3e9e33c520f7b0be5d60631bb7b0f8");
  CHECK(expanded("iv", 12) == "22b2f46a008c921b314e4e63");
  CHECK(expanded("upd", 32) == "3ce668ba6978ce720aa29e986e8ccc0997aef06a05b33afd2a351f6c5fb558e3");
  CHECK(expanded("c traffic 0", 32) ==
        "a802b6ee6788adb0ad62ae14187aa890b0b8bb3c155f8a9c34f11bad1767352b");
  CHECK(
      expanded("", 80) ==
      "9126fb74b65ffab132de6387c45e0cd206469f0bab2f7f615d7fd5adc4d30df49b4025b7ab0b27de7b8240ef15e6"
      "3c304adba87adfb52eb46415c41943b522a31643ddb54bb66b6248cf46cc22d980a3");
}

TEST_CASE("labels and lengths do not share an output", "[crypto][kdf][P-23]") {
  CHECK(expanded("key", 12) != expanded("iv", 12));
  CHECK(expanded("key", 31) != expanded("key", 32).substr(0, 62));
  CHECK(expanded("ke", 32) != expanded("key", 32));
}

TEST_CASE("a label of 251 characters is the longest", "[crypto][kdf]") {
  CHECK(expanded(std::string(251, 'a'), 32) != expanded(std::string(250, 'a'), 32));
  CHECK(test::aborts([] { expanded(std::string(252, 'a'), 32); }));
}

TEST_CASE("HKDF gives 255 blocks and not one byte more", "[crypto][kdf]") {
  std::vector<Byte> most(hkdf_bytes_max);
  hkdf_expand(rising_secret().reveal(), {}, most);
  CHECK(most.back() == test::hkdf_last_byte(rising_secret().reveal(), most.size()));
  CHECK(test::aborts([] {
    std::vector<Byte> more(hkdf_bytes_max + 1);
    hkdf_expand(rising_secret().reveal(), {}, more);
  }));
}

TEST_CASE("a shorter expansion is the beginning of a longer one", "[crypto][kdf]") {
  std::vector<Byte> longest(100);
  hkdf_expand(rising_secret().reveal(), as_bytes("info"), longest);
  for (std::size_t size = 0; size < longest.size(); ++size) {
    std::vector<Byte> shorter(size);
    hkdf_expand(rising_secret().reveal(), as_bytes("info"), shorter);
    CHECK(std::equal(shorter.begin(), shorter.end(), longest.begin()));
  }
}

TEST_CASE("a comparison in constant time sees every bit and the length", "[crypto][kdf]") {
  const auto left = rising_secret();
  CHECK(equal_constant_time(left.reveal(), rising_secret().reveal()));
  CHECK(equal_constant_time({}, {}));
  CHECK_FALSE(equal_constant_time(left.reveal(), left.reveal().first(31)));
  CHECK_FALSE(equal_constant_time(left.reveal(), {}));
  for (std::size_t bit = 0; bit < 256; ++bit) {
    auto right = rising_secret();
    right.writable()[bit / 8] ^= static_cast<Byte>(1U << bit % 8);
    CHECK_FALSE(equal_constant_time(left.reveal(), right.reveal()));
  }
}

}  // namespace
}  // namespace lt::crypto

#include "crypto/aead.h"

#include <catch2/catch.hpp>

#include "tests/crypto/witness.h"

namespace lt::crypto {
namespace {

using Nonce = std::array<Byte, aead_nonce_bytes>;
using Tag = std::array<Byte, aead_tag_bytes>;

Secret<32> key_of(Byte first) {
  Secret<32> key;
  for (std::size_t i = 0; i < 32; ++i)
    key.writable()[i] = static_cast<Byte>(first + i);
  return key;
}

Aead aead_with(Byte first) {
  auto aead = Aead::create(key_of(first));
  REQUIRE(aead);
  return std::move(*aead);
}

struct Sealed {
  Nonce nonce{1, 2, 3};
  std::vector<Byte> aad;
  std::vector<Byte> text;
  Tag tag{};
};

Sealed seal_with(Aead& aead, std::size_t text_bytes, std::size_t aad_bytes) {
  Sealed sealed{.aad = std::vector<Byte>(aad_bytes, 0x11),
                .text = std::vector<Byte>(text_bytes, 0x22)};
  aead.seal(sealed.nonce, sealed.aad, sealed.text, sealed.tag);
  return sealed;
}

/// Opens a copy. A text that does not open must be zeroed.
bool opens(Aead& aead, Sealed sealed) {
  const auto size = sealed.text.size();
  if (aead.open(sealed.nonce, sealed.aad, sealed.text, sealed.tag)) {
    CHECK(sealed.text == std::vector<Byte>(size, 0x22));
    return true;
  }
  CHECK(sealed.text == std::vector<Byte>(size, 0));
  return false;
}

TEST_CASE("what was sealed opens to the same text", "[crypto][aead]") {
  Aead aead = aead_with(1);
  for (const std::size_t size : {0U, 1U, 15U, 16U, 17U, 1500U, 65536U, 262144U, 1U << 20}) {
    CHECK(opens(aead, seal_with(aead, size, 8)));
    CHECK(opens(aead, seal_with(aead, size, 0)));
  }
}

TEST_CASE("a record with one flipped bit anywhere does not open", "[crypto][aead]") {
  Aead aead = aead_with(1);
  const Sealed good = seal_with(aead, 61, 8);
  REQUIRE(opens(aead, good));
  const auto flips_are_seen = [&](auto part) {
    const std::size_t bits = part(const_cast<Sealed&>(good)).size() * 8;
    for (std::size_t bit = 0; bit < bits; ++bit) {
      Sealed bad = good;
      part(bad)[bit / 8] ^= static_cast<Byte>(1U << bit % 8);
      CHECK_FALSE(opens(aead, bad));
    }
  };
  flips_are_seen([](Sealed& sealed) { return ByteSpan(sealed.text); });
  flips_are_seen([](Sealed& sealed) { return ByteSpan(sealed.aad); });
  flips_are_seen([](Sealed& sealed) { return ByteSpan(sealed.nonce); });
  flips_are_seen([](Sealed& sealed) { return ByteSpan(sealed.tag); });
  CHECK(opens(aead, good));
}

TEST_CASE("a record cut short, grown or with its header moved into the text does not open",
          "[crypto][aead]") {
  Aead aead = aead_with(1);
  const Sealed good = seal_with(aead, 32, 8);
  for (std::size_t size = 0; size < good.text.size(); ++size) {
    Sealed cut = good;
    cut.text.resize(size);
    CHECK_FALSE(opens(aead, cut));
  }
  Sealed grown = good;
  grown.text.push_back(0);
  CHECK_FALSE(opens(aead, grown));
  Sealed moved = good;
  moved.text.insert(moved.text.begin(), moved.aad.back());
  moved.aad.pop_back();
  CHECK_FALSE(opens(aead, moved));
}

TEST_CASE("every single-bit change of the key closes the record", "[crypto][aead]") {
  Aead aead = aead_with(1);
  const Sealed good = seal_with(aead, 61, 8);
  for (std::size_t bit = 0; bit < 256; ++bit) {
    auto key = key_of(1);
    key.writable()[bit / 8] ^= static_cast<Byte>(1U << bit % 8);
    auto other = Aead::create(key);
    REQUIRE(other);
    CHECK_FALSE(opens(*other, good));
  }
}

TEST_CASE("rekeying closes old records and makes the same as a fresh start", "[crypto][aead]") {
  Aead aead = aead_with(1);
  const Sealed old = seal_with(aead, 100, 8);
  aead.rekey(key_of(2));
  CHECK_FALSE(opens(aead, old));
  Aead fresh = aead_with(2);
  const Sealed from_rekeyed = seal_with(aead, 100, 8);
  const Sealed from_fresh = seal_with(fresh, 100, 8);
  CHECK(from_rekeyed.text == from_fresh.text);
  CHECK(from_rekeyed.tag == from_fresh.tag);
  CHECK(opens(fresh, from_rekeyed));
  aead.rekey(key_of(1));
  CHECK(opens(aead, old));
}

TEST_CASE("a failed record leaves the next ones unharmed", "[crypto][aead]") {
  Aead sealer = aead_with(1);
  Aead opener = aead_with(1);
  Sealed bad = seal_with(sealer, 1500, 8);
  const Sealed good = bad;
  bad.tag[0] ^= 1;
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE(opens(opener, bad));
    CHECK(opens(opener, good));
  }
}

TEST_CASE("sealing, opening and rekeying allocate nothing", "[crypto][aead]") {
  Aead aead = aead_with(1);
  std::vector<Byte> text(65536, 0x22);
  const std::array<Byte, 8> aad{};
  const Nonce nonce{};
  Tag tag{};
  const auto next_key = key_of(9);
  REQUIRE_FALSE(aead.open(nonce, aad, text, tag));  // makes this thread's error queue, once
  const auto count = test::allocations_during([&] {
    for (int i = 0; i < 10; ++i) {
      aead.seal(nonce, aad, text, tag);
      if (!aead.open(nonce, aad, text, tag)) return;
      tag[0] ^= 1;
      if (aead.open(nonce, aad, text, tag)) return;
      aead.rekey(next_key);
    }
  });
  if (!count) {
    WARN("this build has its own allocator (a sanitizer's), so allocations are not counted");
    return;
  }
  CHECK(*count == 0);
  // The counter counts: a string that does not fit in place is one.
  CHECK(test::allocations_during([] { test::keep(new std::array<Byte, 64>()); }) == 1U);
}

}  // namespace
}  // namespace lt::crypto

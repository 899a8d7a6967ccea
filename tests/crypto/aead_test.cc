#include "crypto/aead.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <optional>
#include <random>

#include "tests/crypto/aead_backends.h"
#include "tests/crypto/witness.h"

namespace lt::crypto {
namespace {

using test::aead_backends;
using Nonce = std::array<Byte, aead_nonce_bytes>;
using Tag = std::array<Byte, aead_tag_bytes>;

Secret<32> key_of(Byte first) {
  Secret<32> key;
  for (std::size_t i = 0; i < 32; ++i)
    key.writable()[i] = static_cast<Byte>(first + i);
  return key;
}

Aead aead_with(Byte first, AeadBackend backend) {
  auto aead = Aead::create(key_of(first), backend);
  REQUIRE(aead);
  CHECK(aead->backend() == backend);
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
  const AeadBackend backend = GENERATE(from_range(aead_backends()));
  CAPTURE(name_of(backend));
  Aead aead = aead_with(1, backend);
  for (const std::size_t size : {0U, 1U, 15U, 16U, 17U, 1500U, 65536U, 262144U, 1U << 20}) {
    CHECK(opens(aead, seal_with(aead, size, 8)));
    CHECK(opens(aead, seal_with(aead, size, 0)));
  }
}

TEST_CASE("a record with one flipped bit anywhere does not open", "[crypto][aead]") {
  const AeadBackend backend = GENERATE(from_range(aead_backends()));
  CAPTURE(name_of(backend));
  Aead aead = aead_with(1, backend);
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
  const AeadBackend backend = GENERATE(from_range(aead_backends()));
  CAPTURE(name_of(backend));
  Aead aead = aead_with(1, backend);
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
  const AeadBackend backend = GENERATE(from_range(aead_backends()));
  CAPTURE(name_of(backend));
  Aead aead = aead_with(1, backend);
  const Sealed good = seal_with(aead, 61, 8);
  for (std::size_t bit = 0; bit < 256; ++bit) {
    auto key = key_of(1);
    key.writable()[bit / 8] ^= static_cast<Byte>(1U << bit % 8);
    auto other = Aead::create(key, backend);
    REQUIRE(other);
    CHECK_FALSE(opens(*other, good));
  }
}

TEST_CASE("rekeying closes old records and makes the same as a fresh start", "[crypto][aead]") {
  const AeadBackend backend = GENERATE(from_range(aead_backends()));
  CAPTURE(name_of(backend));
  Aead aead = aead_with(1, backend);
  const Sealed old = seal_with(aead, 100, 8);
  aead.rekey(key_of(2));
  CHECK_FALSE(opens(aead, old));
  Aead fresh = aead_with(2, backend);
  const Sealed from_rekeyed = seal_with(aead, 100, 8);
  const Sealed from_fresh = seal_with(fresh, 100, 8);
  CHECK(from_rekeyed.text == from_fresh.text);
  CHECK(from_rekeyed.tag == from_fresh.tag);
  CHECK(opens(fresh, from_rekeyed));
  aead.rekey(key_of(1));
  CHECK(opens(aead, old));
}

TEST_CASE("a failed record leaves the next ones unharmed", "[crypto][aead]") {
  const AeadBackend backend = GENERATE(from_range(aead_backends()));
  CAPTURE(name_of(backend));
  Aead sealer = aead_with(1, backend);
  Aead opener = aead_with(1, backend);
  Sealed bad = seal_with(sealer, 1500, 8);
  const Sealed good = bad;
  bad.tag[0] ^= 1;
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE(opens(opener, bad));
    CHECK(opens(opener, good));
  }
}

TEST_CASE("sealing, opening and rekeying allocate nothing", "[crypto][aead]") {
  const AeadBackend backend = GENERATE(from_range(aead_backends()));
  CAPTURE(name_of(backend));
  Aead aead = aead_with(1, backend);
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

TEST_CASE("what one backend seals another opens, and seals to the same bytes", "[crypto][aead]") {
  const std::uint32_t seed = 20261123;
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const auto fill = [&](auto& bytes) {
    for (Byte& byte : bytes)
      byte = static_cast<Byte>(random());
  };
  if (aead_backends().size() < 2) return;  // it has said so
  for (int i = 0; i < 1400; ++i) {
    Secret<32> key;
    for (Byte& byte : key.writable())
      byte = static_cast<Byte>(random());
    Aead slow = *Aead::create(key, AeadBackend::openssl);
    Aead fast = *Aead::create(key, AeadBackend::ipsec_mb);
    Sealed a;
    fill(a.nonce);
    a.aad.resize(random() % 4 == 0 ? random() % 80 : 8);
    fill(a.aad);
    a.text.resize(i < 1200 ? std::size_t(i)
                           : random() % 66000);  // each length around every block of VAES
    fill(a.text);
    const std::vector<Byte> plain = a.text;
    Sealed b = a;
    slow.seal(a.nonce, a.aad, a.text, a.tag);
    fast.seal(b.nonce, b.aad, b.text, b.tag);
    const bool is_same = a.text == b.text && a.tag == b.tag;
    const bool opened = fast.open(a.nonce, a.aad, a.text, a.tag) &&
                        slow.open(b.nonce, b.aad, b.text, b.tag) && a.text == plain &&
                        b.text == plain;
    if (!is_same || !opened) FAIL("text of " << plain.size() << ", aad of " << a.aad.size());
  }
}

TEST_CASE("a key's schedule is wiped when it dies, and when another takes its place",
          "[crypto][aead]") {
  const AeadBackend backend = GENERATE(from_range(aead_backends()));
  CAPTURE(name_of(backend));
  constexpr Byte mask = 0x5a;
  std::array<Byte, 32> masked{};  // the question, which must not be its own answer
  std::optional<Aead> aead;
  {
    const auto key = Secret<32>::random();
    std::transform(key.reveal().begin(), key.reveal().end(), masked.begin(),
                   [](Byte byte) { return static_cast<Byte>(byte ^ mask); });
    aead.emplace(*Aead::create(key, backend));
  }
  static_cast<void>(seal_with(*aead, 1420, 8));
  const auto alive = test::count_in_memory(masked, mask);
  if (!alive) {
    WARN("this build has its own allocator (a sanitizer's), so memory is not searched");
    return;
  }
  REQUIRE(*alive >= 1);  // the first two round keys are the key itself
  SECTION("death") {
    CHECK(test::count_in_freed(masked, mask, [&] { aead.reset(); }) == 0U);
    CHECK(test::count_in_memory(masked, mask) == 0U);
  }
  SECTION("another key") {
    aead->rekey(key_of(9));
    CHECK(test::count_in_memory(masked, mask) == 0U);
  }
}

TEST_CASE("a block that is freed unwiped is seen", "[crypto][aead]") {
  auto block = std::make_unique<std::array<Byte, 64>>();
  block->fill(7);
  const std::array<Byte, 16> masked{};
  const auto found = test::count_in_freed(masked, 7, [&] { test::keep(block.release()); });
  if (found) CHECK(*found == 1U);
}

TEST_CASE("texts at any address and with anything behind them are sealed where they lie",
          "[crypto][aead]") {
  const AeadBackend backend = GENERATE(from_range(aead_backends()));
  CAPTURE(name_of(backend));
  Aead aead = aead_with(1, backend);
  for (std::size_t at = 0; at < 66; ++at) {
    for (const std::size_t size : {1U, 63U, 64U, 255U, 256U, 257U, 1420U}) {
      std::vector<Byte> room(at + size + 64, 0x77);
      const ByteSpan text = ByteSpan(room).subspan(at, size);
      Tag tag{};
      const Nonce nonce{};
      aead.seal(nonce, {}, text, tag);
      CHECK(std::count(room.begin(), room.begin() + std::ptrdiff_t(at), 0x77) ==
            std::ptrdiff_t(at));
      CHECK(std::count(room.end() - 64, room.end(), 0x77) == 64);
      CHECK(aead.open(nonce, {}, text, tag));
      CHECK(std::count(room.begin(), room.end(), 0x77) == std::ptrdiff_t(room.size()));
    }
  }
}

TEST_CASE("automatic takes the fast backend where the processor is made for it", "[crypto][aead]") {
  const auto chosen = resolve(AeadBackend::automatic);
  REQUIRE(chosen);
  CHECK((*chosen == AeadBackend::ipsec_mb) == ipsec_mb_support().is_fast);
  CHECK(ipsec_mb_support().is_fast == ipsec_mb_support().why_not.empty());
  CHECK(Aead::create(key_of(1))->backend() == *chosen);
  CHECK(resolve(AeadBackend::openssl) == AeadBackend::openssl);
  const auto wanted = resolve(AeadBackend::ipsec_mb);
  CHECK(wanted.has_value() == ipsec_mb_support().is_usable);
  if (!wanted) {
    CHECK(wanted.error().code == Errc::unsupported);
    CHECK_THAT(wanted.error().what, Catch::Contains("aead = \"automatic\""));
  }
}

}  // namespace
}  // namespace lt::crypto

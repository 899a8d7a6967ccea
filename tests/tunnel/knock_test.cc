#include "tunnel/knock.h"

#include <set>

#include "tests/tunnel/handshake_ends.h"

namespace lt::tunnel {
namespace {

using testing::offsite;
using testing::psk_one;
using testing::psk_two;

TEST_CASE("a knock made with the server's key is taken, and its random bytes come out",
          "[tunnel][knock][P-2][P-3]") {
  const KnockKey key(offsite().key(), {});
  const auto knock = key.make();
  CHECK(as_text(ByteView(knock).first(4)) == std::string_view("LT1\0", 4));
  CHECK(load_be32(knock.data() + 4) == 0);
  const auto random = key.check(knock);
  REQUIRE(random);
  CHECK(std::equal(random->begin(), random->end(), knock.begin() + 8));
}

TEST_CASE("no two knocks have the same random bytes", "[tunnel][knock][P-2]") {
  const KnockKey key(offsite().key(), {});
  std::set<std::array<Byte, knock_bytes>> seen;
  for (int i = 0; i < 64; ++i)
    CHECK(seen.insert(key.make()).second);
}

TEST_CASE("a knock with any of its 320 bits flipped is refused", "[tunnel][knock][P-3][P-4]") {
  const KnockKey key(offsite().key(), psk_one);
  const auto good = key.make();
  for (std::size_t bit = 0; bit < knock_bytes * 8; ++bit) {
    auto bad = good;
    bad[bit / 8] ^= static_cast<Byte>(1U << bit % 8);
    INFO("bit " << bit);
    CHECK_FALSE(key.check(bad));
  }
  CHECK(key.check(good));
}

TEST_CASE("a knock that is signed but does not open as LT1 does is refused",
          "[tunnel][knock][P-4]") {
  // Signed with the right key: only the opening is wrong.
  const auto& server = offsite().key();
  std::vector<Byte> material(server.begin(), server.end());
  material.resize(64);
  const auto extracted = crypto::hkdf_extract(as_bytes("LT1 knock"), material);
  std::array<Byte, 32> secret{};
  crypto::expand_label(extracted.reveal(), "knock", secret);
  const KnockKey key(server, {});
  auto knock = key.make();
  for (std::size_t at = 0; at < 8; ++at) {
    auto bad = knock;
    bad[at] ^= 1;
    const auto mac = crypto::hmac_sha256(secret, {ByteView(bad).first(24)});
    std::copy_n(mac.begin(), 16, bad.begin() + 24);
    CHECK_FALSE(key.check(bad));
  }
  const auto mac = crypto::hmac_sha256(secret, {ByteView(knock).first(24)});
  CHECK(std::equal(mac.begin(), mac.begin() + 16, knock.begin() + 24));
}

TEST_CASE("a knock for another server, or with another pre-shared key, is refused",
          "[tunnel][knock][P-4]") {
  const KnockKey key(offsite().key(), psk_one);
  CHECK_FALSE(key.check(KnockKey(testing::third().key(), psk_one).make()));
  CHECK_FALSE(key.check(KnockKey(offsite().key(), psk_two).make()));
  CHECK_FALSE(key.check(KnockKey(offsite().key(), {}).make()));
  CHECK(key.check(KnockKey(offsite().key(), psk_one).make()));
}

}  // namespace
}  // namespace lt::tunnel

// The knock: right when, and only when, its opening and all 16 bytes of its tag are, by a reckoning of our own; and not
// one byte for whoever gets it wrong.
#include "crypto/kdf.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sites.h"
#include "tunnel/knock.h"

namespace lt::fuzz {

namespace {

using namespace tunnel;

constexpr std::size_t signed_bytes = 24;

std::array<Byte, 32> tag_of(ByteView psk, ByteView signed_part) {
  std::vector<Byte> material(64);  // the server's key, then the PSK or zeros
  std::copy(offsite().key().begin(), offsite().key().end(), material.begin());
  std::copy(psk.begin(), psk.end(), material.begin() + 32);
  crypto::Secret<32> key;
  crypto::expand_label(crypto::hkdf_extract(as_bytes("LT1 knock"), material).reveal(), "knock", key.writable());
  return crypto::hmac_sha256(key.reveal(), {signed_part});
}

// What the server does with bytes that begin with this knock, in portions of the fuzzer's choice.
void knock_at_door(std::span<const Byte, knock_bytes> knock, bool is_right, ByteView psk, Choices& choices) {
  HandshakeOptions options = server_options();
  options.psk = psk;
  Handshake server = make_handshake(options);
  std::size_t at = 0;
  while (at < knock_bytes) {
    expect(!server.has_knocked(), "a knock is complete with its 40th byte");
    const std::size_t count = std::min(1 + choices.below(knock_bytes), knock_bytes - at);
    const auto status = server.on_bytes(knock.subspan(at, count));
    at += count;
    expect(status.has_value() == (at < knock_bytes || is_right), "only a complete and wrong knock is refused");
    expect(server.take_output().empty(), "no knock is answered, right or wrong");
  }
  expect(server.has_knocked() == is_right, "the server believes a right knock, and no other");
  if (is_right) return;
  expect(!server.on_bytes(choices.rest()).has_value(), "a refusal is final");
  expect(server.take_output().empty() && !server.is_established(), "a stranger hears nothing, whatever follows");
}

}  // namespace

void run(ByteView input) {
  Choices choices(input);
  const Byte mode = choices.u8();
  const ByteView psk = (mode & 1) != 0 ? ByteView(psk_one) : ByteView();
  const KnockKey key(offsite().key(), psk);

  std::array<Byte, knock_bytes> knock{};
  const ByteView text = choices.take((mode & 2) != 0 ? knock_bytes : signed_bytes);
  std::copy(text.begin(), text.end(), knock.begin());
  if ((mode & 4) != 0) knock = key.make();
  if ((mode & 2) == 0) {
    if ((mode & 8) == 0) std::copy_n("LT1\0\0\0\0", 8, knock.begin());
    const auto tag = tag_of(psk, ByteView(knock).first(signed_bytes));
    std::copy_n(tag.begin(), knock_bytes - signed_bytes, knock.begin() + signed_bytes);
  }
  for (std::size_t edits = choices.below(4); edits > 0; --edits) {
    const std::size_t at = choices.below(knock_bytes);
    knock[at] = static_cast<Byte>(knock[at] ^ choices.u8());
  }

  constexpr std::array<Byte, 8> opening{'L', 'T', '1', 0, 0, 0, 0, 0};
  const auto tag = tag_of(psk, ByteView(knock).first(signed_bytes));
  const bool is_right = std::equal(opening.begin(), opening.end(), knock.begin()) &&
                        std::equal(knock.begin() + signed_bytes, knock.end(), tag.begin());
  const auto random = key.check(knock);
  expect(random.has_value() == is_right, "a knock is right when its opening and its whole tag are");
  if (random) {
    expect(std::equal(random->begin(), random->end(), knock.begin() + opening.size()),
           "the random bytes are those of the knock");
  }
  if ((mode & 16) != 0) knock_at_door(knock, is_right, psk, choices);
}

}  // namespace lt::fuzz

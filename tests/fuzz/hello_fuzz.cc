// HELLO, ACCEPT and REJECT: what is read says the same when it is written again, lies within its bounds, and may be
// shown to a person.
#include "tests/fuzz/fuzz.h"
#include "tunnel/hello.h"
#include "tunnel/limits.h"

namespace lt::fuzz {

namespace {

using namespace tunnel;

void expect_bounds(std::uint32_t record_limit, std::uint32_t tun_mtu) {
  expect(record_limit >= record_limit_min && record_limit <= record_limit_max, "a record limit is within its bounds");
  expect(tun_mtu >= tun_mtu_min && tun_mtu <= tun_mtu_max, "a tunnel MTU is within its bounds");
}

// A message of a fixed size from the fuzzer's bytes, which begin it as a sound one would: half of the choices.
template <std::size_t N>
std::array<Byte, N> message(Choices& choices, std::array<Byte, N> sound) {
  if (choices.truth()) {
    const ByteView bytes = choices.take(N);
    std::copy(bytes.begin(), bytes.end(), sound.begin());
    return sound;
  }
  while (!choices.at_end()) {
    const std::size_t at = choices.below(N);
    sound[at] = choices.u8();
  }
  return sound;
}

void take_hello(Choices& choices) {
  Hello sound;
  sound.offer.record_limit = record_limit_min;
  sound.offer.tun_mtu = 1500;
  const auto bytes = message(choices, encode(sound));
  const auto hello = decode_hello(bytes);
  if (!hello) return expect(is_showable(hello.error().what), "the reason may be shown");
  expect_bounds(hello->offer.record_limit, hello->offer.tun_mtu);
  expect(encode(*hello) == bytes, "no byte of a HELLO is passed over");
}

void take_accept(Choices& choices) {
  Accept sound;
  sound.record_limit = record_limit_min;
  sound.tun_mtu = 1500;
  const auto bytes = message(choices, encode(sound));
  const auto accept = decode_accept(bytes);
  if (!accept) return expect(is_showable(accept.error().what), "the reason may be shown");
  expect_bounds(accept->record_limit, accept->tun_mtu);
  expect(encode(*accept) == bytes, "no byte of an ACCEPT is passed over");
}

// As the handshake reads a reply: four bytes say how many follow.
void take_reply(Choices& choices) {
  auto bytes = copy_of(choices.take(reject_header_bytes));
  bytes.resize(reject_header_bytes);
  const auto length = reply_length(std::span<const Byte, reject_header_bytes>(bytes));
  if (!length) return expect(is_showable(length.error().what), "the reason may be shown");
  expect(*length >= reject_header_bytes && *length <= reject_header_bytes + reject_text_bytes_max,
         "a reply has at most a header and a text of 120 bytes");
  const ByteView rest = choices.take(*length - reject_header_bytes);
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  bytes.resize(*length);
  if (is_accept(bytes)) {
    expect(*length == accept_bytes, "an ACCEPT has its own size");
    return;
  }
  const auto reject = decode_reject(bytes);
  if (!reject) return expect(is_showable(reject.error().what), "the reason may be shown");
  expect(is_showable(reject->text) && reject->text.find('\n') == std::string::npos, "a REJECT's text may be shown");
  expect(encode(*reject) == bytes, "no byte of a REJECT is passed over");
}

}  // namespace

void run(ByteView input) {
  Choices choices(input);
  switch (choices.below(3)) {
    case 0: return take_hello(choices);
    case 1: return take_accept(choices);
    default: return take_reply(choices);
  }
}

}  // namespace lt::fuzz

#include "tunnel/hello.h"

#include <catch2/catch.hpp>

#include "tunnel/limits.h"

namespace lt::tunnel {
namespace {

Hello a_hello() {
  Hello hello;
  hello.capabilities = 0x0102;
  hello.offer.boot_id.fill(0x11);
  hello.offer.record_limit = 0x00040000;
  hello.offer.tun_mtu = 9000;
  hello.offer.prefix_hash.fill(0x22);
  hello.offer.psk_used = true;
  hello.offer.lane_count = 3;
  hello.mac.fill(0x33);
  return hello;
}

// The third lane of a session, in place of one that still runs.
Hello a_join() {
  Hello hello = a_hello();
  hello.session_id.fill(0x44);
  hello.lane_index = 2;
  hello.take_over = TakeOver::graceful;
  hello.join_mac.fill(0x66);
  return hello;
}

Accept an_accept() {
  Accept accept{.capabilities = 0x0102,
                .session_id = {},
                .record_limit = 262144,
                .tun_mtu = 1500,
                .lane_count = 4,
                .express = false,
                .mac = {}};
  accept.session_id.fill(0x44);
  accept.mac.fill(0x55);
  return accept;
}

TEST_CASE("HELLO has each field where the protocol says", "[tunnel][hello][P-11]") {
  const auto bytes = encode(a_hello());
  CHECK(to_hex(bytes) == "01010102" + std::string(32, '1') + std::string(32, '0') + "0003" +
                             "0000" + "00040000" + "00002328" + std::string(64, '2') + "01" +
                             std::string(14, '0') + std::string(64, '0') + std::string(64, '3'));
  const auto back = decode_hello(bytes);
  REQUIRE(back);
  CHECK(encode(*back) == bytes);
  CHECK(back->capabilities == 0x0102);
  CHECK(back->offer.boot_id == a_hello().offer.boot_id);
  CHECK(back->offer.tun_mtu == 9000);
  CHECK(back->offer.psk_used);
  CHECK(back->offer.lane_count == 3);
  CHECK_FALSE(back->offer.express);
  CHECK_FALSE(back->is_join());
}

TEST_CASE("the HELLO of a join has each field where the protocol says", "[tunnel][hello][P-64]") {
  Hello hello = a_join();
  hello.offer.express = true;
  const auto bytes = encode(hello);
  CHECK(to_hex(bytes) == "01010103" + std::string(32, '1') + std::string(32, '4') + "020301" +
                             "00" + "00040000" + "00002328" + std::string(64, '2') + "01" +
                             std::string(14, '0') + std::string(64, '6') + std::string(64, '3'));
  const auto back = decode_hello(bytes);
  REQUIRE(back);
  CHECK(encode(*back) == bytes);
  CHECK(back->is_join());
  CHECK(back->session_id == hello.session_id);
  CHECK(back->lane_index == 2);
  CHECK(back->take_over == TakeOver::graceful);
  CHECK(back->join_mac == hello.join_mac);
  CHECK(back->offer.express);
}

TEST_CASE("each index below each count of lanes is taken, and none at or beyond it",
          "[tunnel][hello][P-13]") {
  for (unsigned count = 0; count < 256; ++count) {
    for (unsigned index = 0; index < 256; ++index) {
      auto bytes = encode(a_join());
      bytes[36] = static_cast<Byte>(index);
      bytes[37] = static_cast<Byte>(count);
      const bool is_sound = count >= 1 && count <= 16 && index < count;
      if (decode_hello(bytes).has_value() != is_sound) FAIL("lane " << index << " of " << count);
    }
  }
  for (unsigned take_over = 0; take_over < 256; ++take_over) {
    auto bytes = encode(a_join());
    bytes[38] = static_cast<Byte>(take_over);
    INFO("take_over " << take_over);
    CHECK(decode_hello(bytes).has_value() == (take_over <= 2));
  }
}

TEST_CASE("ACCEPT has each field where the protocol says", "[tunnel][hello][P-17]") {
  const auto bytes = encode(an_accept());
  CHECK(to_hex(bytes) ==
        "02010102" + std::string(32, '4') + "00040000" + "000005dc" + "04" + "000000" +
            std::string(64, '5'));
  const auto back = decode_accept(bytes);
  REQUIRE(back);
  CHECK(encode(*back) == bytes);
  CHECK(back->lane_count == 4);
  CHECK_FALSE(back->express);
  Accept accept = an_accept();
  accept.express = true;
  CHECK(encode(accept)[3] == 3);
  CHECK(decode_accept(encode(accept))->express);
}

struct BadByte {
  const char* what;
  std::size_t at;
  Byte value;
  Errc code;
};

TEST_CASE("a HELLO with a field out of range is refused, each by itself",
          "[tunnel][hello][P-12][P-13]") {
  const BadByte bad = GENERATE(values<BadByte>({
      {"type", 0, 2, Errc::protocol},
      {"version 0", 1, 0, Errc::rejected},
      {"version 2", 1, 2, Errc::rejected},
      {"lane index of a new session", 36, 1, Errc::protocol},
      {"lane index beyond the count", 36, 3, Errc::protocol},
      {"lane count 0", 37, 0, Errc::protocol},
      {"lane count 17", 37, 17, Errc::protocol},
      {"lane count 255", 37, 255, Errc::protocol},
      {"take-over by a new session", 38, 1, Errc::protocol},
      {"take-over 3", 38, 3, Errc::protocol},
      {"reserved", 39, 0x80, Errc::protocol},
      {"psk_used 2", 80, 2, Errc::protocol},
      {"psk_used 255", 80, 255, Errc::protocol},
      {"reserved behind psk_used", 81, 1, Errc::protocol},
      {"reserved, last byte", 87, 1, Errc::protocol},
      {"join MAC of a new session, first byte", 88, 1, Errc::protocol},
      {"join MAC of a new session, last byte", 119, 0x80, Errc::protocol},
  }));
  INFO(bad.what);
  auto bytes = encode(a_hello());
  REQUIRE(decode_hello(bytes));
  bytes[bad.at] = bad.value;
  const auto hello = decode_hello(bytes);
  REQUIRE_FALSE(hello);
  CHECK(hello.error().code == bad.code);
  CHECK_FALSE(hello.error().what.empty());
}

TEST_CASE("every byte of HELLO that must be zero is looked at", "[tunnel][hello][P-13]") {
  const bool is_join = GENERATE(false, true);
  for (std::size_t at = 0; at < 120; ++at) {
    const bool is_reserved = at == 39 || (at >= 81 && at < 88);
    const bool is_of_a_join = at == 36 || at == 38 || (at >= 88 && at < 120);
    if (!is_reserved && (is_join || !is_of_a_join)) continue;
    for (unsigned bit = 0; bit < 8; ++bit) {
      auto bytes = encode(is_join ? a_join() : a_hello());
      bytes[at] ^= static_cast<Byte>(1U << bit);
      INFO("byte " << at << " bit " << bit << (is_join ? " of a join" : " of a new session"));
      CHECK_FALSE(decode_hello(bytes));
    }
  }
}

TEST_CASE("the limits of HELLO are taken up to their bounds and not beyond",
          "[tunnel][hello][P-13]") {
  const auto decodes = [](std::uint32_t record_limit, std::uint32_t mtu) {
    Hello hello = a_hello();
    hello.offer.record_limit = record_limit;
    hello.offer.tun_mtu = mtu;
    return decode_hello(encode(hello)).has_value();
  };
  CHECK(decodes(69'632, 576));
  CHECK(decodes(1'048'576, 65'535));
  CHECK_FALSE(decodes(69'631, 1500));
  CHECK_FALSE(decodes(1'048'577, 1500));
  CHECK_FALSE(decodes(0, 1500));
  CHECK_FALSE(decodes(0xffffffff, 1500));
  CHECK_FALSE(decodes(262'144, 575));
  CHECK_FALSE(decodes(262'144, 65'536));
  CHECK_FALSE(decodes(262'144, 0));
  CHECK_FALSE(decodes(262'144, 0xffffffff));
}

TEST_CASE("an ACCEPT of another version or with limits out of range is refused",
          "[tunnel][hello][P-18]") {
  const auto decodes = [](const Accept& accept) {
    return decode_accept(encode(accept)).has_value();
  };
  CHECK(decodes(an_accept()));
  Accept accept = an_accept();
  accept.record_limit = 69'631;
  CHECK_FALSE(decodes(accept));
  accept.record_limit = 1'048'577;
  CHECK_FALSE(decodes(accept));
  accept = an_accept();
  accept.tun_mtu = 575;
  CHECK_FALSE(decodes(accept));
  accept.tun_mtu = 65'536;
  CHECK_FALSE(decodes(accept));
  for (unsigned count = 0; count < 256; ++count) {
    accept = an_accept();
    accept.lane_count = static_cast<std::uint8_t>(count);
    INFO("lane count " << count);
    CHECK(decodes(accept) == (count >= 1 && count <= 16));
  }
  for (std::size_t at = 29; at < 32; ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      auto with_bit = encode(an_accept());
      with_bit[at] ^= static_cast<Byte>(1U << bit);
      INFO("byte " << at << " bit " << bit);
      CHECK_FALSE(decode_accept(with_bit));
    }
  }
  accept = an_accept();
  accept.lane_count = 1;
  accept.express = true;
  CHECK_FALSE(decodes(accept));  // one lane cannot be both
  auto bytes = encode(an_accept());
  bytes[1] = 2;
  const auto other = decode_accept(bytes);
  REQUIRE_FALSE(other);
  CHECK(other.error().what == "the peer speaks LT2, this program LT1: upgrade the older end");
  bytes = encode(an_accept());
  bytes[0] = 3;
  CHECK_FALSE(decode_accept(bytes));
}

TEST_CASE("a REJECT says its code and text, and each length up to 120 is taken",
          "[tunnel][hello][P-19]") {
  for (const std::size_t size : {0U, 1U, 119U, 120U}) {
    const auto bytes = encode(Reject{RejectCode::busy, std::string(size, '~')});
    CHECK(bytes.size() == 4 + size);
    const auto length = reply_length(std::span<const Byte, 4>(bytes.data(), 4));
    REQUIRE(length);
    CHECK(*length == bytes.size());
    const auto back = decode_reject(bytes);
    REQUIRE(back);
    CHECK(back->code == RejectCode::busy);
    CHECK(back->text == std::string(size, '~'));
  }
}

TEST_CASE("a REJECT with too long a text is refused before the text is read",
          "[tunnel][hello][P-19]") {
  for (const std::uint16_t size : {std::uint16_t{121}, std::uint16_t{256}, std::uint16_t{65535}}) {
    std::array<Byte, 4> head{3, 1, static_cast<Byte>(size >> 8), static_cast<Byte>(size)};
    CHECK_FALSE(reply_length(head));
  }
  for (unsigned type = 0; type < 256; ++type) {
    const std::array<Byte, 4> head{static_cast<Byte>(type), 1, 0, 0};
    CHECK(reply_length(head).has_value() == (type == 2 || type == 3));
  }
}

TEST_CASE("a REJECT's text is printable ASCII, or none of it is shown", "[tunnel][hello][P-19]") {
  for (unsigned c = 0; c < 256; ++c) {
    std::vector<Byte> bytes = encode(Reject{RejectCode::version, "aXb"});
    bytes[5] = static_cast<Byte>(c);
    const auto reject = decode_reject(bytes);
    INFO("character " << c);
    CHECK(reject.has_value() == (c >= 0x20 && c <= 0x7e));
    if (!reject) CHECK(reject.error().what == "a REJECT whose text is not printable ASCII");
  }
  for (unsigned code = 0; code < 256; ++code) {
    std::vector<Byte> bytes = encode(Reject{RejectCode::version, "a"});
    bytes[1] = static_cast<Byte>(code);
    CHECK(decode_reject(bytes).has_value() == (code >= 1 && code <= 7));
  }
}

}  // namespace
}  // namespace lt::tunnel

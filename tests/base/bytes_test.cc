#include "base/bytes.h"

#include <catch2/catch.hpp>
#include <random>

namespace lt {
namespace {

TEST_CASE("integers stand in network order", "[base][bytes]") {
  Byte raw[8];
  store_be64(raw, 0x0123456789abcdef);
  CHECK(to_hex(raw) == "0123456789abcdef");
  CHECK(load_be64(raw) == 0x0123456789abcdef);
  CHECK(load_be32(raw) == 0x01234567);
  CHECK(load_be16(raw) == 0x0123);
  store_be16(raw, 0xfffe);
  CHECK(load_be16(raw) == 0xfffe);
  store_be32(raw, 0xffffffff);
  CHECK(load_be32(raw) == 0xffffffff);
}

TEST_CASE("a reader gives what is there and nothing beyond it", "[base][bytes]") {
  const std::vector<Byte> bytes{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  Reader reader(bytes);
  CHECK(reader.u8() == 1);
  CHECK(reader.u16() == 0x0203);
  CHECK(reader.u32() == 0x04050607);
  CHECK(reader.u64() == 0x08090a0b0c0d0e0f);
  CHECK(reader.left() == 0);
  CHECK_FALSE(reader.u8());
  CHECK(reader.take(0));
}

TEST_CASE("a read that is one byte too long yields nothing and moves nothing", "[base][bytes]") {
  const std::vector<Byte> bytes{1, 2, 3, 4, 5, 6, 7};
  Reader reader(bytes);
  CHECK_FALSE(reader.u64());
  CHECK_FALSE(reader.take(8));
  CHECK_FALSE(reader.array<8>());
  CHECK_FALSE(reader.take(~std::size_t{0}));
  CHECK(reader.left() == 7);
  CHECK(reader.array<7>() == std::array<Byte, 7>{1, 2, 3, 4, 5, 6, 7});
  CHECK_FALSE(reader.u16());
}

TEST_CASE("what a writer wrote a reader reads", "[base][bytes]") {
  const auto bytes =
      Writer().u8(1).u16(2).u32(3).u64(4).append("text").append(std::array<Byte, 2>{9, 8}).take();
  CHECK(to_hex(bytes) ==
        "01"
        "0002"
        "00000003"
        "0000000000000004"
        "74657874"
        "0908");
  Reader reader(bytes);
  CHECK(reader.u8() == 1);
  CHECK(reader.u16() == 2);
  CHECK(reader.u32() == 3);
  CHECK(reader.u64() == 4);
  CHECK(as_text(*reader.take(4)) == "text");
}

TEST_CASE("hex is read in both cases and refused when it is none", "[base][bytes]") {
  CHECK(from_hex("00fFAa10") == std::vector<Byte>{0, 0xff, 0xaa, 0x10});
  CHECK(from_hex("") == std::vector<Byte>{});
  for (const char* bad : {"0", "000", "0g", "g0", " 00", "0x00", "00 ", "-1"})
    CHECK_FALSE(from_hex(bad));
  for (unsigned value = 0; value < 256; ++value) {
    const Byte byte = static_cast<Byte>(value);
    CHECK(from_hex(to_hex({&byte, 1})) == std::vector<Byte>{byte});
  }
}

TEST_CASE("base64 is that of RFC 4648", "[base][bytes]") {
  const std::pair<const char*, const char*> known[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"foobar", "Zm9vYmFy"}};
  for (const auto& [text, encoded] : known) {
    CHECK(to_base64(as_bytes(text)) == encoded);
    const auto back = from_base64(encoded);
    REQUIRE(back);
    CHECK(as_text(*back) == text);
  }
  CHECK(to_base64(std::array<Byte, 3>{0xfb, 0xff, 0xfe}) == "+//+");
}

TEST_CASE("base64 that is not exactly right is refused", "[base][bytes]") {
  for (const char* bad : {"Z", "Zg", "Zg=", "Zg===", "=", "====", "Z===", "Zg==Zg==", "Zm9v\n",
                          " Zm9v", "Zm9-", "Zm9_", "Zm=v", "Zm8=Zm8="}) {
    INFO(bad);
    CHECK_FALSE(from_base64(bad));
  }
  // Bits that no byte uses must be zero: one value has one spelling.
  CHECK_FALSE(from_base64("Zh=="));
  CHECK_FALSE(from_base64("Zm9="));
}

TEST_CASE("random bytes survive both encodings, at every length", "[base][bytes]") {
  constexpr unsigned seed = 9;
  INFO("seed " << seed);
  std::minstd_rand random(seed);
  for (std::size_t size = 0; size < 100; ++size) {
    std::vector<Byte> bytes(size);
    for (Byte& byte : bytes)
      byte = static_cast<Byte>(random() >> 8);
    CHECK(from_hex(to_hex(bytes)) == bytes);
    CHECK(from_base64(to_base64(bytes)) == bytes);
  }
}

}  // namespace
}  // namespace lt

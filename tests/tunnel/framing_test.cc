#include "tunnel/framing.h"

#include <catch2/catch.hpp>
#include <random>

#include "tunnel/limits.h"

namespace lt::tunnel {
namespace {

using Header = std::array<Byte, record_header_bytes>;

constexpr std::size_t limit = record_limit_min;

Header header(std::uint8_t type, std::size_t length) {
  Header bytes{record_sync, type, 0, 0};
  store_be32(bytes.data() + 4, static_cast<std::uint32_t>(length));
  return bytes;
}

TEST_CASE("a header says type and size of its record", "[tunnel][framing][P-27]") {
  for (std::uint8_t type = 1; type <= 5; ++type) {
    const auto parsed = parse_record_header(header(type, 17), limit);
    REQUIRE(parsed);
    CHECK(parsed->type == static_cast<RecordType>(type));
    CHECK(parsed->record_bytes == 25);
  }
}

TEST_CASE("every first byte but A5 and every type but 1 to 5 is fatal", "[tunnel][framing][P-28]") {
  for (unsigned value = 0; value < 256; ++value) {
    Header bytes = header(1, 100);
    bytes[0] = static_cast<Byte>(value);
    CHECK(parse_record_header(bytes, limit).has_value() == (value == record_sync));
    CHECK(parse_record_header(header(static_cast<std::uint8_t>(value), 100), limit).has_value() ==
          (value >= 1 && value <= 5));
  }
}

TEST_CASE("each reserved bit of a header is fatal, and the sentence says which fault it is",
          "[tunnel][framing][P-28]") {
  for (unsigned bit = 0; bit < 16; ++bit) {
    Header bytes = header(1, 100);
    bytes[2 + bit / 8] = static_cast<Byte>(1U << bit % 8);
    const auto parsed = parse_record_header(bytes, limit);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == Errc::protocol);
    CHECK(parsed.error().what == "reserved bits of a record are set");
  }
  Header tls_alert = header(1, 100);
  tls_alert[0] = 0x15;
  CHECK(parse_record_header(tls_alert, limit).error().what ==
        "a record begins with byte 15, not with a5");
  CHECK(parse_record_header(header(6, 100), limit).error().what ==
        "a record of the unknown type 6");
}

TEST_CASE("a length is taken from 17 to the record limit and the tag", "[tunnel][framing][P-28]") {
  for (const std::size_t length :
       {0UL, 1UL, 15UL, 16UL, limit + 17, limit + 18, 0x7fffffffUL, 0x80000000UL, 0xffffffffUL}) {
    INFO(length);
    CHECK_FALSE(parse_record_header(header(1, length), limit));
  }
  for (const std::size_t length : {17UL, 18UL, limit, limit + 15, limit + 16}) {
    INFO(length);
    CHECK(parse_record_header(header(1, length), limit));
  }
}

TEST_CASE("a bad header is judged before its body is waited for", "[tunnel][framing][P-28]") {
  ReceiveBuffer buffer(receive_buffer_bytes(record_limit_max));
  const Header bad = header(1, limit + 17);
  for (std::size_t i = 0; i < bad.size(); ++i) {
    REQUIRE(buffer.next_record(limit));
    CHECK_FALSE(*buffer.next_record(limit));
    buffer.free_space()[0] = bad[i];
    buffer.received(1);
  }
  CHECK_FALSE(buffer.next_record(limit));
}

TEST_CASE("a stream in portions of any size yields its records in order, whole",
          "[tunnel][framing][P-32]") {
  const unsigned seed = GENERATE(1U, 2U, 3U, 4U);
  INFO("seed " << seed);
  std::minstd_rand random(seed);
  const auto below = [&](std::size_t n) { return (random() >> 3) % n; };
  std::vector<Byte> stream;
  std::vector<std::vector<Byte>> expected;
  for (int i = 0; i < 40; ++i) {
    const std::size_t length = 17 + (below(3) == 0 ? below(limit - 1) : below(200));
    std::vector<Byte> record(record_header_bytes + length);
    const Header head = header(static_cast<std::uint8_t>(1 + below(5)), length);
    std::copy(head.begin(), head.end(), record.begin());
    for (std::size_t at = head.size(); at < record.size(); ++at)
      record[at] = static_cast<Byte>(random());
    stream.insert(stream.end(), record.begin(), record.end());
    expected.push_back(std::move(record));
  }
  ReceiveBuffer buffer(3 * (limit + record_overhead_bytes) / 2);
  std::size_t fed = 0;
  std::size_t found = 0;
  while (fed < stream.size() || buffer.held() != 0) {
    for (;;) {
      const auto record = buffer.next_record(limit);
      REQUIRE(record);
      if (!*record) break;
      REQUIRE(found < expected.size());
      CHECK(std::ranges::equal((*record)->second, expected[found]));
      CHECK(static_cast<Byte>((*record)->first) == expected[found][1]);
      ++found;
    }
    if (fed == stream.size()) break;
    buffer.make_room(limit + record_overhead_bytes);
    REQUIRE_FALSE(buffer.free_space().empty());
    const std::size_t count =
        std::min({1 + below(90'000), buffer.free_space().size(), stream.size() - fed});
    std::copy_n(stream.begin() + static_cast<std::ptrdiff_t>(fed), count,
                buffer.free_space().begin());
    buffer.received(count);
    fed += count;
  }
  CHECK(found == expected.size());
  CHECK(buffer.held() == 0);
}

}  // namespace
}  // namespace lt::tunnel

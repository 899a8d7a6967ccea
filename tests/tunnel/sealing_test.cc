#include "tunnel/sealing.h"

#include <catch2/catch.hpp>
#include <random>

#include "tests/tunnel/handshake_ends.h"
#include "tests/tunnel/lt1_vectors.h"
#include "tunnel/framing.h"
#include "tunnel/packing.h"

namespace lt::tunnel {
namespace {

using testing::array_of;
using testing::bytes_of;
using testing::holds;
using testing::lt1_vectors;

const Instant start = Instant(std::chrono::hours(1));

crypto::Secret<32> a_secret(Byte fill = 0x5a) {
  crypto::Secret<32> secret;
  std::fill(secret.writable().begin(), secret.writable().end(), fill);
  return secret;
}

Sealer make_sealer(RatchetLimits limits = {}, Byte fill = 0x5a) {
  auto sealer = Sealer::create(a_secret(fill), limits, start);
  REQUIRE(sealer);
  return std::move(*sealer);
}
Opener make_opener(RatchetLimits limits = {}, Byte fill = 0x5a) {
  auto opener = Opener::create(a_secret(fill), limits);
  REQUIRE(opener);
  return std::move(*opener);
}

std::vector<Byte> seal(Sealer& sealer, RecordType type, ByteView text) {
  std::vector<Byte> record(text.size() + record_overhead_bytes);
  std::copy(text.begin(), text.end(), record.begin() + record_header_bytes);
  const auto sealed = sealer.seal(type, record);
  REQUIRE(sealed);
  CHECK(sealed->bytes().data() == record.data());
  CHECK(sealed->bytes().size() == record.size());
  return record;
}

std::vector<Byte> item_of(std::size_t packet_bytes, Byte fill) {
  std::vector<Byte> bytes(item_header_bytes + packet_bytes, fill);
  pack_item_header(std::span<Byte, item_header_bytes>(bytes.data(), item_header_bytes), {},
                   packet_bytes);
  return bytes;
}

// The receiving rooms in a row: cut, open, unpack. Ends at the first fault, as a lane does.
struct Receiver {
  Opener opener = make_opener();
  ReceiveBuffer buffer{1 << 16};
  std::vector<std::vector<Byte>> delivered{};
  std::optional<std::string> fault{};

  void take(ByteView stream) {
    while (!stream.empty() && !fault) {
      buffer.make_room(1 << 14);
      const std::size_t count = std::min(stream.size(), buffer.free_space().size());
      std::copy_n(stream.begin(), count, buffer.free_space().begin());
      buffer.received(count);
      stream = stream.subspan(count);
      walk();
    }
  }
  void walk() {
    for (;;) {
      const auto found = buffer.next_record(record_limit_min);
      if (!found) return void(fault = found.error().what);
      if (!*found) return;
      const auto payload = opener.open((*found)->second);
      if (!payload) return void(fault = payload.error().what);
      if ((*found)->first != RecordType::data) continue;
      for (ItemCursor items(*payload); !items.at_end();) {
        const auto item = items.next();
        if (!item) return void(fault = item.error().what);
        delivered.emplace_back(item->packet.begin(), item->packet.end());
      }
    }
  }
};

struct Stream {
  std::vector<std::vector<Byte>> records;
  Stream() {
    Sealer sealer = make_sealer();
    for (Byte i = 0; i < 4; ++i) {
      auto payload = item_of(20, static_cast<Byte>(0xa0 + i));
      const auto second = item_of(33, static_cast<Byte>(0xb0 + i));
      payload.insert(payload.end(), second.begin(), second.end());
      records.push_back(seal(sealer, RecordType::data, payload));
    }
  }
};

TEST_CASE("records are byte for byte what an independent program seals",
          "[tunnel][sealing][P-23][P-27][P-29][P-39]") {
  const Json& known = lt1_vectors();
  auto sealer = Sealer::create(
      crypto::Secret<32>::copy_of(array_of<32>(known["without_psk"]["x0_client"])), {}, start);
  auto opener =
      Opener::create(crypto::Secret<32>::copy_of(array_of<32>(known["without_psk"]["x0_client"])));
  REQUIRE(sealer);
  REQUIRE(opener);
  for (const auto& one : known["records"]) {
    const auto type = static_cast<RecordType>(one["type"].get<int>());
    const auto text = bytes_of(one["text"]);
    auto record = seal(*sealer, type, text);
    CHECK(to_hex(record) == one["sealed"].get<std::string>());
    const auto opened = opener->open(record);
    REQUIRE(opened);
    CHECK(std::ranges::equal(*opened, text));
    if (type == RecordType::key_update) {
      sealer->ratchet(start);
      REQUIRE(opener->ratchet(start));
    }
  }
  CHECK(sealer->epoch() == 1);
  CHECK(sealer->counter() == 2);
}

TEST_CASE("what is sealed opens, for every size at the edges of a block and of a record",
          "[tunnel][sealing][P-27]") {
  Sealer sealer = make_sealer();
  Opener opener = make_opener();
  for (const std::size_t size :
       {1UL, 2UL, 15UL, 16UL, 17UL, 1500UL, 65'542UL, record_limit_min, record_limit_max}) {
    std::vector<Byte> text(size);
    for (std::size_t i = 0; i < size; ++i)
      text[i] = static_cast<Byte>(i * 7);
    auto record = seal(sealer, RecordType::data, text);
    CHECK(record.size() == size + 24);
    CHECK(to_hex(ByteView(record).first(4)) == "a5010000");
    CHECK(load_be32(record.data() + 4) == size + 16);
    const auto opened = opener.open(record);
    REQUIRE(opened);
    CHECK(std::ranges::equal(*opened, text));
  }
}

TEST_CASE("an undisturbed stream is delivered whole", "[tunnel][sealing]") {
  const Stream stream;
  Receiver receiver;
  for (const auto& record : stream.records)
    receiver.take(record);
  CHECK_FALSE(receiver.fault);
  REQUIRE(receiver.delivered.size() == 8);
  CHECK(receiver.delivered[6] == std::vector<Byte>(20, 0xa3));
  CHECK(receiver.delivered[7] == std::vector<Byte>(33, 0xb3));
}

TEST_CASE("one flipped bit anywhere in a record delivers nothing of it, and nothing after it",
          "[tunnel][sealing][P-27][P-28][P-30]") {
  const Stream stream;
  const std::size_t bits = stream.records[1].size() * 8;
  for (std::size_t bit = 0; bit < bits; ++bit) {
    auto bad = stream.records[1];
    bad[bit / 8] ^= static_cast<Byte>(1U << bit % 8);
    Receiver receiver;
    receiver.take(stream.records[0]);
    receiver.take(bad);
    receiver.take(stream.records[2]);
    receiver.take(stream.records[3]);
    INFO("bit " << bit);
    CHECK(receiver.delivered.size() == 2);
    // A longer length makes it wait for bytes that never come; everything else is a fault at once.
    const bool is_length = bit / 8 >= 4 && bit / 8 < 8;
    if (!is_length) CHECK(receiver.fault);
  }
}

TEST_CASE("a record that does not open leaves no byte of its text behind",
          "[tunnel][sealing][P-30]") {
  Sealer sealer = make_sealer();
  Opener opener = make_opener();
  auto record = seal(sealer, RecordType::data, std::vector<Byte>(64, 0xee));
  record.back() ^= 1;
  CHECK_FALSE(opener.open(record));
  CHECK(std::all_of(record.begin() + 8, record.end() - 16, [](Byte byte) { return byte == 0; }));
}

TEST_CASE("a record repeated, swapped, left out or from another direction does not open",
          "[tunnel][sealing][P-25][P-29][P-30]") {
  const Stream stream;
  Receiver receiver;
  const auto deliver = [&](std::initializer_list<std::size_t> order) {
    for (const std::size_t i : order)
      receiver.take(stream.records[i]);
  };
  SECTION("repeated at once") {
    deliver({0, 0, 1});
    CHECK(receiver.delivered.size() == 2);
  }
  SECTION("repeated later") {
    deliver({0, 1, 0, 2});
    CHECK(receiver.delivered.size() == 4);
  }
  SECTION("the first left out") {
    deliver({1, 2, 3});
    CHECK(receiver.delivered.empty());
  }
  SECTION("one in the middle left out") {
    deliver({0, 2, 3});
    CHECK(receiver.delivered.size() == 2);
  }
  SECTION("two swapped") {
    deliver({0, 2, 1, 3});
    CHECK(receiver.delivered.size() == 2);
  }
  SECTION("sealed with the key of the other direction") {
    Sealer other = make_sealer({}, 0x5b);
    receiver.take(seal(other, RecordType::data, item_of(20, 1)));
    CHECK(receiver.delivered.empty());
  }
  CHECK(receiver.fault == "a record does not open: altered, repeated or out of place");
}

TEST_CASE("a stream that ends inside a record delivers nothing of that record",
          "[tunnel][sealing][P-32]") {
  const Stream stream;
  for (std::size_t size = 0; size < stream.records[1].size(); ++size) {
    Receiver receiver;
    receiver.take(stream.records[0]);
    receiver.take(ByteView(stream.records[1]).first(size));
    CHECK_FALSE(receiver.fault);
    CHECK(receiver.delivered.size() == 2);
    CHECK(receiver.buffer.held() == size);
  }
}

TEST_CASE("bytes taken out of the middle of a stream are noticed",
          "[tunnel][sealing][P-29][P-30]") {
  const Stream stream;
  std::vector<Byte> all;
  for (const auto& record : stream.records)
    all.insert(all.end(), record.begin(), record.end());
  const std::size_t whole = stream.records[0].size();
  for (std::size_t at = 0; at < whole; ++at) {
    auto cut = all;
    cut.erase(cut.begin() + static_cast<std::ptrdiff_t>(at));
    Receiver receiver;
    receiver.take(cut);
    INFO("without byte " << at);
    CHECK(receiver.delivered.empty());
  }
}

// --- the ratchet ---

TEST_CASE("the limits of a key are those of the protocol",
          "[tunnel][sealing][P-31][P-37][P-38][P-40]") {
  const RatchetLimits limits;
  CHECK(limits.blocks_max == 4'294'967'296);
  CHECK(limits.records_max == 4'294'967'296);
  CHECK(limits.age_max == std::chrono::seconds(120));
  CHECK(limits.key_updates_max == 100);
  CHECK(key_update_window == std::chrono::seconds(60));
}

TEST_CASE("no key ever seals more blocks than it may, its KEYUPDATE included",
          "[tunnel][sealing][P-37]") {
  const unsigned seed = GENERATE(1U, 2U, 3U);
  INFO("seed " << seed);
  std::minstd_rand random(seed);
  constexpr std::uint64_t blocks_of_largest = record_limit_max / 16 + 1;
  const RatchetLimits limits{.blocks_max = blocks_of_largest + 2 + seed * 20'000};
  Sealer sealer = make_sealer(limits);
  std::uint64_t blocks = 0;  // counted as the protocol says: ceil(p / 16) + 1
  std::vector<Byte> record(record_limit_max + record_overhead_bytes);
  std::uint64_t steps = 0;
  const auto seal_of = [&](RecordType type, std::size_t size) {
    REQUIRE(sealer.seal(type, ByteSpan(record).first(size + record_overhead_bytes)));
    blocks += (size + 15) / 16 + 1;
    REQUIRE(blocks <= limits.blocks_max);
  };
  for (int i = 0; i < 40; ++i) {
    if (sealer.wants_ratchet(start)) {
      seal_of(RecordType::key_update, 1);
      sealer.ratchet(start);
      blocks = 0;
      ++steps;
      REQUIRE_FALSE(sealer.wants_ratchet(start));
    }
    const bool is_largest = random() % 3 == 0;
    seal_of(RecordType::data, is_largest ? record_limit_max : 1 + (random() >> 4) % 100'000);
  }
  CHECK(steps > 5);
  CHECK(sealer.epoch() == steps);
}

TEST_CASE("the KEYUPDATE behind the largest record still fits under the limit", "[tunnel][sealing][P-37]") {
  constexpr std::uint64_t blocks_of_largest = record_limit_max / 16 + 1;
  std::vector<Byte> record(record_limit_max + record_overhead_bytes);
  // Room for two of the largest and a KEYUPDATE (2 blocks), then for one block less.
  for (const std::uint64_t missing : {0U, 1U, 2U}) {
    Sealer sealer = make_sealer({.blocks_max = 2 * blocks_of_largest + 2 - missing});
    REQUIRE_FALSE(sealer.wants_ratchet(start));
    REQUIRE(sealer.seal(RecordType::data, record));
    CHECK(sealer.wants_ratchet(start) == (missing > 0));
  }
}

TEST_CASE("a key steps at 120 s, give or take a tenth, drawn anew each time",
          "[tunnel][sealing][P-38]") {
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  std::vector<milliseconds> ages;
  Sealer sealer = make_sealer();
  Instant made = start;
  for (int i = 0; i < 400; ++i) {
    CHECK_FALSE(sealer.wants_ratchet(made + seconds(108) - milliseconds(1)));
    CHECK(sealer.wants_ratchet(made + seconds(132)));
    milliseconds low{107'999};
    milliseconds high{132'000};
    while (high - low > milliseconds(1)) {
      const auto middle = (low + high) / 2;
      (sealer.wants_ratchet(made + middle) ? high : low) = middle;
    }
    ages.push_back(high);
    made += high;
    sealer.ratchet(made);
  }
  const auto [least, most] = std::minmax_element(ages.begin(), ages.end());
  // With 400 draws, an honest generator misses a whole tenth at one end once in 10^18.
  CHECK(*least < milliseconds(110'400));
  CHECK(*most > milliseconds(129'600));
}

TEST_CASE("the limits can be turned down, and the age is then a tenth around the smaller one",
          "[tunnel][sealing][P-38]") {
  Sealer sealer = make_sealer({.age_max = std::chrono::seconds(10)});
  CHECK_FALSE(sealer.wants_ratchet(start + std::chrono::milliseconds(8999)));
  CHECK(sealer.wants_ratchet(start + std::chrono::seconds(11)));
}

TEST_CASE("a key that has sealed all it may refuses to seal, and nothing wraps",
          "[tunnel][sealing][P-31]") {
  const RatchetLimits limits{.records_max = 5};
  Sealer sealer = make_sealer(limits);
  std::vector<Byte> record(40);
  for (int i = 0; i < 5; ++i)
    REQUIRE(sealer.seal(RecordType::data, record));
  for (int i = 0; i < 3; ++i) {
    const auto refused = sealer.seal(RecordType::data, record);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::limit);
    CHECK(sealer.counter() == 5);
  }
  sealer.ratchet(start);
  CHECK(sealer.seal(RecordType::data, record));
  CHECK(sealer.counter() == 1);
}

TEST_CASE("a peer that overuses its key is cut off, though its record is right",
          "[tunnel][sealing][P-31]") {
  Sealer sealer = make_sealer();
  Opener opener = make_opener({.records_max = 5});
  for (int i = 0; i < 5; ++i) {
    auto record = seal(sealer, RecordType::data, std::vector<Byte>(30, 1));
    REQUIRE(opener.open(record));
  }
  auto record = seal(sealer, RecordType::data, std::vector<Byte>(30, 1));
  const auto refused = opener.open(record);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().what == "the peer overuses its key");
}

TEST_CASE("after a KEYUPDATE only the next key opens, and only if both have stepped",
          "[tunnel][sealing][P-26][P-39]") {
  Sealer sealer = make_sealer();
  Opener opener = make_opener();
  auto old = seal(sealer, RecordType::data, std::vector<Byte>(30, 1));
  sealer.ratchet(start);
  auto fresh = seal(sealer, RecordType::data, std::vector<Byte>(30, 2));
  SECTION("both have stepped") {
    REQUIRE(opener.open(old));
    REQUIRE(opener.ratchet(start));
    CHECK(opener.open(fresh));
  }
  SECTION("the receiver has not") {
    REQUIRE(opener.open(old));
    CHECK_FALSE(opener.open(fresh));
  }
  SECTION("the receiver has, too early") {
    REQUIRE(opener.ratchet(start));
    CHECK_FALSE(opener.open(old));
  }
}

TEST_CASE("a secret that has been stepped over is nowhere in memory any more",
          "[tunnel][sealing][P-26]") {
  Sealer sealer = make_sealer();
  Opener opener = make_opener();
  const auto first = a_secret();
  std::array<Byte, 32> next{};
  crypto::expand_label(first.reveal(), "upd", next);
  CHECK(holds(sealer, first.reveal()));  // so the search finds what is there
  CHECK(holds(opener, first.reveal()));
  sealer.ratchet(start);
  REQUIRE(opener.ratchet(start));
  CHECK_FALSE(holds(sealer, first.reveal()));
  CHECK_FALSE(holds(opener, first.reveal()));
  CHECK(holds(sealer, next));
  CHECK(holds(opener, next));
}

TEST_CASE("a hundred KEYUPDATE within a minute are taken, one more is fatal",
          "[tunnel][sealing][P-40]") {
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  SECTION("all at once") {
    Opener opener = make_opener();
    for (int i = 0; i < 100; ++i)
      REQUIRE(opener.ratchet(start));
    const auto refused = opener.ratchet(start);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().what == "too many KEYUPDATE records");
    CHECK(opener.epoch() == 100);
  }
  SECTION("wherever the minute begins") {
    // One at 0 s, 99 just before a minute is over: the next hundred within a second are too many,
    // though no minute that is counted from the first one holds more than a hundred.
    Opener opener = make_opener();
    REQUIRE(opener.ratchet(start));
    for (int i = 0; i < 99; ++i)
      REQUIRE(opener.ratchet(start + seconds(59)));
    REQUIRE(opener.ratchet(start + milliseconds(60'001)));
    CHECK_FALSE(opener.ratchet(start + milliseconds(60'002)));
  }
  SECTION("for ever, at an honest pace") {
    Opener opener = make_opener();
    for (int i = 0; i < 1000; ++i)
      REQUIRE(opener.ratchet(start + i * milliseconds(601)));
  }
}

}  // namespace
}  // namespace lt::tunnel

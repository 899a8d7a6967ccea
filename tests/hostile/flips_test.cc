// Every single-bit flip of a record stream of 1 MiB: what is delivered from it is what was sealed before the flip, and
// not one byte more.
//
// A flip is tried by a receiver that has taken the stream up to it. So that millions of them take minutes and not years,
// the stream steps its key every few records, and a receiver begins at the last step: with the secret that the ratchet
// had come to there, which is all the state that it carries over. One receiver that takes the whole stream proves that.
#include <catch2/catch.hpp>

#include "crypto/kdf.h"
#include "tests/hostile/completeness.h"
#include "tunnel/framing.h"
#include "tunnel/packing.h"
#include "tunnel/sealing.h"

namespace lt::tunnel {
namespace {

using lt::testing::is_complete_run;
using lt::testing::seed_of_run;

constexpr std::size_t stream_bytes = 1 << 20;
constexpr std::size_t records_per_key = 8;
constexpr std::size_t packet_bytes_largest = 9000;
constexpr Instant start = Instant(std::chrono::hours(1));

using Secret = crypto::Secret<32>;

struct Record {
  RecordType type;
  std::size_t begin;               // in the stream
  std::size_t bytes;
  std::vector<Byte> payload;       // as it was sealed
  std::size_t key;                 // the epoch that it is sealed in
};

struct Stream {
  std::vector<Byte> bytes;
  std::vector<Record> records;
  std::vector<Secret> secrets;         // of each epoch
  std::vector<std::size_t> first_of;   // the first record of each epoch
};

std::vector<Byte> random_item(std::mt19937& random) {
  const std::size_t size = 20 + (random() % 4 == 0 ? random() % (packet_bytes_largest - 20) : random() % 300);
  std::vector<Byte> item(item_header_bytes + size);
  for (Byte& byte : item) byte = static_cast<Byte>(random());
  pack_item_header(std::span<Byte, item_header_bytes>(item.data(), item_header_bytes), {}, size);
  return item;
}

Stream make_stream(std::uint32_t seed) {
  std::mt19937 random(seed);
  Stream stream;
  Secret secret;
  for (Byte& byte : secret.writable()) byte = static_cast<Byte>(random());
  auto sealer = Sealer::create(Secret::copy_of(secret.reveal()), {}, start);
  REQUIRE(sealer);
  const auto seal = [&](RecordType type, std::vector<Byte> payload) {
    std::vector<Byte> record(payload.size() + record_overhead_bytes);
    std::copy(payload.begin(), payload.end(), record.begin() + record_header_bytes);
    REQUIRE(sealer->seal(type, record));
    stream.records.push_back({type, stream.bytes.size(), record.size(), std::move(payload), stream.secrets.size()});
    stream.bytes.insert(stream.bytes.end(), record.begin(), record.end());
  };
  while (stream.bytes.size() < stream_bytes) {
    stream.first_of.push_back(stream.records.size());
    for (std::size_t i = 1; i < records_per_key; ++i) {
      std::vector<Byte> payload = random_item(random);
      if (random() % 3 == 0) {
        const auto more = random_item(random);
        payload.insert(payload.end(), more.begin(), more.end());
      }
      seal(RecordType::data, std::move(payload));
    }
    seal(RecordType::key_update, {0});
    sealer->ratchet(start);
    stream.secrets.push_back(Secret::copy_of(secret.reveal()));
    Secret next;
    crypto::expand_label(secret.reveal(), "upd", next.writable());
    secret = std::move(next);
  }
  return stream;
}

// Rooms I2 to I4: cut, open, unpack. What a record holds is handed out record by record, all of it or nothing.
class Receiver {
 public:
  explicit Receiver(const Secret& secret, std::size_t memory = 64 * 1024)
      : opener_(*Opener::create(Secret::copy_of(secret.reveal()))), buffer_(memory) {}

  /// @param take  called with the type and payload of each record that opens
  template <class Take>
  void receive(ByteView bytes, Take&& take) {
    while (!bytes.empty() && !has_ended_) {
      buffer_.make_room(record_bytes_largest);
      const std::size_t count = std::min(bytes.size(), buffer_.free_space().size());
      std::copy_n(bytes.begin(), count, buffer_.free_space().begin());
      buffer_.received(count);
      bytes = bytes.subspan(count);
      walk(take);
    }
  }
  [[nodiscard]] bool has_ended() const { return has_ended_; }

 private:
  static constexpr std::size_t record_bytes_largest = 2 * packet_bytes_largest + 100;

  template <class Take>
  void walk(Take& take) {
    while (!has_ended_) {
      const auto found = buffer_.next_record(record_bytes_largest - record_overhead_bytes);
      if (!found) return void(has_ended_ = true);
      if (!*found) return;
      const auto [type, record] = **found;
      const auto payload = opener_.open(record);
      if (!payload) return void(has_ended_ = true);
      if (type == RecordType::key_update && !opener_.ratchet(start + ++steps_ * std::chrono::seconds(1))) has_ended_ = true;
      take(type, ByteView(*payload));
    }
  }

  Opener opener_;
  ReceiveBuffer buffer_;
  bool has_ended_{false};
  int steps_{0};
};

// How many bytes of records from `from` on a receiver delivers that are not what was sealed there, and how many records
// it delivers in all.
struct Delivered {
  std::size_t altered_bytes{0};
  std::size_t records{0};
};

class Judge {
 public:
  Judge(const Stream& stream, std::size_t from) : stream_(stream), from_(from) {}

  void operator()(RecordType type, ByteView payload) {
    const std::size_t index = from_ + delivered_.records++;
    const bool is_sealed = index < stream_.records.size() && stream_.records[index].type == type &&
                           std::equal(payload.begin(), payload.end(), stream_.records[index].payload.begin(),
                                      stream_.records[index].payload.end());
    if (!is_sealed) delivered_.altered_bytes += payload.size();
  }
  [[nodiscard]] const Delivered& delivered() const { return delivered_; }

 private:
  const Stream& stream_;
  std::size_t from_;
  Delivered delivered_;
};

TEST_CASE("no flip of a single bit in a stream of 1 MiB delivers an altered byte, or one behind it",
          "[hostile][P-27][P-28][P-30]") {
  const std::uint32_t seed = seed_of_run();
  INFO("seed " << seed);
  const Stream stream = make_stream(seed);

  // The untouched stream, to one receiver.
  Receiver whole(stream.secrets.front());
  Judge all(stream, 0);
  whole.receive(stream.bytes, [&](RecordType type, ByteView payload) { all(type, payload); });
  REQUIRE(all.delivered().records == stream.records.size());
  REQUIRE(all.delivered().altered_bytes == 0);

  // A stride that is prime to the bits of a byte meets every kind of place; complete runs take every bit.
  const std::size_t stride = is_complete_run() ? 1 : 97;
  const std::size_t offset = is_complete_run() ? 0 : seed % stride;
  std::size_t altered_bytes = 0;
  std::size_t wrong_counts = 0;
  std::size_t survivors = 0;
  std::size_t flips = 0;
  std::size_t record = 0;
  std::vector<Byte> text;
  for (std::size_t bit = offset; bit < stream.bytes.size() * 8; bit += stride, ++flips) {
    const std::size_t at = bit / 8;
    while (at >= stream.records[record].begin + stream.records[record].bytes) ++record;
    const std::size_t key = stream.records[record].key;
    const std::size_t first = stream.first_of[key];
    // Up to the record behind the flipped one: it would open if the fault did not end the lane.
    const std::size_t last = std::min(record + 1, stream.records.size() - 1);
    const std::size_t begin = stream.records[first].begin;
    const std::size_t end = stream.records[last].begin + stream.records[last].bytes;
    text.assign(stream.bytes.begin() + static_cast<std::ptrdiff_t>(begin), stream.bytes.begin() + static_cast<std::ptrdiff_t>(end));
    text[at - begin] = static_cast<Byte>(text[at - begin] ^ 1U << bit % 8);

    Receiver receiver(stream.secrets[key]);
    Judge judge(stream, first);
    receiver.receive(text, [&](RecordType type, ByteView payload) { judge(type, payload); });
    altered_bytes += judge.delivered().altered_bytes;
    if (judge.delivered().records != record - first) ++wrong_counts;
    // A longer length may wait for bytes that have not come; then nothing is delivered either.
    const std::size_t in_record = at - stream.records[record].begin;
    if (!receiver.has_ended() && (in_record < 4 || in_record >= 8)) ++survivors;
  }
  WARN(flips << " flips: " << altered_bytes << " altered bytes delivered");
  CHECK(altered_bytes == 0);
  CHECK(wrong_counts == 0);
  CHECK(survivors == 0);
  CHECK(flips >= (is_complete_run() ? stream_bytes * 8 : 80'000));
}

}  // namespace
}  // namespace lt::tunnel

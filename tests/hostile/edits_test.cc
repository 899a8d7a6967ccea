// What a path may do to a stream of records, a million times: bytes changed, put in, taken out; records dropped,
// repeated, swapped; streams of two keys spliced; ends cut off at every border. Into the TUN comes what was sealed, in
// order, up to the first alteration, and not one byte else. The receiver is the whole way in, tunnel/inbound.h.
#include <catch2/catch.hpp>

#include "tests/fuzz/scripted_port.h"
#include "tests/fuzz/sent_packets.h"
#include "tests/fuzz/wire_script.h"
#include "tests/hostile/completeness.h"

namespace lt::tunnel {
namespace {

using fuzz::SealedPiece;
using lt::testing::is_complete_run;
using lt::testing::seed_of_run;

constexpr Byte own_key = 7;
constexpr Byte other_key = 8;

struct Sealed {
  std::vector<SealedPiece> pieces;
  std::vector<std::vector<std::vector<Byte>>> packets;  // of each piece
};

Sealed seal_some(std::mt19937& random, Byte key) {
  Sealed sealed;
  fuzz::RecordWriter writer(key);
  for (std::size_t records = 3 + random() % 4; records > 0; --records) {
    std::vector<Byte> payload;
    std::vector<std::vector<Byte>> packets;
    for (std::size_t items = 1 + random() % 3; items > 0; --items) {
      testing::PacketSpec spec = random() % 2 == 0 ? testing::PacketSpec{} : testing::v6();
      spec.payload = testing::pattern(random() % 400, static_cast<std::uint32_t>(random()));
      packets.push_back(testing::build(spec));
      std::array<Byte, item_header_bytes> header{};
      pack_item_header(header, {}, packets.back().size());
      payload.insert(payload.end(), header.begin(), header.end());
      payload.insert(payload.end(), packets.back().begin(), packets.back().end());
    }
    sealed.pieces.push_back(writer.seal(RecordType::data, payload));
    sealed.packets.push_back(std::move(packets));
  }
  return sealed;
}

std::vector<Byte> joined(const std::vector<SealedPiece>& pieces) {
  std::vector<Byte> stream;
  for (const SealedPiece& piece : pieces) stream.insert(stream.end(), piece.bytes.begin(), piece.bytes.end());
  return stream;
}

struct Verdict {
  std::size_t altered_bytes{0};
  std::size_t missing_packets{0};  // that came whole, in front of the first alteration
};

// What the way in makes of `stream`, held against what was sealed.
Verdict receive(ByteView stream, const Sealed& sealed, std::mt19937& random) {
  static const Admission admission(fuzz::offsite_admission());
  fuzz::ScriptedPort port;
  const std::size_t portion = random() % 2 == 0 ? stream.size() + 1 : 1 + random() % 700;
  for (std::size_t at = 0; at < stream.size(); at += portion) {
    port.add_portion(stream.subspan(at, std::min(portion, stream.size() - at)));
  }
  if (random() % 2 == 0) port.let_writes_lag();
  LaneState state;
  DropCounters drops;
  Inbound<fuzz::ScriptedPort> inbound({.tun_fd = -1,
                                       .tun_offload = true,
                                       .socket_fd = -1,
                                       .admission = &admission,
                                       .record_limit = record_limit_min,
                                       .tun_mtu = 1500},
                                      *Opener::create(fuzz::secret_of(own_key)), state, drops, port, [] {});
  static_cast<void>(inbound.run({}));

  std::vector<const std::vector<Byte>*> expected;
  const std::size_t intact = fuzz::intact_pieces(sealed.pieces, stream);
  for (std::size_t i = 0; i < intact; ++i) {
    for (const auto& packet : sealed.packets[i]) expected.push_back(&packet);
  }
  Verdict verdict;
  for (std::size_t i = 0; i < port.delivered().size(); ++i) {
    if (i >= expected.size() || port.delivered()[i].bytes != *expected[i]) {
      verdict.altered_bytes += port.delivered()[i].bytes.size();
    }
  }
  verdict.missing_packets = expected.size() - std::min(expected.size(), port.delivered().size());
  return verdict;
}

void alter_bytes(std::vector<Byte>& stream, std::mt19937& random) {
  const std::size_t at = random() % stream.size();
  const auto place = stream.begin() + static_cast<std::ptrdiff_t>(at);
  const auto count = static_cast<std::ptrdiff_t>(std::min<std::size_t>(1 + random() % 64, stream.size() - at));
  switch (random() % 4) {
    case 0: *place = static_cast<Byte>(*place ^ (1 + random() % 255)); return;
    case 1: stream.erase(place, place + count); return;
    case 2: stream.insert(place, static_cast<std::size_t>(count), static_cast<Byte>(random())); return;
    default: std::generate_n(place, count, [&] { return static_cast<Byte>(random()); }); return;
  }
}

void alter_order(std::vector<SealedPiece>& pieces, std::mt19937& random) {
  const std::size_t at = random() % pieces.size();
  const auto place = pieces.begin() + static_cast<std::ptrdiff_t>(at);
  switch (random() % 3) {
    case 0: pieces.erase(place); return;
    case 1: pieces.insert(place, pieces[random() % pieces.size()]); return;
    default: std::swap(*place, pieces[(at + 1 + random() % (pieces.size() - 1)) % pieces.size()]); return;
  }
}

// The beginning of one stream, the rest of another that was sealed by another key.
std::vector<Byte> spliced(const std::vector<SealedPiece>& own, const std::vector<SealedPiece>& other, std::mt19937& random) {
  std::vector<SealedPiece> pieces(own.begin(), own.begin() + static_cast<std::ptrdiff_t>(random() % own.size()));
  const auto from = static_cast<std::ptrdiff_t>(random() % other.size());
  pieces.insert(pieces.end(), other.begin() + from, other.end());
  return joined(pieces);
}

TEST_CASE("edits, drops, swaps and splices of a stream deliver not one altered byte", "[hostile][P-29][P-30]") {
  const std::uint32_t seed = seed_of_run();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const int trials = is_complete_run() ? 1'000'000 : 8'000;
  std::size_t altered_bytes = 0;
  std::size_t missing_packets = 0;
  for (int i = 0; i < trials; ++i) {
    const Sealed sealed = seal_some(random, own_key);
    std::vector<SealedPiece> pieces = sealed.pieces;
    std::vector<Byte> stream;
    switch (random() % 3) {
      case 0:
        stream = joined(pieces);
        for (std::size_t edits = 1 + random() % 3; edits > 0 && !stream.empty(); --edits) alter_bytes(stream, random);
        break;
      case 1:
        alter_order(pieces, random);
        stream = joined(pieces);
        break;
      default:
        stream = spliced(pieces, seal_some(random, other_key).pieces, random);
        break;
    }
    const Verdict verdict = receive(stream, sealed, random);
    altered_bytes += verdict.altered_bytes;
    missing_packets += verdict.missing_packets;
  }
  WARN(trials << " alterations: " << altered_bytes << " altered bytes delivered");
  CHECK(altered_bytes == 0);
  CHECK(missing_packets == 0);
}

TEST_CASE("a stream that ends anywhere delivers its whole records, and no part of another", "[hostile][P-32]") {
  const std::uint32_t seed = seed_of_run();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  std::size_t altered_bytes = 0;
  std::size_t missing_packets = 0;
  const int streams = is_complete_run() ? 20 : 1;
  for (int i = 0; i < streams; ++i) {
    const Sealed sealed = seal_some(random, own_key);
    const std::vector<Byte> stream = joined(sealed.pieces);
    for (std::size_t length = 0; length <= stream.size(); ++length) {
      const Verdict verdict = receive(ByteView(stream).first(length), sealed, random);
      altered_bytes += verdict.altered_bytes;
      missing_packets += verdict.missing_packets;
    }
  }
  CHECK(altered_bytes == 0);
  CHECK(missing_packets == 0);
}

}  // namespace
}  // namespace lt::tunnel

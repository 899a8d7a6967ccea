// A stream of sealed records, then what a path may do to it: edits that the fuzzer chooses. Tells how much of it is
// still as it was sealed, which is all that may be believed.
#pragma once

#include "tests/fuzz/fuzz.h"
#include "tunnel/sealing.h"

namespace lt::fuzz {

inline constexpr Instant script_start = Instant(std::chrono::hours(1));

inline crypto::Secret<32> secret_of(Byte fill) {
  crypto::Secret<32> secret;
  std::fill(secret.writable().begin(), secret.writable().end(), fill);
  return secret;
}

struct SealedPiece {
  tunnel::RecordType type;
  std::vector<Byte> payload;  // what was sealed
  std::vector<Byte> bytes;    // on the wire
};

class RecordWriter {
 public:
  explicit RecordWriter(Byte secret) : sealer_(*tunnel::Sealer::create(secret_of(secret), {}, script_start)) {}

  SealedPiece seal(tunnel::RecordType type, ByteView payload) {
    SealedPiece piece{type, copy_of(payload), std::vector<Byte>(payload.size() + tunnel::record_overhead_bytes)};
    std::copy(payload.begin(), payload.end(), piece.bytes.begin() + tunnel::record_header_bytes);
    expect(sealer_.seal(type, piece.bytes).has_value(), "a fresh key seals");
    return piece;
  }
  void step() { sealer_.ratchet(script_start); }

 private:
  tunnel::Sealer sealer_;
};

/// What the path makes of `pieces`: pieces dropped, repeated, swapped; bytes flipped, put in, taken out; the end cut off.
inline std::vector<Byte> altered(const std::vector<SealedPiece>& pieces, Choices& choices) {
  std::vector<const SealedPiece*> order;
  for (const SealedPiece& piece : pieces) order.push_back(&piece);
  std::vector<Byte> stream;
  const std::size_t edits = choices.below(4);
  for (std::size_t i = 0; i < edits && !order.empty(); ++i) {
    const std::size_t at = choices.below(order.size());
    const auto place = order.begin() + static_cast<std::ptrdiff_t>(at);
    switch (choices.below(4)) {
      case 0: order.erase(place); break;
      case 1: order.insert(place, *place); break;
      case 2: std::swap(*place, order[choices.below(order.size())]); break;
      default: break;
    }
  }
  for (const SealedPiece* piece : order) stream.insert(stream.end(), piece->bytes.begin(), piece->bytes.end());
  for (std::size_t cuts = choices.below(4); cuts > 0 && !stream.empty(); --cuts) {
    const std::size_t at = choices.below(stream.size());
    const auto place = stream.begin() + static_cast<std::ptrdiff_t>(at);
    switch (choices.below(5)) {
      case 0: stream[at] = static_cast<Byte>(stream[at] ^ 1U << choices.below(8)); break;
      case 1: stream[at] = choices.u8(); break;
      case 2: stream.erase(place); break;
      case 3: stream.insert(place, choices.u8()); break;
      default: stream.resize(at); break;
    }
  }
  return stream;
}

/// How many of `pieces`, from the first, `stream` begins with as they were sealed.
inline std::size_t intact_pieces(const std::vector<SealedPiece>& pieces, ByteView stream) {
  std::size_t count = 0;
  for (const SealedPiece& piece : pieces) {
    if (stream.size() < piece.bytes.size() || !std::equal(piece.bytes.begin(), piece.bytes.end(), stream.begin())) break;
    stream = stream.subspan(piece.bytes.size());
    ++count;
  }
  return count;
}

}  // namespace lt::fuzz

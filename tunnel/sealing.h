// Rooms O4 and I3: records are sealed and opened, in place, each direction under a key of its own.
//
// The nonce is the key's IV XOR a counter that starts at 0, rises by exactly 1 and is never on the wire: a record
// that is repeated, left out or out of place does not open. The ratchet replaces the key without a round trip;
// the old secret is wiped, so a key taken today opens nothing of yesterday.
// W-4: only Sealer makes a SealedRecord, and only a SealedRecord is ever sent.
// Source: security decisions D6, D7; RFC 8446 5.3 and 5.5.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "crypto/aead.h"
#include "crypto/secret.h"
#include "tunnel/limits.h"
#include "tunnel/wire.h"

namespace lt::tunnel {

/// When a key must give way to the next. Turned down in tests only.
struct RatchetLimits {
  std::uint64_t blocks_max{blocks_per_key_max};
  std::chrono::nanoseconds age_max{key_age_max};  // give or take a tenth, drawn anew at each step
  std::uint64_t records_max{records_per_key_max};
  unsigned key_updates_max{key_updates_per_window_max};  // that a receiver takes within key_update_window
};

/// A record ready for the WAN: header, ciphertext, tag. Only a Sealer makes one.
class SealedRecord {
 public:
  [[nodiscard]] ByteView bytes() const { return bytes_; }

 private:
  friend class Sealer;
  explicit SealedRecord(ByteView bytes) : bytes_(bytes) {}
  ByteView bytes_;
};

/// The secret of one direction and what follows from it; steps forward only.
class KeyChain {
 public:
  /// @param records_max  a key is used for no more records than this
  static Result<KeyChain> create(crypto::Secret<32> first, std::uint64_t records_max,
                                 crypto::AeadBackend backend);

  [[nodiscard]] crypto::Aead& aead() { return aead_; }
  /// Whether this key has been used for all the records it may be.
  [[nodiscard]] bool is_spent() const { return counter_ == records_max_; }
  /// The nonce of the next record; each call takes one. @pre !is_spent()
  [[nodiscard]] std::array<Byte, 12> next_nonce();
  [[nodiscard]] std::uint64_t counter() const { return counter_; }
  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
  void step();

 private:
  KeyChain(crypto::Secret<32> secret, crypto::Aead aead, std::uint64_t records_max);
  void load();

  crypto::Secret<32> secret_;  // x_n
  crypto::Aead aead_;          // holds key_n
  std::array<Byte, 12> iv_{};
  std::uint64_t records_max_;
  std::uint64_t counter_{0};
  std::uint64_t epoch_{0};
};

/// @thread outbound only
class Sealer {
 public:
  static Result<Sealer> create(crypto::Secret<32> first, RatchetLimits limits, Instant now,
                               crypto::AeadBackend backend = crypto::AeadBackend::automatic);

  /// Seals `record` in place: 8 bytes for the header, the plaintext, 16 bytes for the tag.
  /// @return the record on its way to the WAN
  /// @error limit: this key has sealed all it may; the caller has missed wants_ratchet()
  /// @pre   record.size() > record_overhead_bytes (no record is empty)
  [[nodiscard]] Result<SealedRecord> seal(RecordType type, ByteSpan record);

  /// Whether the next record must be a KEYUPDATE, followed by ratchet().
  [[nodiscard]] bool wants_ratchet(Instant now) const;
  void ratchet(Instant now);

  [[nodiscard]] std::uint64_t counter() const { return keys_.counter(); }
  [[nodiscard]] std::uint64_t epoch() const { return keys_.epoch(); }

 private:
  Sealer(KeyChain keys, RatchetLimits limits, Instant now);
  void start_key(Instant now);

  KeyChain keys_;
  RatchetLimits limits_;
  Instant step_at_;
  std::uint64_t blocks_{0};
};

/// @thread inbound only
class Opener {
 public:
  static Result<Opener> create(crypto::Secret<32> first, RatchetLimits limits = {},
                               crypto::AeadBackend backend = crypto::AeadBackend::automatic);

  /// Opens `record` (header, ciphertext, tag) in place.
  /// @return the plaintext inside `record`
  /// @error protocol: the tag does not fit: altered, repeated, left out or out of place. Fatal for the lane
  [[nodiscard]] Result<ByteSpan> open(ByteSpan record);

  /// Follows the peer's KEYUPDATE. @error protocol: too many of them in too short a time
  [[nodiscard]] Status ratchet(Instant now);

  [[nodiscard]] std::uint64_t epoch() const { return keys_.epoch(); }
  [[nodiscard]] std::uint64_t counter() const { return keys_.counter(); }

 private:
  Opener(KeyChain keys, RatchetLimits limits) : keys_(std::move(keys)), updates_(limits.key_updates_max) {}

  KeyChain keys_;
  std::vector<Instant> updates_;  // when the last of them came, the oldest at `updates_seen_ % size`
  std::uint64_t updates_seen_{0};
};

}  // namespace lt::tunnel

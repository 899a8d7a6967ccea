#include "tunnel/sealing.h"

#include "base/assert.h"
#include "crypto/kdf.h"
#include "crypto/random.h"

namespace lt::tunnel {

namespace {

constexpr std::uint64_t block_bytes = 16;

// The blocks one record costs its key: the plaintext's, and one for the header and the lengths.
std::uint64_t blocks_of(std::size_t plaintext_bytes) {
  return (plaintext_bytes + block_bytes - 1) / block_bytes + 1;
}

}  // namespace

KeyChain::KeyChain(crypto::Secret<32> secret, crypto::Aead aead, std::uint64_t records_max)
    : secret_(std::move(secret)), aead_(std::move(aead)), records_max_(records_max) {
  load();
}

Result<KeyChain> KeyChain::create(crypto::Secret<32> first, std::uint64_t records_max,
                                  crypto::AeadBackend backend) {
  const crypto::Secret<32> no_key;
  LT_TRY(auto aead, crypto::Aead::create(no_key, backend));
  return KeyChain(std::move(first), std::move(aead), records_max);
}

void KeyChain::load() {
  crypto::Secret<32> key;
  crypto::expand_label(secret_.reveal(), "key", key.writable());
  crypto::expand_label(secret_.reveal(), "iv", iv_);
  aead_.rekey(key);
  counter_ = 0;
}

// P-26: the move wipes x_(n+1)'s first place, and x_n is overwritten.
void KeyChain::step() {
  crypto::Secret<32> next;
  crypto::expand_label(secret_.reveal(), "upd", next.writable());
  secret_ = std::move(next);
  ++epoch_;
  load();
}

// P-29: the counter is ours alone, never read from the wire.
std::array<Byte, 12> KeyChain::next_nonce() {
  LT_ASSERT(!is_spent());
  std::array<Byte, 12> nonce = iv_;
  Byte counter[8];
  store_be64(counter, counter_++);
  for (std::size_t i = 0; i < 8; ++i) nonce[4 + i] ^= counter[i];
  return nonce;
}

Sealer::Sealer(KeyChain keys, RatchetLimits limits, Instant now)
    : keys_(std::move(keys)), limits_(limits) {
  start_key(now);
}

Result<Sealer> Sealer::create(crypto::Secret<32> first, RatchetLimits limits, Instant now,
                              crypto::AeadBackend backend) {
  LT_TRY(auto keys, KeyChain::create(std::move(first), limits.records_max, backend));
  return Sealer(std::move(keys), limits, now);
}

Result<SealedRecord> Sealer::seal(RecordType type, ByteSpan record) {
  LT_ASSERT(record.size() > record_overhead_bytes);
  const std::size_t plaintext_bytes = record.size() - record_overhead_bytes;
  if (keys_.is_spent()) return fail(Errc::limit, "this key has sealed all it may");  // P-31

  record[0] = record_sync;
  record[1] = static_cast<Byte>(type);
  store_be16(record.data() + 2, 0);
  store_be32(record.data() + 4, static_cast<std::uint32_t>(plaintext_bytes + tag_bytes));
  keys_.aead().seal(keys_.next_nonce(), record.first(record_header_bytes),
                    record.subspan(record_header_bytes, plaintext_bytes), record.last<tag_bytes>());
  blocks_ += blocks_of(plaintext_bytes);
  return SealedRecord(record);
}

bool Sealer::wants_ratchet(Instant now) const {
  // P-37, P-38: one record of the largest size and the KEYUPDATE behind it must still fit under the limit.
  return blocks_ + blocks_of(record_limit_max) + blocks_of(key_update_bytes) > limits_.blocks_max || now >= step_at_;
}

void Sealer::ratchet(Instant now) {
  keys_.step();
  start_key(now);
}

// The age at which this key steps is drawn: an onlooker who counts records cannot tell a KEYUPDATE by the clock.
void Sealer::start_key(Instant now) {
  blocks_ = 0;
  Byte drawn = 0;
  crypto::fill_random(ByteSpan(&drawn, 1));
  step_at_ = now + limits_.age_max / 10 * 9 + limits_.age_max / 5 * drawn / 255;  // P-38
}

Result<Opener> Opener::create(crypto::Secret<32> first, RatchetLimits limits,
                              crypto::AeadBackend backend) {
  LT_ASSERT(limits.key_updates_max > 0);
  LT_TRY(auto keys, KeyChain::create(std::move(first), limits.records_max, backend));
  return Opener(std::move(keys), limits);
}

Result<ByteSpan> Opener::open(ByteSpan record) {
  LT_ASSERT(record.size() > record_overhead_bytes);
  if (keys_.is_spent()) return fail(Errc::protocol, "the peer overuses its key");  // P-31
  const ByteSpan text = record.subspan(record_header_bytes, record.size() - record_overhead_bytes);
  if (!keys_.aead().open(keys_.next_nonce(), record.first(record_header_bytes), text, record.last<tag_bytes>())) {
    return fail(Errc::protocol, "a record does not open: altered, repeated or out of place");  // P-30
  }
  return text;
}

Status Opener::ratchet(Instant now) {
  // P-40: the one that came key_updates_max before this must have left the window.
  Instant& oldest = updates_[updates_seen_ % updates_.size()];
  if (updates_seen_ >= updates_.size() && now - oldest <= key_update_window) {
    return fail(Errc::protocol, "too many KEYUPDATE records");
  }
  oldest = now;
  ++updates_seen_;
  keys_.step();  // P-39
  return {};
}

}  // namespace lt::tunnel

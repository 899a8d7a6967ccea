#include "tunnel/sealing.h"

#include "base/assert.h"
#include "crypto/kdf.h"

namespace lt::tunnel {

namespace {

constexpr std::uint64_t block_bytes = 16;

// The blocks one record costs its key: the plaintext's, and one for the header and the lengths.
std::uint64_t blocks_of(std::size_t plaintext_bytes) {
  return (plaintext_bytes + block_bytes - 1) / block_bytes + 1;
}

}  // namespace

KeyChain::KeyChain(crypto::Secret<32> secret, crypto::Aead aead)
    : secret_(std::move(secret)), aead_(std::move(aead)) {
  load();
}

Result<KeyChain> KeyChain::create(crypto::Secret<32> first) {
  const crypto::Secret<32> no_key;
  LT_TRY(auto aead, crypto::Aead::create(no_key));
  return KeyChain(std::move(first), std::move(aead));
}

void KeyChain::load() {
  crypto::Secret<32> key;
  crypto::expand_label(secret_.reveal(), "key", key.writable());
  crypto::expand_label(secret_.reveal(), "iv", iv_);
  aead_.rekey(key);
  counter_ = 0;
}

void KeyChain::step() {
  crypto::Secret<32> next;
  crypto::expand_label(secret_.reveal(), "upd", next.writable());
  secret_ = std::move(next);
  ++epoch_;
  load();
}

std::array<Byte, 12> KeyChain::next_nonce() {
  LT_ASSERT(counter_ < records_per_key_max);
  std::array<Byte, 12> nonce = iv_;
  Byte counter[8];
  store_be64(counter, counter_++);
  for (std::size_t i = 0; i < 8; ++i) nonce[4 + i] ^= counter[i];
  return nonce;
}

Sealer::Sealer(KeyChain keys, RatchetLimits limits, Instant now)
    : keys_(std::move(keys)), limits_(limits), key_made_(now) {}

Result<Sealer> Sealer::create(crypto::Secret<32> first, RatchetLimits limits, Instant now) {
  LT_TRY(auto keys, KeyChain::create(std::move(first)));
  return Sealer(std::move(keys), limits, now);
}

Result<SealedRecord> Sealer::seal(RecordType type, ByteSpan record) {
  LT_ASSERT(record.size() > record_overhead_bytes);
  const std::size_t plaintext_bytes = record.size() - record_overhead_bytes;
  if (keys_.counter() == records_per_key_max) return fail(Errc::limit, "this key has sealed all it may");

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
  // One record of the largest size must still fit under the limit.
  return blocks_ + blocks_of(record_limit_max) > limits_.blocks_max || now - key_made_ >= limits_.age_max;
}

void Sealer::ratchet(Instant now) {
  keys_.step();
  key_made_ = now;
  blocks_ = 0;
}

Result<Opener> Opener::create(crypto::Secret<32> first) {
  LT_TRY(auto keys, KeyChain::create(std::move(first)));
  return Opener(std::move(keys));
}

Result<ByteSpan> Opener::open(ByteSpan record) {
  LT_ASSERT(record.size() > record_overhead_bytes);
  if (keys_.counter() == records_per_key_max) return fail(Errc::protocol, "the peer overuses its key");
  const ByteSpan text = record.subspan(record_header_bytes, record.size() - record_overhead_bytes);
  if (!keys_.aead().open(keys_.next_nonce(), record.first(record_header_bytes), text, record.last<tag_bytes>())) {
    return fail(Errc::protocol, "a record does not open: altered, repeated or out of place");
  }
  return text;
}

Status Opener::ratchet(Instant now) {
  if (now - window_start_ > key_update_window) {
    window_start_ = now;
    window_updates_ = 0;
  }
  if (++window_updates_ > key_updates_per_window_max) {
    return fail(Errc::protocol, "too many KEYUPDATE records");
  }
  keys_.step();
  return {};
}

}  // namespace lt::tunnel

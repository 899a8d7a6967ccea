#include "crypto/ipsec_mb.h"

#include <intel-ipsec-mb.h>

#include <new>

#include "base/assert.h"
#include "crypto/kdf.h"

namespace lt::crypto {

namespace {

struct Functions {
  IpsecMbSupport support;
  aes_gcm_pre_t expand_key{nullptr};
  aes_gcm_enc_dec_t seal{nullptr};
  aes_gcm_enc_dec_t open{nullptr};
};

struct FreeEngine {
  void operator()(IMB_MGR* engine) const { free_mb_mgr(engine); }
};

Functions unusable(std::string why_not) {
  return {.support = {.is_usable = false, .is_fast = false, .why_not = std::move(why_not)}};
}

// The library's own detection: instructions, and that the system saves their registers.
Functions find_functions() {
  if (imb_get_version() < IMB_VERSION(1, 3, 0)) {
    return unusable("intel-ipsec-mb is older than 1.3");
  }
  const std::unique_ptr<IMB_MGR, FreeEngine> engine(alloc_mb_mgr(0));
  if (engine == nullptr) return unusable("intel-ipsec-mb gets no memory");
  IMB_ARCH chosen = IMB_ARCH_NONE;
  init_mb_mgr_auto(engine.get(), &chosen);
  constexpr std::uint64_t needed = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ;
  if ((engine->features & needed) != needed || chosen < IMB_ARCH_SSE) {
    return unusable("this processor has no AES instructions");
  }
  constexpr std::uint64_t tested = IMB_FEATURE_SELF_TEST | IMB_FEATURE_SELF_TEST_PASS;
  if ((engine->features & tested) != tested) {
    return unusable("the self-test of intel-ipsec-mb has failed on this processor");
  }
  constexpr std::uint64_t fast = IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ | IMB_FEATURE_AVX512_SKX;
  const bool is_fast = (engine->features & fast) == fast;
  return {.support = {.is_usable = true,
                      .is_fast = is_fast,
                      .why_not = is_fast ? "" : "this processor has no VAES with AVX-512"},
          .expand_key = engine->gcm256_pre,
          .seal = engine->gcm256_enc,
          .open = engine->gcm256_dec};
}

const Functions& functions() {
  static const Functions found = find_functions();
  return found;
}

// The library refuses null pointers, also of nothing.
const Byte* address_of(ByteView bytes) {
  static constexpr Byte nothing = 0;
  return bytes.empty() ? &nothing : bytes.data();
}

}  // namespace

struct alignas(64) IpsecMbKey::Schedule {
  gcm_key_data key;
  alignas(64) gcm_context_data context;  // counter and key stream of the record at hand
};

const IpsecMbSupport& ipsec_mb_support() {
  return functions().support;
}

std::unique_ptr<IpsecMbKey> IpsecMbKey::create() {
  LT_ASSERT(functions().support.is_usable);
  return std::unique_ptr<IpsecMbKey>(new IpsecMbKey());
}

IpsecMbKey::IpsecMbKey() : schedule_(new Schedule{}) {}

IpsecMbKey::~IpsecMbKey() {
  wipe(ByteSpan(reinterpret_cast<Byte*>(schedule_), sizeof *schedule_));
  delete schedule_;
}

void IpsecMbKey::rekey(const Secret<32>& key) {
  functions().expand_key(key.reveal().data(), &schedule_->key);
  wipe(ByteSpan(reinterpret_cast<Byte*>(&schedule_->context), sizeof schedule_->context));
}

void IpsecMbKey::seal(std::span<const Byte, 12> nonce, ByteView aad, ByteSpan text,
                      std::span<Byte, 16> tag) {
  Byte nothing = 0;
  Byte* const place = text.empty() ? &nothing : text.data();
  functions().seal(&schedule_->key, &schedule_->context, place, place, text.size(), nonce.data(),
                   address_of(aad), aad.size(), tag.data(), tag.size());
}

bool IpsecMbKey::open(std::span<const Byte, 12> nonce, ByteView aad, ByteSpan text,
                      std::span<const Byte, 16> tag) {
  Byte nothing = 0;
  Byte* const place = text.empty() ? &nothing : text.data();
  std::array<Byte, 16> computed{};
  functions().open(&schedule_->key, &schedule_->context, place, place, text.size(), nonce.data(),
                   address_of(aad), aad.size(), computed.data(), computed.size());
  if (equal_constant_time(computed, tag)) return true;
  wipe(text);
  return false;
}

}  // namespace lt::crypto

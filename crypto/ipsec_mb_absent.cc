// Where intel-ipsec-mb does not exist: every processor that is not x86-64.
#include "base/assert.h"
#include "crypto/ipsec_mb.h"

namespace lt::crypto {

struct IpsecMbKey::Schedule {};

const IpsecMbSupport& ipsec_mb_support() {
  static const IpsecMbSupport support{.why_not = "intel-ipsec-mb exists for x86-64 only"};
  return support;
}

std::unique_ptr<IpsecMbKey> IpsecMbKey::create() {
  LT_ASSERT(ipsec_mb_support().is_usable);
  return nullptr;
}

IpsecMbKey::IpsecMbKey() : schedule_(nullptr) {}
IpsecMbKey::~IpsecMbKey() {
  delete schedule_;
}

void IpsecMbKey::rekey(const Secret<32>&) {}
void IpsecMbKey::seal(std::span<const Byte, 12>, ByteView, ByteSpan, std::span<Byte, 16>) {}
bool IpsecMbKey::open(std::span<const Byte, 12>, ByteView, ByteSpan, std::span<const Byte, 16>) {
  return false;
}

}  // namespace lt::crypto

// AES-256-GCM by intel-ipsec-mb, for processors that it makes fast: x86-64 with VAES. The other
// backend is OpenSSL; aead.h chooses. ADR docs/adr/0017-two-aead-backends.md.
//
// The library is asked once which of its functions suit this processor, and tests itself then; what
// stays are three pointers to functions. No job queue, no manager: a record is sealed by one call.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/bytes.h"
#include "crypto/secret.h"

namespace lt::crypto {

struct IpsecMbSupport {
  bool is_usable{false};  // it works here: AES and carry-less multiplication in hardware
  bool is_fast{false};    // it is faster than OpenSSL 3.0 here: VAES with AVX-512
  std::string why_not;    // when not both: one sentence
};

/// What this machine's processor and library can do; found out once.
/// @thread any
[[nodiscard]] const IpsecMbSupport& ipsec_mb_support();

/// One key's schedule and working memory, 64-byte aligned as the library wants them; wiped when it
/// goes.
class IpsecMbKey {
 public:
  /// All zeros until rekey(). @pre ipsec_mb_support().is_usable
  [[nodiscard]] static std::unique_ptr<IpsecMbKey> create();
  ~IpsecMbKey();
  IpsecMbKey(const IpsecMbKey&) = delete;
  IpsecMbKey& operator=(const IpsecMbKey&) = delete;

  /// As the functions of Aead. One at a time; nothing is allocated.
  void rekey(const Secret<32>& key);
  void seal(std::span<const Byte, 12> nonce, ByteView aad, ByteSpan text, std::span<Byte, 16> tag);
  [[nodiscard]] bool open(std::span<const Byte, 12> nonce, ByteView aad, ByteSpan text,
                          std::span<const Byte, 16> tag);

 private:
  struct Schedule;
  IpsecMbKey();

  Schedule* schedule_;
};

}  // namespace lt::crypto

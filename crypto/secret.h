// Secret<N>: N bytes that move, are wiped when they go, and are never copied, compared or printed.
//
// Pages are not locked one object at a time: secrets live on stacks and inside other objects, so
// the daemon locks its whole memory and forbids core dumps at once (security.md 10).
#pragma once

#include <algorithm>
#include <array>
#include <span>

#include "base/bytes.h"
#include "crypto/random.h"

namespace lt::crypto {

/// Overwrites `bytes` with zeros in a way that no compiler removes.
void wipe(ByteSpan bytes);

template <std::size_t N>
class Secret {
 public:
  /// All zeros, to be filled through writable().
  Secret() = default;
  ~Secret() { wipe(bytes_); }
  Secret(Secret&& other) noexcept : bytes_(other.bytes_) { wipe(other.bytes_); }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      bytes_ = other.bytes_;
      wipe(other.bytes_);
    }
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  friend bool operator==(const Secret&, const Secret&) = delete;  // equal_constant_time() in kdf.h

  [[nodiscard]] static Secret random() {
    Secret secret;
    fill_random(secret.bytes_);
    return secret;
  }
  /// Takes the bytes over; wiping the place they came from is the caller's part.
  [[nodiscard]] static Secret copy_of(std::span<const Byte, N> bytes) {
    Secret secret;
    std::copy(bytes.begin(), bytes.end(), secret.bytes_.begin());
    return secret;
  }

  /// Reads the secret. Greps well, which is the point.
  [[nodiscard]] std::span<const Byte, N> reveal() const { return bytes_; }
  [[nodiscard]] std::span<Byte, N> writable() { return bytes_; }

 private:
  std::array<Byte, N> bytes_{};
};

}  // namespace lt::crypto

// Backoff: how long the client waits before it tries again. P-51, P-52.
#pragma once

#include <algorithm>
#include <chrono>

#include "base/bytes.h"
#include "base/clock.h"

namespace lt::tunnel {

class Backoff {
 public:
  Backoff(std::chrono::milliseconds first, std::chrono::milliseconds longest) : first_(first), longest_(longest) {}

  /// When to try again: at once the first time, then after `first`, doubling to `longest`, each give or take half.
  /// @param random  uniform; spreads clients that lost the same server
  [[nodiscard]] Instant next(Instant now, Byte random) {
    if (!is_warm_) {
      is_warm_ = true;
      return now;
    }
    wait_ = wait_.count() == 0 ? first_ : std::min(2 * wait_, longest_);
    return now + wait_ / 2 + wait_ * random / 255;
  }
  void reset() {
    is_warm_ = false;
    wait_ = {};
  }

 private:
  std::chrono::milliseconds first_;
  std::chrono::milliseconds longest_;
  std::chrono::milliseconds wait_{0};
  bool is_warm_{false};
};

}  // namespace lt::tunnel

// RateGate: how many bytes of a stream may go now. Asked by the pipe before each write.
//
// Pacer is the one that counts. Its rate may change between any two questions; what it gives follows
// at once. It never gives more than `burst_time` of its rate beyond the even flow, so 100 ms hold at
// most 5 % more than their share; what a late caller missed is made good at `catch_up` over the
// rate, up to `owed_time` of it, so that the mean stays true on a busy machine too.
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "base/units.h"

namespace lt::mirror {

class RateGate {
 public:
  virtual ~RateGate() = default;
  /// @return how many of `wanted` bytes may be sent now, counted as sent; 0: not before wait_until
  [[nodiscard]] virtual Bytes take(Bytes wanted, Instant now) = 0;
  /// When to ask again after a 0; at most `recheck` later, since the rate may have changed by then.
  [[nodiscard]] virtual Instant wait_until(Instant now) const = 0;

  static constexpr Milliseconds recheck{20};
};

/// @thread one; not shared
class Pacer final : public RateGate {
 public:
  static constexpr Microseconds burst_time{1500};  // 1.5 % of 100 ms
  static constexpr double catch_up{0.03};          // with the burst: 1.045 of the share in 100 ms
  static constexpr Milliseconds owed_time{150};    // 1.5 % of 10 s

  /// @param rate  nothing: no limit; 0: nothing goes
  void set_rate(std::optional<BitsPerSecond> rate, Instant now);
  [[nodiscard]] std::optional<BitsPerSecond> rate() const { return rate_; }

  [[nodiscard]] Bytes take(Bytes wanted, Instant now) override;
  [[nodiscard]] Instant wait_until(Instant now) const override;

 private:
  void earn(Instant now);
  [[nodiscard]] double bytes_in(Nanoseconds time) const;

  std::optional<BitsPerSecond> rate_;
  std::optional<Instant> earned_until_;
  double credit_{0};  // may be given now (unit: B)
  double owed_{0};    // missed by late questions (unit: B)
};

}  // namespace lt::mirror

#include "mirror/rate_gate.h"

#include <algorithm>

namespace lt::mirror {

namespace {

// A write smaller than this costs more than it brings; below it the gate says 0 (unit: B).
constexpr double grain_max = 16 * 1024.0;

}  // namespace

double Pacer::bytes_in(Nanoseconds time) const {
  return static_cast<double>(rate_->value) / 8.0 * static_cast<double>(time.count()) / 1e9;
}

void Pacer::set_rate(std::optional<BitsPerSecond> rate, Instant now) {
  if (rate == rate_) return;
  if (rate_) earn(now);
  const std::optional<BitsPerSecond> before = rate_;
  rate_ = rate;
  earned_until_ = now;
  if (!rate_) return;
  // What was earned at a higher rate must not burst at a lower one; a debt is of the old rate, too.
  owed_ = 0;
  credit_ = before ? std::min(credit_, bytes_in(burst_time)) : 0;
}

void Pacer::earn(Instant now) {
  if (!earned_until_) earned_until_ = now;
  if (now <= *earned_until_) return;
  const Nanoseconds passed = now - *earned_until_;
  earned_until_ = now;
  const double share = bytes_in(passed);
  const double extra = std::min(owed_, share * catch_up);
  owed_ -= extra;
  credit_ += share + extra;
  const double most = std::max(bytes_in(burst_time), 1.0);
  if (credit_ > most) {
    owed_ = std::min(owed_ + credit_ - most, bytes_in(owed_time));
    credit_ = most;
  }
}

Bytes Pacer::take(Bytes wanted, Instant now) {
  if (!rate_) return wanted;
  earn(now);
  const double grain = std::min({grain_max, bytes_in(burst_time) / 2,
                                 static_cast<double>(wanted.value)});
  if (rate_->value == 0 || credit_ < std::max(grain, 1.0)) return 0_B;
  const Bytes given{std::min(wanted.value, static_cast<std::uint64_t>(credit_))};
  credit_ -= static_cast<double>(given.value);
  return given;
}

Instant Pacer::wait_until(Instant now) const {
  if (!rate_) return now;
  const Instant latest = now + recheck;
  if (rate_->value == 0) return latest;
  const double missing = std::max(1.0, std::min(grain_max, bytes_in(burst_time) / 2) - credit_);
  const double seconds = missing * 8.0 / static_cast<double>(rate_->value);
  if (seconds >= std::chrono::duration<double>(recheck).count()) return latest;
  return now + Nanoseconds(static_cast<std::int64_t>(seconds * 1e9) + 1);
}

}  // namespace lt::mirror

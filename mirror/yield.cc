#include "mirror/yield.h"

#include <algorithm>

namespace lt::mirror {

namespace {

constexpr double target_share = 0.35;     // of delay_max: leaves room for the swing and for noise
constexpr double growth = 1.25;           // an interval, while nothing waits
constexpr double give = 0.85;
constexpr double integral = 0.0025;       // of the rate, for a whole target of delay missing
constexpr double damping = 0.01;          // of the rate, for a change of a whole target
constexpr double calm_step = 0.01;        // of the rate, when it has been calm for long; more, the longer
constexpr unsigned calm_long = 5;
constexpr double climb_max = 0.10;        // of the rate: from 1 Mbit/s to 500 in nine seconds
constexpr double used_min = 0.7;          // of the rate: less is not the line's limit
constexpr double unused_room = 1.5;       // over what is carried, while it is not used
constexpr double smoothing = 0.4;         // of the newest interval's rate

}  // namespace

Nanoseconds YieldControl::base() const {
  return least_.empty() ? Nanoseconds(0) : least_.front().second;
}

void YieldControl::on_echo(Nanoseconds round_trip, Instant now) {
  echoes_.push_back(round_trip);
  while (!least_.empty() && least_.back().second >= round_trip)
    least_.pop_back();
  least_.emplace_back(now, round_trip);
  while (least_.size() > 1 && now - least_.front().first > base_memory)
    least_.pop_front();
}

BitsPerSecond YieldControl::rate(Bytes carried, Instant now) {
  if (!began_) {
    began_ = now;
    carried_ = carried;
  }
  const Nanoseconds passed = now - *began_;
  if (passed >= interval) {
    const double bytes =
        carried > carried_ ? static_cast<double>(carried.value - carried_.value) : 0;
    const double bits = bytes * 8e9 / static_cast<double>(passed.count());
    carried_rate_ += smoothing * (bits - carried_rate_);
    began_ = now;
    carried_ = carried;
    // Without echoes nothing is known: a cut link carries nothing either, so the rate stays.
    if (!echoes_.empty()) steer(std::max(bits, carried_rate_), now);
    echoes_.clear();
  }
  return {static_cast<std::uint64_t>(rate_)};
}

void YieldControl::steer(double carried_bits, Instant now) {
  const auto middle = echoes_.begin() + static_cast<std::ptrdiff_t>(echoes_.size() / 2);
  std::nth_element(echoes_.begin(), middle, echoes_.end());
  const Nanoseconds before = delay_;
  delay_ = *middle - base();
  const double target = static_cast<double>(delay_max_.count()) * target_share;
  const double error = 1.0 - static_cast<double>(delay_.count()) / target;
  const double change = static_cast<double>((delay_ - before).count()) / target;
  const bool is_used = carried_bits >= used_min * rate_;
  calm_ = error > 0.75 ? calm_ + 1 : 0;

  if (delay_ > delay_max_) {
    is_growing_ = false;
    if (gave_ && now - *gave_ < give_every) return;
    gave_ = now;
    rate_ = give * std::min(rate_, std::max(carried_bits, give * rate_));
  } else if (is_growing_) {
    if (error < 0) {
      is_growing_ = false;
      rate_ = std::min(rate_, std::max(carried_bits, rate_ / growth));
    } else if (is_used) {
      rate_ *= growth;
    }
  } else {
    double step = integral * std::max(error, -3.0) - damping * change;
    if (step > 0 && calm_ >= calm_long) step = std::max(step, calm_step * calm_ / calm_long);
    if (step > 0 && !is_used) step = 0;
    rate_ *= 1.0 + std::clamp(step, -0.15, climb_max);
  }
  if (!is_used) {
    rate_ = std::min(rate_, std::max(unused_room * carried_bits,
                                     static_cast<double>(rate_first.value)));
  }
  rate_ = std::clamp(rate_, static_cast<double>(rate_min.value),
                     static_cast<double>(rate_max.value));
}

}  // namespace lt::mirror

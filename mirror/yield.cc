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
constexpr double calm_share = 0.25;       // of the target: less is hardly anything
constexpr unsigned calm_long = 5;
constexpr Seconds steady{5};              // without giving: the rate then is what the line bears
constexpr double given_up = 0.8;          // of what was held before giving: it does so below it
constexpr double regain = 0.95;           // of what was held before giving: so far it grows again as at first
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
  std::sort(echoes_.begin(), echoes_.end());
  const Nanoseconds before = delay_;
  delay_ = echoes_[echoes_.size() / 2] - base();
  // A path wavers by itself, a busy machine as well; a queue delays the fast ones, too.
  const Nanoseconds fast = echoes_[echoes_.size() / 4] - base();
  const double target = static_cast<double>(delay_max_.count()) * target_share;
  const double error = 1.0 - static_cast<double>(delay_.count()) / target;
  const double change = static_cast<double>((delay_ - before).count()) / target;
  const bool is_used = carried_bits >= used_min * rate_;
  calm_ = static_cast<double>(fast.count()) < calm_share * target ? calm_ + 1 : 0;
  if (calm_ >= calm_long && rate_ < given_up * held_) is_growing_ = true;

  if (delay_ > delay_max_) {
    if (is_growing_) held_ = std::min(held_, rate_ / growth);
    is_growing_ = false;
    if (gave_ && now - *gave_ < give_every) return;
    if (!gave_ || now - *gave_ > steady) held_ = std::max(held_, rate_);
    gave_ = now;
    rate_ = give * std::min(rate_, std::max(carried_bits, give * rate_));
  } else if (is_growing_) {
    grow(carried_bits, error, is_used);
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

void YieldControl::grow(double carried_bits, double error, bool is_used) {
  if (error < 0) {
    is_growing_ = false;
    held_ = std::min(held_, rate_ / growth);
    rate_ = std::min(rate_, std::max(carried_bits, rate_ / growth));
  } else if (held_ > 0 && rate_ >= regain * held_) {
    is_growing_ = false;
  } else if (is_used) {
    rate_ *= growth;
    if (held_ > 0) rate_ = std::min(rate_, regain * held_);
  }
}

}  // namespace lt::mirror

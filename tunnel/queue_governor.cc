#include "tunnel/queue_governor.h"

#include <algorithm>

namespace lt::tunnel {

namespace {

using namespace std::chrono_literals;

constexpr auto sample_shortest = 5ms;
constexpr auto sample_longest = 200ms;
constexpr auto floor_window = 30s;
constexpr auto drain_longest = 2s;   // a queue of ours is gone by then
constexpr auto yield_time = 10s;
constexpr double drain_deepest = 0.6;
constexpr double just_below = 0.99;
constexpr double cap_least = 128e3;  // B/s: a lane never falls silent

}  // namespace

std::optional<std::uint64_t> QueueGovernor::take(const PathSample& sample, Instant now) {
  next_sample_ = now + std::clamp<std::chrono::nanoseconds>(sample.rtt, sample_shortest, sample_longest);
  if (!is_on() || sample.rtt.count() <= 0) return std::nullopt;
  learn_floor(sample.rtt, now);
  if (!sample.is_backlogged) {
    forget();
    return std::nullopt;
  }
  remember(sample, now);
  const auto delivered = delivery_rate();
  if (!delivered) return std::nullopt;

  const auto queue = sample.rtt - floor_;
  const std::uint64_t before = cap_;
  const auto set_cap = [this](double rate) { cap_ = static_cast<std::uint64_t>(std::max(rate, cap_least)); };
  switch (phase_) {
    case Phase::cruise:
      if (queue > target_) {
        phase_ = Phase::drain;
        since_ = now;
        knee_ = *delivered;
        calm_ = 0;
        // What stands above half the target is to be gone within two round trips.
        const double excess = std::chrono::duration<double>(queue - target_ / 2) / (2 * sample.rtt);
        set_cap(knee_ * std::max(drain_deepest, 1 - excess));
      } else if (cap_ != no_cap) {
        ++calm_;
        set_cap(static_cast<double>(cap_) * creep());
        if (static_cast<double>(cap_) > 4 * *delivered) cap_ = no_cap;  // far from any limit of ours
      }
      break;
    case Phase::drain:
      if (queue <= target_ / 2) {
        phase_ = Phase::cruise;
        set_cap(knee_ * just_below);
        forget();
      } else if (now - since_ > drain_longest) {
        phase_ = Phase::yield;
        since_ = now;
        cap_ = no_cap;
      } else {
        const double excess = std::chrono::duration<double>(queue - target_ / 2) / (2 * sample.rtt);
        set_cap(std::min(static_cast<double>(cap_), knee_ * std::max(drain_deepest, 1 - excess)));
      }
      break;
    case Phase::yield:
      if (now - since_ > yield_time) {
        phase_ = Phase::cruise;
        floor_window_ = {};  // the path may have become another one
        floor_ = floor_next_ = sample.rtt;
      }
      break;
  }
  return cap_ == before ? std::nullopt : std::optional(cap_);
}

void QueueGovernor::learn_floor(std::chrono::nanoseconds rtt, Instant now) {
  if (floor_.count() == 0 || rtt < floor_) floor_ = rtt;
  if (floor_next_.count() == 0 || rtt < floor_next_) floor_next_ = rtt;
  if (floor_window_ == Instant{}) floor_window_ = now;
  if (now - floor_window_ < floor_window) return;
  floor_ = floor_next_;
  floor_next_ = rtt;
  floor_window_ = now;
}

void QueueGovernor::remember(const PathSample& sample, Instant now) {
  if (past_count_ == past_.size()) {
    std::move(past_.begin() + 1, past_.end(), past_.begin());
    --past_count_;
  }
  past_[past_count_++] = {now, sample.delivered};
}

void QueueGovernor::forget() { past_count_ = 0; }

std::optional<double> QueueGovernor::delivery_rate() const {
  if (past_count_ < 3) return std::nullopt;
  const Past& first = past_[0];
  const Past& last = past_[past_count_ - 1];
  const double seconds = std::chrono::duration<double>(last.at - first.at).count();
  if (seconds <= 0 || last.delivered <= first.delivered) return std::nullopt;
  return static_cast<double>(last.delivered - first.delivered) / seconds;
}

// A quarter of a per cent a round trip; faster where the line stays calm, since it may have become wider.
double QueueGovernor::creep() const {
  if (calm_ < 40) return 1.0025;
  return calm_ < 80 ? 1.02 : 1.1;
}

}  // namespace lt::tunnel

#include "tunnel/queue_governor.h"

#include <algorithm>
#include <utility>

namespace lt::tunnel {

namespace {

using namespace std::chrono_literals;

constexpr auto sample_shortest = 5ms;
constexpr auto sample_longest = 200ms;
constexpr auto floor_window = 30s;
constexpr auto drain_longest = 2s;   // a queue of ours is gone by then
constexpr auto yield_time = 20s;
constexpr auto narrowed_after = 200ms;
constexpr auto deep_every = 10s;
constexpr unsigned deep_samples = 2;
constexpr unsigned floor_samples = 6;
constexpr std::uint64_t loss_window_bytes = 8 << 20;
constexpr double random_loss = 5e-5;
constexpr auto best_window = 250ms;
constexpr double drain_deepest = 0.6;
constexpr double line_share = 0.95;  // of the cap: what is delivered below it is the line's own rate
constexpr double just_below = 0.99;
constexpr double cap_most = 1e12;
constexpr double growth = 1.25;        // in a round trip, of a sender that is still starting (BBR's "full pipe")
constexpr unsigned full_samples = 3;
constexpr int wavering_share = 16;     // of the newest sample in the average
constexpr auto wavering_least = 50us;
// The least of some hundred samples lies 3.3 standard deviations below their mean; the mean miss is 2 of them.
constexpr int floor_depth_sixths = 10;
constexpr double cap_least = 128e3;  // B/s: a lane never falls silent

}  // namespace

std::optional<std::uint64_t> QueueGovernor::take(const PathSample& sample, Instant now) {
  next_sample_ = now + std::clamp<std::chrono::nanoseconds>(sample.rtt, sample_shortest, sample_longest);
  if (!is_on() || sample.rtt.count() <= 0) return std::nullopt;
  learn_floor(sample.rtt, now);
  learn_wavering(sample.rtt);
  if (!sample.is_backlogged) {
    forget();
    return std::nullopt;
  }
  remember(sample, now);
  const auto delivered = delivery_rate();
  if (!delivered) return std::nullopt;

  note_rate(*delivered, now);
  note_growth(*delivered);

  const auto queue = sample.rtt - floor_ - wavering_ * floor_depth_sixths / 6;
  standing_ = queue > target_ ? standing_ + 1 : 0;
  const std::uint64_t before = cap_;
  count_losses(sample);
  if (phase_ != Phase::yield && calm_delivered_ >= loss_window_bytes) {
    is_lossy_ = loses_at_random();
    judge_losses_anew();
    if (is_lossy_) {
      phase_ = Phase::yield;
      since_ = now;
      cap_ = no_cap;
      return cap_ == before ? std::nullopt : std::optional(cap_);
    }
  }
  const auto set_cap = [this](double rate) { cap_ = static_cast<std::uint64_t>(std::clamp(rate, cap_least, cap_most)); };
  // What stands above a quarter of the target is to be gone within two round trips.
  const double excess = std::chrono::duration<double>(queue - target_ / 4) / (2 * sample.rtt);
  const double drain_share = is_deep_ ? drain_deepest : std::clamp(1 - excess, drain_deepest, just_below);
  switch (phase_) {
    case Phase::cruise:
      if (standing_ >= 2 && !(cap_ == no_cap && is_growing())) {
        knee_ = std::max(*delivered, best_rate());
        phase_ = Phase::drain;
        since_ = now;
        calm_ = 0;
        drained_ = 0;
        is_deep_ = now - deep_at_ > std::max<std::chrono::nanoseconds>(deep_every, 100 * floor_);
        if (is_deep_) deep_at_ = now;
        wanted_drained_ = is_deep_ ? deep_samples : 0;
        set_cap(knee_ * (is_deep_ ? drain_deepest : drain_share));
      } else if (cap_ != no_cap && standing_ == 0) {
        ++calm_;
        set_cap(static_cast<double>(cap_) * creep());
        if (static_cast<double>(cap_) > 4 * best_rate()) cap_ = no_cap;  // far from any limit of ours
      }
      break;
    case Phase::drain:
      if (queue <= target_ / 4 && ++drained_ > wanted_drained_) {
        phase_ = Phase::cruise;
        since_ = now;
        set_cap(knee_ * just_below);
      } else if (now - since_ > std::max<std::chrono::nanoseconds>(drain_longest, 20 * floor_)) {
        phase_ = Phase::yield;
        since_ = now;
        cap_ = no_cap;
      } else {
        // A queue that does not go is that of a line which has become narrower: only what it delivers now counts, and that
        // is seen only where it delivers less than the cap lets through.
        const bool is_narrower = *delivered < line_share * static_cast<double>(cap_);
        if (is_narrower && now - since_ > std::max<std::chrono::nanoseconds>(narrowed_after, 6 * sample.rtt)) knee_ = std::min(knee_, *delivered);
        set_cap(knee_ * drain_share);
      }
      break;
    case Phase::yield:
      if (now - since_ <= yield_time) break;
      // To look for the floor costs a lossy line seconds: what it delivers meanwhile says little, and bbr believes it.
      is_lossy_ = is_lossy_ && calm_delivered_ >= loss_window_bytes && loses_at_random();
      judge_losses_anew();
      if (is_lossy_) {
        since_ = now;
      } else {
        // The path may have become another one, and what stands now may be ours: look for the floor from here down.
        floor_ = floor_next_ = sample.rtt;
        floor_window_ = now;
        knee_ = std::max(*delivered, best_rate());
        phase_ = Phase::drain;
        since_ = deep_at_ = now;
        is_deep_ = true;
        drained_ = 0;
        wanted_drained_ = floor_samples;
        set_cap(knee_ * drain_deepest);
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

// A queue moves steadily, wavering does not: what counts is by how much a sample misses the line through the two before
// it. One of a queue that builds up suddenly counts for little.
void QueueGovernor::learn_wavering(std::chrono::nanoseconds rtt) {
  if (rtt == rtts_before_[0]) return;  // nothing new was measured
  const auto [one, two] = std::exchange(rtts_before_, {rtt, rtts_before_[0]});
  if (two.count() == 0) return;
  const auto miss = std::chrono::abs(rtt - 2 * one + two);
  wavering_ += (std::min<std::chrono::nanoseconds>(miss, 4 * wavering_ + wavering_least) - wavering_) / wavering_share;
}

void QueueGovernor::note_growth(double rate) {
  if (rate < growth * grown_to_) {
    ++full_;
    return;
  }
  grown_to_ = rate;
  full_ = 0;
}

bool QueueGovernor::is_growing() const { return full_ < full_samples; }

void QueueGovernor::remember(const PathSample& sample, Instant now) {
  if (past_count_ == past_.size()) {
    std::move(past_.begin() + 1, past_.end(), past_.begin());
    --past_count_;
  }
  past_[past_count_++] = {now, sample.delivered};
}

void QueueGovernor::note_rate(double rate, Instant now) {
  if (now - best_since_ > best_window) {
    best_at_ = (best_at_ + 1) % best_.size();
    best_[best_at_] = 0;
    best_since_ = now;
  }
  best_[best_at_] = std::max(best_[best_at_], rate);
}

double QueueGovernor::best_rate() const { return *std::max_element(best_.begin(), best_.end()); }

// A loss without a queue is the line's, not ours.
void QueueGovernor::count_losses(const PathSample& sample) {
  if (standing_ == 0 && (phase_ == Phase::cruise || is_lossy_) && delivered_before_ != 0) {
    calm_lost_ += sample.retransmitted - lost_before_;
    calm_delivered_ += sample.delivered - delivered_before_;
  }
  lost_before_ = sample.retransmitted;
  delivered_before_ = sample.delivered;
}

bool QueueGovernor::loses_at_random() const {
  return static_cast<double>(calm_lost_) > random_loss * static_cast<double>(calm_delivered_);
}

void QueueGovernor::forget() {
  past_count_ = 0;
  grown_to_ = 0;
  full_ = 0;
}

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

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
constexpr unsigned calm_samples = 20;  // more than there are from drain to drain while the cap is right
constexpr unsigned floor_samples = 6;
constexpr std::uint64_t loss_window_bytes = 8 << 20;
constexpr double random_loss = 5e-5;
constexpr unsigned gone_samples_least = 4;  // round trips
constexpr auto best_window = 250ms;
constexpr double drain_deepest = 0.6;
constexpr double line_share = 0.95;  // of the cap: what is delivered below it is the line's own rate
constexpr double just_below = 0.99;
constexpr double sunk = 0.7;
constexpr double cap_most = 1e12;
constexpr double growth = 1.25;        // in a round trip, of a sender that is still starting (BBR's "full pipe")
constexpr unsigned full_samples = 3;
// Of samples that waver normally, half miss the line through their neighbours by 1.65 standard deviations or more, and
// the least of some hundred lies 3.3 below their mean.
constexpr int miss_percent = 165;
constexpr int floor_depth_percent = 330;
constexpr std::size_t misses_least = 3;
constexpr unsigned samples_least = 40;  // before that many too little is known of wavering
constexpr int evidence_wanted = 4;     // standard deviations: a false alarm in some hundred samples
constexpr unsigned full_samples_least = 6;
constexpr auto evidence_most = 10s;
constexpr double cap_least = 128e3;  // B/s: a lane never falls silent

}  // namespace

std::optional<std::uint64_t> QueueGovernor::take(const PathSample& sample, Instant now) {
  next_sample_ = now + std::clamp<std::chrono::nanoseconds>(sample.rtt, sample_shortest, sample_longest);
  if (!is_on() || sample.rtt.count() <= 0) return std::nullopt;
  ++samples_;
  learn_floor(sample.rtt, now);
  learn_wavering(sample);
  count_losses(sample);
  if (!sample.is_backlogged) {
    forget();
    return std::nullopt;
  }
  remember(sample, now);
  const auto delivered = delivery_rate();
  if (!delivered) return std::nullopt;

  const Reading reading{sample, now, sample.rtt - floor_ - floor_depth(), *delivered};
  note_rate(reading);
  note_growth(*delivered);
  weigh(reading);

  const std::uint64_t before = cap_;
  if (phase_ != Phase::yield && calm_delivered_ >= loss_window_bytes) {
    is_lossy_ = loses_at_random();
    judge_losses_anew();
    if (is_lossy_) give_way(now);
  }
  switch (phase_) {
    case Phase::cruise:
      cruise(reading);
      break;
    case Phase::drain:
      drain(reading);
      break;
    case Phase::yield:
      yield(reading);
      break;
  }
  return cap_ == before ? std::nullopt : std::optional(cap_);
}

void QueueGovernor::cruise(const Reading& reading) {
  const bool is_starting = cap_ == no_cap && is_growing();
  if (standing_ >= 2 && is_proven() && !is_starting) {
    const bool is_deep = reading.now - deep_at_ > std::max<std::chrono::nanoseconds>(deep_every, 100 * floor_);
    return start_drain(reading, is_deep ? deep_samples : 0);
  }
  if (cap_ == no_cap || standing_ > 0) return;
  ++calm_;
  set_cap(static_cast<double>(cap_) * creep());
  if (static_cast<double>(cap_) > 4 * best_rate()) cap_ = no_cap;  // far from any limit of ours
}

void QueueGovernor::start_drain(const Reading& reading, unsigned wanted_drained) {
  knee_ = line_rate(reading);
  phase_ = Phase::drain;
  since_ = drained_at_ = reading.now;
  calm_ = 0;
  drained_ = 0;
  wanted_drained_ = wanted_drained;
  is_deep_ = wanted_drained > 0;
  if (is_deep_) deep_at_ = reading.now;
  was_narrower_ = false;
  drain_from_ = reading.queue;
  due_fall_ = {};
  set_cap(knee_ * drain_share(reading));
}

void QueueGovernor::drain(const Reading& reading) {
  const auto [sample, now, queue, delivered] = reading;
  // Only where less is delivered than the cap lets through, and a queue stands, the line itself is seen.
  const bool is_narrower = standing_ > 0 && delivered < line_share * static_cast<double>(least_cap());
  was_narrower_ = was_narrower_ || is_narrower;
  // By what was held back since the last sample, a queue of ours has become shorter.
  const double held_back = std::max(0.0, 1 - static_cast<double>(cap_) / knee_);
  due_fall_ += std::chrono::duration_cast<std::chrono::nanoseconds>(held_back * (now - drained_at_));
  if (is_narrower) due_fall_ = {};
  drained_at_ = now;

  if (queue <= target_ / 4 + wavering_ / 2) {
    if (++drained_ > wanted_drained_) resume(now);
    return;
  }
  if ((due_fall_ - sample.rtt) / 2 > drain_from_) return take_for_longer_path(reading);
  if (now - since_ > std::max<std::chrono::nanoseconds>(drain_longest, 20 * floor_)) return give_way(now);

  if (full_for_ == full_samples_least) lower_knee(line_rate(reading), reading);
  // A queue that does not go is that of a line which has become narrower: only what it delivers now counts.
  const bool has_settled = now - since_ > std::max<std::chrono::nanoseconds>(narrowed_after, 6 * sample.rtt);
  if (is_narrower && has_settled) lower_knee(delivered, reading);
  set_cap(knee_ * drain_share(reading));
}

void QueueGovernor::lower_knee(double rate, const Reading& reading) {
  if (rate >= knee_) return;
  knee_ = rate;
  drain_from_ = reading.queue;  // what was held back by the higher one was too little
  due_fall_ = {};
}

// What stands above a quarter of the target is to be gone within two round trips; what stands for long, sooner: the knee
// was guessed too high.
double QueueGovernor::drain_share(const Reading& reading) const {
  if (is_deep_ || standing_ > 2 * full_samples_least) return drain_deepest;
  const double excess = std::chrono::duration<double>(reading.queue - target_ / 4) / (2 * reading.sample.rtt);
  return std::clamp(1 - excess, drain_deepest, just_below);
}

void QueueGovernor::resume(Instant now) {
  phase_ = Phase::cruise;
  evidence_ = {};
  set_cap(knee_ * just_below);
  if (was_narrower_) {
    widest_ = knee_;
    best_.fill(0);
  }
  // Drain upon drain, and the line was never seen to be narrower: what we take for a queue is none.
  if (knee_ < sunk * widest_) give_way(now);
}

// Twice of what stood has been held back, and the round trip is as long as it was: the path has become longer. If it stands
// again soon, somebody else fills it.
void QueueGovernor::take_for_longer_path(const Reading& reading) {
  if (longer_at_ != Instant{} && reading.now - longer_at_ <= yield_time) return give_way(reading.now);
  longer_at_ = reading.now;
  begin_floor(reading.sample.rtt - floor_depth(), reading.now);
  resume(reading.now);
}

void QueueGovernor::give_way(Instant now) {
  phase_ = Phase::yield;
  since_ = now;
  widest_ = 0;
  cap_ = no_cap;
}

void QueueGovernor::yield(const Reading& reading) {
  if (reading.now - since_ <= yield_time) return;
  // To look for the floor costs a lossy line seconds: what it delivers meanwhile says little, and bbr believes it.
  is_lossy_ = is_lossy_ && calm_delivered_ >= loss_window_bytes && loses_at_random();
  judge_losses_anew();
  if (is_lossy_) {
    since_ = reading.now;
    return;
  }
  // The path may have become another one, and what stands now may be ours: look for the floor from here down.
  begin_floor(reading.sample.rtt, reading.now);
  start_drain(reading, floor_samples);
}

void QueueGovernor::set_cap(double rate) { cap_ = static_cast<std::uint64_t>(std::clamp(rate, cap_least, cap_most)); }

void QueueGovernor::begin_floor(std::chrono::nanoseconds rtt, Instant now) {
  floor_ = floor_next_ = rtt;
  floor_window_ = now;
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
// it. The median: a queue that builds up suddenly counts for nothing.
void QueueGovernor::learn_wavering(const PathSample& sample) {
  if (sample.delivered == delivered_before_) return;  // nothing new was measured
  const auto [one, two] = std::exchange(rtts_before_, {sample.rtt, rtts_before_[0]});
  if (two.count() == 0) return;
  misses_[miss_count_++ % misses_.size()] = std::chrono::abs(sample.rtt - 2 * one + two);
  if (miss_count_ < misses_least) return;
  auto sorted = misses_;
  const auto end = sorted.begin() + static_cast<std::ptrdiff_t>(std::min(miss_count_, misses_.size()));
  const auto middle = sorted.begin() + (end - sorted.begin()) / 2;
  std::nth_element(sorted.begin(), middle, end);
  wavering_ = *middle * 100 / miss_percent;
}

void QueueGovernor::weigh(const Reading& reading) {
  standing_ = reading.queue > alarm() ? standing_ + 1 : 0;
  if (evidence_.count() == 0) {
    full_since_ = {reading.now, reading.sample.delivered};
    full_lost_ = reading.sample.retransmitted;
    full_for_ = 0;
  }
  ++full_for_;
  const std::chrono::nanoseconds sum = evidence_ + reading.queue - alarm() - wavering_ / 2;
  evidence_ = std::clamp<std::chrono::nanoseconds>(sum, std::chrono::nanoseconds(0), evidence_most);
}

// It grows on for a round trip or two before a drain shows.
std::chrono::nanoseconds QueueGovernor::alarm() const { return target_ * 3 / 4; }

bool QueueGovernor::is_proven() const { return samples_ >= samples_least && evidence_ > evidence_wanted * wavering_; }

// While a queue stands, what is delivered is what the line carries, however its packets' delays waver. Across a loss, or
// for a few samples only, it is less, and the best of the last seconds counts.
double QueueGovernor::line_rate(const Reading& reading) const {
  const auto [sample, now, queue, delivered] = reading;
  const bool is_measured = standing_ > 0 && full_for_ >= full_samples_least && sample.retransmitted == full_lost_ &&
                           now > full_since_.at && sample.delivered > full_since_.delivered;
  if (!is_measured) return std::max(delivered, best_rate());
  const std::chrono::duration<double> time = now - full_since_.at;
  return static_cast<double>(sample.delivered - full_since_.delivered) / time.count();
}

std::chrono::nanoseconds QueueGovernor::floor_depth() const { return wavering_ * floor_depth_percent / 100; }

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
  past_[past_count_++] = {now, sample.delivered, cap_};
}

void QueueGovernor::note_rate(const Reading& reading) {
  if (reading.now - best_since_ > best_window) {
    best_at_ = (best_at_ + 1) % best_.size();
    best_[best_at_] = 0;
    best_since_ = reading.now;
  }
  best_[best_at_] = std::max(best_[best_at_], reading.delivered);
  widest_ = std::max(widest_, reading.delivered);
}

double QueueGovernor::best_rate() const { return *std::max_element(best_.begin(), best_.end()); }

// A loss without a queue is the line's, not ours. What a full queue has lost is sent again while it is gone already.
void QueueGovernor::count_losses(const PathSample& sample) {
  const std::uint64_t lost = sample.retransmitted - std::exchange(lost_before_, sample.retransmitted);
  const std::uint64_t before = std::exchange(delivered_before_, sample.delivered);
  const std::uint64_t delivered = sample.delivered - std::min(before, sample.delivered);
  if (standing_ > 0 || sample.rtt > floor_ + floor_ / 2) queue_gone_for_ = 0;
  if (++queue_gone_for_ < gone_samples_least || !(phase_ == Phase::cruise || is_lossy_)) return;
  calm_lost_ += lost;
  calm_delivered_ += delivered;
}

bool QueueGovernor::loses_at_random() const {
  return static_cast<double>(calm_lost_) > random_loss * static_cast<double>(calm_delivered_);
}

void QueueGovernor::forget() {
  past_count_ = 0;
  evidence_ = {};
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

std::uint64_t QueueGovernor::least_cap() const {
  std::uint64_t least = no_cap;
  for (std::size_t i = 0; i < past_count_; ++i) least = std::min(least, past_[i].cap);
  return least;
}

// A quarter of a per cent a round trip; faster where the line stays calm, since it may have become wider.
double QueueGovernor::creep() const {
  if (calm_ < calm_samples) return 1.0025;
  return calm_ < 2 * calm_samples ? 1.02 : 1.1;
}

}  // namespace lt::tunnel

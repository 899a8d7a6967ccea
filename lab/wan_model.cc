#include "lab/wan_model.h"

#include <algorithm>

#include "base/assert.h"

namespace lt::lab {

namespace {

enum Purpose : std::uint64_t { loss_purpose = 1, burst_purpose, corrupt_purpose, jitter_purpose };

// A number that depends on every bit of both: for independent sequences of one seed.
constexpr std::uint64_t mix(std::uint64_t seed, std::uint64_t purpose) {
  std::uint64_t state = seed;
  state = splitmix64(state) ^ (purpose * 0xd6e8feb86659fd93ULL);
  return splitmix64(state);
}

std::uint64_t seed_of(std::uint64_t seed, Direction direction, Purpose purpose) {
  return mix(seed, std::uint64_t{purpose} * 2 + static_cast<std::uint64_t>(direction));
}

// Knots of the jitter's path stand this far apart: at least four times the jitter, so that the path
// never falls by more than half of the time that passes (order), and not closer than 10 ms, the
// time scale of queues on a shared path.
Nanoseconds knot_distance(Nanoseconds jitter) {
  return std::max<Nanoseconds>(4 * jitter, 10ms);
}

}  // namespace

Json WanCounters::to_json() const {
  return {{"packets_in", packets_in},
          {"bytes_in", bytes_in},
          {"packets_out", packets_out},
          {"bytes_out", bytes_out},
          {"packets_lost_single", packets_lost_single},
          {"packets_lost_burst", packets_lost_burst},
          {"packets_dropped_queue", packets_dropped_queue},
          {"packets_dropped_storage", packets_dropped_storage},
          {"packets_too_large", packets_too_large},
          {"packets_dropped_fragment", packets_dropped_fragment},
          {"packets_dropped_icmp", packets_dropped_icmp},
          {"packets_blackout", packets_blackout},
          {"packets_corrupted", packets_corrupted},
          {"packets_held", packets_held},
          {"bytes_held", bytes_held}};
}

WanModel::WanModel(const WanSettings& settings, Direction direction, Instant now)
    : settings_(settings),
      direction_(direction),
      epoch_(now),
      line_free_at_(now),
      last_due_(now),
      ring_(packets_held_max),
      loss_(0),
      burst_(0),
      corrupt_(0) {
  reseed();
}

void WanModel::reseed() {
  loss_ = Random(seed_of(settings_.seed, direction_, loss_purpose));
  burst_ = Random(seed_of(settings_.seed, direction_, burst_purpose));
  corrupt_ = Random(seed_of(settings_.seed, direction_, corrupt_purpose));
  in_burst_ = false;
}

void WanModel::set(const WanSettings& settings, Instant now) {
  advance(now);
  const bool other_seed = settings.seed != settings_.seed;
  settings_ = settings;
  if (other_seed) reseed();
  if (settings.burst_share == 0) in_burst_ = false;
}

Offer WanModel::offer(Bytes size, Instant now) {
  counters_.packets_in += 1;
  counters_.bytes_in += size.value;
  if (settings_.blackout) {
    counters_.packets_blackout += 1;
    return Offer::refused;
  }
  advance(now);
  const bool must_wait = line_ != tail_ || line_free_at_ > now;
  if (must_wait && waiting_bytes_ + size.value > settings_.queue.value) {
    counters_.packets_dropped_queue += 1;
    return Offer::refused;
  }
  if (tail_ - head_ == packets_held_max) {
    counters_.packets_dropped_storage += 1;
    return Offer::refused;
  }
  at(tail_++) = {now, static_cast<std::uint32_t>(size.value)};
  waiting_bytes_ += size.value;
  counters_.packets_held += 1;
  counters_.bytes_held += size.value;
  advance(now);  // onto a free line at once: what waits has something ahead of it, always
  return Offer::accepted;
}

void WanModel::refuse_for_storage(Bytes size) {
  counters_.packets_in += 1;
  counters_.bytes_in += size.value;
  counters_.packets_dropped_storage += 1;
}

void WanModel::refuse_by_router(Bytes size, Ruling ruling) {
  LT_ASSERT(ruling != Ruling::pass && ruling != Ruling::cut);
  counters_.packets_in += 1;
  counters_.bytes_in += size.value;
  if (ruling == Ruling::too_large) counters_.packets_too_large += 1;
  if (ruling == Ruling::fragment) counters_.packets_dropped_fragment += 1;
  if (ruling == Ruling::icmp) counters_.packets_dropped_icmp += 1;
}

// Puts on the line whatever has begun by `now`.
void WanModel::advance(Instant now) {
  for (; line_ != tail_; ++line_) {
    Held& packet = at(line_);
    const Instant start = std::max(line_free_at_, packet.when);
    if (start > now) return;
    waiting_bytes_ -= packet.bytes;
    line_free_at_ = start;
    if (settings_.rate.value != 0) line_free_at_ += Bytes{packet.bytes} / settings_.rate;
    const Instant due = line_free_at_ + settings_.delay + jitter_at(line_free_at_);
    last_due_ = std::max(last_due_, due);  // a shorter delay or another jitter must not overtake
    packet.when = last_due_;
  }
}

Nanoseconds WanModel::jitter_at(Instant when) const {
  if (settings_.jitter == Nanoseconds(0)) return Nanoseconds(0);
  const auto distance = knot_distance(settings_.jitter).count();
  const auto since = (when - epoch_).count();
  const auto index = static_cast<std::uint64_t>(since / distance);
  const std::uint64_t seed = seed_of(settings_.seed, direction_, jitter_purpose);
  const auto knot = [&](std::uint64_t i) { return 2 * unit_interval(mix(seed, i)) - 1; };
  const double along = static_cast<double>(since % distance) / static_cast<double>(distance);
  const double height = knot(index) * (1 - along) + knot(index + 1) * along;
  return Nanoseconds(
      static_cast<std::int64_t>(height * static_cast<double>(settings_.jitter.count())));
}

std::optional<Departure> WanModel::take(Instant now) {
  advance(now);
  if (head_ == tail_) return std::nullopt;
  if (!settings_.blackout && (head_ == line_ || at(head_).when > now)) return std::nullopt;
  const Held packet = at(head_);
  if (head_ == line_) {  // a black-out takes what still waits, too
    waiting_bytes_ -= packet.bytes;
    ++line_;
  }
  ++head_;
  counters_.packets_held -= 1;
  counters_.bytes_held -= packet.bytes;
  if (settings_.blackout) {
    counters_.packets_blackout += 1;
    return Departure{Fate::lost, now, std::nullopt};
  }
  if (draw_fate() == Fate::lost) return Departure{Fate::lost, packet.when, std::nullopt};
  counters_.packets_out += 1;
  counters_.bytes_out += packet.bytes;
  Departure departure{Fate::delivered, packet.when, std::nullopt};
  if (settings_.corrupt > 0 && corrupt_.chance(settings_.corrupt)) {
    counters_.packets_corrupted += 1;
    departure.flip = corrupt_.next();
  }
  return departure;
}

Fate WanModel::draw_fate() {
  if (settings_.burst_share > 0) {
    // Leaving and entering balance at `burst_share` of the packets in the bad state.
    const double leave = 1 / settings_.burst_packets;
    const double enter = leave * settings_.burst_share / (1 - settings_.burst_share);
    in_burst_ = in_burst_ ? !burst_.chance(leave) : burst_.chance(enter);
    if (in_burst_) {
      counters_.packets_lost_burst += 1;
      return Fate::lost;
    }
  }
  if (settings_.loss > 0 && loss_.chance(settings_.loss)) {
    counters_.packets_lost_single += 1;
    return Fate::lost;
  }
  return Fate::delivered;
}

std::optional<Instant> WanModel::next_event() const {
  LT_ASSERT(line_ == tail_ || head_ != line_);
  return head_ == tail_ ? std::nullopt : std::optional(at(head_).when);
}

}  // namespace lt::lab

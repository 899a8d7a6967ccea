#include "tunnel/doorkeeper.h"

#include <algorithm>

namespace lt::tunnel {

Prefix source_group(const IpAddress& source) {
  return Prefix{source, source.family == Family::v4 ? 32U : 64U}.network();
}

// P-55, P-73
Doorkeeper::Verdict Doorkeeper::arrive(ConnectionId id, const IpAddress& source, Instant now) {
  const Prefix group = source_group(source);
  const bool is_known = std::find(peers_.begin(), peers_.end(), group) != peers_.end();
  if (!takes_token(group, now)) return {};
  const auto from_there = std::count_if(waiting_.begin(), waiting_.end(), [&](const Waiting& w) { return w.group == group; });
  if (static_cast<std::size_t>(from_there) >= limits_.per_source) return {};

  const auto strangers = std::count_if(waiting_.begin(), waiting_.end(), [](const Waiting& w) { return !w.is_known; });
  const bool is_full = waiting_.size() >= limits_.places;
  const bool is_full_for_strangers = static_cast<std::size_t>(strangers) + limits_.reserved >= limits_.places;
  Verdict verdict{.is_admitted = true};
  if (is_full || (!is_known && is_full_for_strangers)) {
    const auto eldest = std::find_if(waiting_.begin(), waiting_.end(),
                                     [](const Waiting& w) { return !w.has_knocked && !w.is_known; });
    if (eldest == waiting_.end()) return {};
    verdict.gives_way = eldest->id;
    waiting_.erase(eldest);
  }
  waiting_.push_back({id, group, is_known, false});
  return verdict;
}

void Doorkeeper::knocked(ConnectionId id) {
  for (Waiting& waiting : waiting_) {
    if (waiting.id == id) waiting.has_knocked = true;
  }
}

void Doorkeeper::left(ConnectionId id) {
  waiting_.remove_if([id](const Waiting& waiting) { return waiting.id == id; });
}

void Doorkeeper::remember(const IpAddress& peer) {
  const Prefix group = source_group(peer);
  peers_.remove(group);
  peers_.push_front(group);
  if (peers_.size() > peers_remembered_max) peers_.pop_back();
}

bool Doorkeeper::takes_token(const Prefix& group, Instant now) {
  // Not at each arrival: while all buckets are in use, a search finds none, and a flood would pay with our time.
  if (buckets_.size() >= sources_remembered_max && now >= next_sweep_) {
    forget_full_buckets(now);
    next_sweep_ = now + std::chrono::milliseconds(100);
  }
  if (buckets_.size() >= sources_remembered_max) buckets_.erase(buckets_.begin());  // bounded, whoever comes
  Bucket& bucket = buckets_.try_emplace(group, Bucket{limits_.arrivals_burst, now}).first->second;
  const double elapsed = std::chrono::duration<double>(now - bucket.at).count();
  bucket.tokens = std::min(limits_.arrivals_burst, bucket.tokens + elapsed * limits_.arrivals_per_second);
  bucket.at = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

// A bucket that would be full again says nothing that a new one would not.
void Doorkeeper::forget_full_buckets(Instant now) {
  std::erase_if(buckets_, [&](const auto& entry) {
    const double elapsed = std::chrono::duration<double>(now - entry.second.at).count();
    return entry.second.tokens + elapsed * limits_.arrivals_per_second >= limits_.arrivals_burst;
  });
}

}  // namespace lt::tunnel

#include "mirror/flight_limit.h"

#include <algorithm>

namespace lt::mirror {

namespace {

constexpr double gain = 1.25;       // enough to grow by a quarter each round trip, little enough for short queues
constexpr double start_gain = 6.0;  // grows each round trip, until it no longer helps
constexpr int trips_filled = 3;     // a byte that is lost comes one later, and what is lost again two
constexpr double growth = 1.25;     // less than this in five samples: the line is found
constexpr unsigned flat_samples = 5;

}  // namespace

void FlightLimit::sent(std::uint64_t next, Instant now) {
  if (!trip_) trip_ = Trip{next, now};
}

bool FlightLimit::delivered(std::uint64_t received, Instant now) {
  time_trip(received, now);
  if (!since_ || received < received_) {
    since_ = now;
    received_ = received;
    return false;
  }
  const auto time = now - *since_;
  if (time < std::max<Nanoseconds>(sample_time, least_)) return false;
  const double rate = static_cast<double>(received - received_) / std::chrono::duration<double>(time).count();
  rates_[next_rate_] = rate;
  next_rate_ = (next_rate_ + 1) % rates_.size();
  since_ = now;
  received_ = received;
  if (rate >= growth * rate_at_start_) {
    rate_at_start_ = rate;
    flat_ = 0;
  } else if (++flat_ >= flat_samples) {
    is_starting_ = false;
  }
  return true;
}

void FlightLimit::restart() {
  since_.reset();
  trip_.reset();
  trip_count_ = 0;
}

void FlightLimit::time_trip(std::uint64_t received, Instant now) {
  if (!trip_ || received < trip_->number) return;
  trips_[trip_count_++ % trips_.size()] = std::chrono::duration_cast<Microseconds>(now - trip_->begin);
  trip_.reset();
}

double FlightLimit::best_rate() const { return *std::max_element(rates_.begin(), rates_.end()); }

// Between the fastest trips of late and the slowest, without the single worst and best.
Microseconds FlightLimit::wavering() const {
  if (trip_count_ < trips_.size()) return Microseconds(0);
  auto sorted = trips_;
  std::sort(sorted.begin(), sorted.end());
  return std::min(sorted[trips_kept - 2] - sorted[1], wavering_most * least_);
}

std::size_t FlightLimit::bytes() const {
  const double round_trip = std::chrono::duration<double>(trips_filled * least_ + wavering()).count();
  const double filled = (is_starting_ ? start_gain : gain) * best_rate() * round_trip;
  return std::max(flight_bytes_min, static_cast<std::size_t>(filled) + flight_bytes_min / 4);
}

}  // namespace lt::mirror

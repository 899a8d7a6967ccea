#include "mirror/flight_limit.h"

#include <algorithm>

namespace lt::mirror {

namespace {

constexpr double gain = 1.25;  // enough to grow by a quarter each round trip, little enough for short queues

}  // namespace

bool FlightLimit::delivered(std::uint64_t received, Instant now) {
  if (!since_ || received < received_) {
    since_ = now;
    received_ = received;
    return false;
  }
  const auto time = now - *since_;
  if (time < std::max<Nanoseconds>(sample_time, round_trip_)) return false;
  rates_[next_] = static_cast<double>(received - received_) / std::chrono::duration<double>(time).count();
  next_ = (next_ + 1) % samples;
  since_ = now;
  received_ = received;
  return true;
}

std::size_t FlightLimit::bytes() const {
  const double rate = *std::max_element(rates_.begin(), rates_.end());
  const double filled = gain * rate * std::chrono::duration<double>(round_trip_).count();
  return std::max(flight_bytes_min, static_cast<std::size_t>(filled) + flight_bytes_min / 4);
}

}  // namespace lt::mirror

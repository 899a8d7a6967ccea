// FlightLimit: how many bytes may be under way to the other end at once.
//
// Inside the tunnel nothing slows a sender down but the end of the tun device's queue, and that drops:
// cubic runs into it again and again, and two congestion controls that wait for each other's samples
// (bbr in bbr) take twenty seconds to a line's speed. So the pipe bounds itself, by what its peer says
// has arrived: a quarter more than the best rate of late fills, and never less than `flight_bytes_min`.
// What is more would only stand in queues, in front of everybody else's packets.
//
// Pure. @source the bandwidth-delay product with a gain, as in BBR's cwnd (Cardwell et al., ACM Queue
// 14:5, 2016), without its pacing: the outer connection paces
#pragma once

#include <array>
#include <optional>

#include "base/clock.h"
#include "base/units.h"

namespace lt::mirror {

inline constexpr std::size_t flight_bytes_min = 2 << 20;  // 17 ms of 1 Gbit/s; 80 ms begin at 210 Mbit/s

class FlightLimit {
 public:
  static constexpr Milliseconds sample_time{100};
  static constexpr std::size_t samples = 20;  // two seconds: a pause of the source does not forget the line

  /// The peer has `received` bytes in all. @return whether a sample was finished
  bool delivered(std::uint64_t received, Instant now);
  /// The least round trip of the connection.
  void set_round_trip(Microseconds least) { round_trip_ = least; }
  /// A new connection begins anew, but for the rate.
  void restart() { since_.reset(); }

  [[nodiscard]] std::size_t bytes() const;

 private:
  std::array<double, samples> rates_{};  // (unit: B/s)
  std::size_t next_{0};
  std::optional<Instant> since_;
  std::uint64_t received_{0};
  Microseconds round_trip_{0};
};

}  // namespace lt::mirror

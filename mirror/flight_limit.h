// FlightLimit: how many bytes may be under way to the other end at once.
//
// Inside the tunnel nothing slows a sender down but the end of the tun device's queue, and that drops:
// cubic runs into it again and again, and two congestion controls that wait for each other's samples
// (bbr in bbr) take twenty seconds to a line's speed. So the pipe bounds itself, by what its peer says
// has arrived: a quarter more than the best rate of late fills in three round trips, and never less than
// `flight_bytes_min`. What is more would only stand in queues, in front of everybody else's packets.
//
// Three, and what round trips waver by: on a line that loses packets what comes after a loss waits for it in
// the far kernel, and nothing is acknowledged meanwhile. With less the outer connection runs dry, and a dry
// bbr neither ends its start-up (it then sends at three times the line's rate and loses what it sends, for
// as long as ten seconds) nor keeps its rate in a recovery, which begins at what is under way (docs/adr/0018).
// A queue that merely stands delays all alike, wavers little, and earns nothing more.
//
// Pure. @source the bandwidth-delay product with a gain, as in BBR's cwnd and its startup (Cardwell et
// al., ACM Queue 14:5, 2016), without its pacing: the outer connection paces
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
  static constexpr std::size_t rates_kept = 50;   // five seconds: a pause of the source does not forget the line
  static constexpr std::size_t trips_kept = 10;
  static constexpr unsigned wavering_most = 1;  // times the least round trip: what is lost once comes one later

  /// Everything before `next` is on its way.
  void sent(std::uint64_t next, Instant now);
  /// The peer has `received` bytes in all. @return whether a sample was finished
  bool delivered(std::uint64_t received, Instant now);
  /// The least round trip of the connection.
  void set_round_trip(Microseconds least) { least_ = least; }
  /// A new connection begins anew, but for the rate.
  void restart();

  [[nodiscard]] std::size_t bytes() const;

 private:
  void time_trip(std::uint64_t received, Instant now);
  [[nodiscard]] double best_rate() const;
  [[nodiscard]] Microseconds wavering() const;

  std::array<double, rates_kept> rates_{};  // (unit: B/s)
  std::size_t next_rate_{0};
  std::optional<Instant> since_;
  std::uint64_t received_{0};
  bool is_starting_{true};   // the rate still grows with what is under way
  double rate_at_start_{0};  // when it last grew (unit: B/s)
  unsigned flat_{0};         // samples since

  struct Trip {
    std::uint64_t number;
    Instant begin;
  };
  std::optional<Trip> trip_;  // being timed
  std::array<Microseconds, trips_kept> trips_{};
  std::size_t trip_count_{0};
  Microseconds least_{0};
};

}  // namespace lt::mirror

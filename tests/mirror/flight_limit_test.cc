#include "mirror/flight_limit.h"

#include <catch2/catch.hpp>

using namespace lt;
using namespace lt::mirror;
using namespace std::chrono_literals;

namespace {

// `seconds` of a delivery at `rate` bytes a second, told every 10 ms.
void deliver(FlightLimit& limit, ManualClock& clock, std::uint64_t& received, std::uint64_t rate, unsigned tens_of_ms) {
  for (unsigned i = 0; i < tens_of_ms; ++i) {
    clock.advance(10ms);
    received += rate / 100;
    limit.delivered(received, clock.now());
  }
}

}  // namespace

TEST_CASE("a quarter more than three round trips of the line may be under way, and a little", "[mirror][flight]") {
  FlightLimit limit;
  ManualClock clock;
  std::uint64_t received = 0;
  CHECK(limit.bytes() == flight_bytes_min);
  limit.set_round_trip(80ms);
  deliver(limit, clock, received, 62'500'000, 100);  // 500 Mbit/s, 80 ms: 5 MB
  CHECK(limit.bytes() > 18'700'000);
  CHECK(limit.bytes() < 18'750'000 + flight_bytes_min / 4 + 100'000);
}

TEST_CASE("it grows from its least value to a faster line's, round trip by round trip", "[mirror][flight]") {
  FlightLimit limit;
  ManualClock clock;
  limit.set_round_trip(80ms);
  std::uint64_t received = 0;
  for (unsigned round = 0; round < 20; ++round) {  // what is under way arrives in a round trip, at most at 1 Gbit/s
    const std::uint64_t rate = std::min<std::uint64_t>(limit.bytes() * 1000 / 80, 125'000'000);
    deliver(limit, clock, received, rate, 10);
  }
  CHECK(limit.bytes() > 12'400'000);
}

TEST_CASE("bytes that take one round trip or two have more under way, a queue that stands has not", "[mirror][flight]") {
  const bool is_lossy = GENERATE(true, false);
  INFO((is_lossy ? "lossy" : "standing queue"));
  FlightLimit limit;
  ManualClock clock;
  limit.set_round_trip(80ms);
  std::uint64_t received = 0;
  for (int trip = 0; trip < 40; ++trip) {
    limit.sent(received + 5'000'000, clock.now());
    const int tens_of_ms = is_lossy ? 8 + 2 * (trip % 5) : 24 + trip % 2;
    for (int i = 0; i < tens_of_ms; ++i) {
      clock.advance(10ms);
      received += 5'000'000 / static_cast<unsigned>(tens_of_ms);
      limit.delivered(i + 1 == tens_of_ms ? received += 5'000'000 % static_cast<unsigned>(tens_of_ms) : received, clock.now());
    }
  }
  const double least = 1.25 * 62'500'000 * 0.080;  // one round trip at the best rate, 5 MB in 80 ms
  if (is_lossy) {
    CHECK(static_cast<double>(limit.bytes()) > 3.6 * least);
    CHECK(static_cast<double>(limit.bytes()) < 4.2 * least);
  } else {
    CHECK(static_cast<double>(limit.bytes()) < 1.2 * least);
  }
}

TEST_CASE("what wavers is believed up to a round trip, and forgotten with its connection", "[mirror][flight]") {
  FlightLimit limit;
  ManualClock clock;
  limit.set_round_trip(20ms);
  std::uint64_t received = 0;
  deliver(limit, clock, received, 125'000'000, 100);
  const auto calm = limit.bytes();
  for (int trip = 0; trip < 16; ++trip) {
    const unsigned tens_of_ms = trip % 2 == 0 ? 2 : 100;
    limit.sent(received + 1'250'000 * tens_of_ms, clock.now());
    deliver(limit, clock, received, 125'000'000, tens_of_ms);
  }
  CHECK(limit.bytes() > 5 * calm / 4);
  CHECK(limit.bytes() < 2 * calm);
  limit.restart();
  CHECK(limit.bytes() == calm);
}

TEST_CASE("a pause of the source does not forget the line at once, and a slow line is not flooded", "[mirror][flight]") {
  FlightLimit limit;
  ManualClock clock;
  std::uint64_t received = 0;
  limit.set_round_trip(80ms);
  deliver(limit, clock, received, 62'500'000, 100);
  deliver(limit, clock, received, 0, 100);
  CHECK(limit.bytes() > 6'200'000);
  deliver(limit, clock, received, 1'000'000, 600);
  CHECK(limit.bytes() == flight_bytes_min);
}

TEST_CASE("a count that goes back begins anew", "[mirror][flight]") {
  FlightLimit limit;
  ManualClock clock;
  limit.set_round_trip(80ms);
  CHECK_FALSE(limit.delivered(1'000'000'000, clock.now()));
  clock.advance(1s);
  CHECK_FALSE(limit.delivered(0, clock.now()));
  CHECK(limit.bytes() == flight_bytes_min);
}

// Pair: a link that is up with all its lanes, and packets every 10 ms each way on the first queue: where scenarios begin.
#pragma once

#include <catch2/catch.hpp>

#include "tests/sim/world.h"

namespace lt::sim {

using namespace std::chrono_literals;

inline std::string last_words(const World& world) {
  std::string text;
  for (const std::string& line : world.log()) text += line + "\n";
  return text;
}

struct Pair : World {
  explicit Pair(const WorldOptions& options) : World(options) {
    start(1);
    start(0);
    there = add_flow({.side = 0, .interval = 10ms});
    back = add_flow({.side = 1, .interval = 10ms});
    expect_joined(3s + 10 * options.round_trip);
    run_for(2 * options.round_trip + 200ms);
  }
  void expect_joined(nanoseconds within) {
    const bool is_up = run_until_true(within, [this] { return is_joined(); });
    INFO("seed " << options().seed << "\n" << last_words(*this));
    REQUIRE_FALSE(failure());
    REQUIRE(is_up);
  }
  // Packets come out at both ends again.
  void expect_traffic(nanoseconds within) {
    const Instant since = schedule().now();
    const auto lag = options().round_trip / 2;
    const bool flows = run_until_true(within + lag, [&] { return last_arrival(0) > since + lag && last_arrival(1) > since + lag; });
    INFO("seed " << options().seed << "\n" << last_words(*this));
    REQUIRE_FALSE(failure());
    REQUIRE(flows);
  }
  void expect_end() {
    check_end();
    INFO("seed " << options().seed << "\n" << last_words(*this));
    REQUIRE_FALSE(failure());
  }
  std::uint32_t there{0};
  std::uint32_t back{0};
};

}  // namespace lt::sim

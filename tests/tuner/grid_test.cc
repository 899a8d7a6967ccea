#include "tuner/grid.h"

#include <catch2/catch.hpp>

#include "tests/tuner/simulated_bench.h"

using namespace lt;
using namespace lt::tuner;

namespace {

class Silent final : public Progress {};

SweepResult ranking(const std::map<std::string, double>& rates, std::size_t blocks,
                    std::function<Fault(std::size_t, const Arm&)> fault = {}) {
  ManualClock clock;
  SimulatedBench::Options world;
  world.rates = rates;
  world.drift_deviation = 0.01;
  if (fault) world.fault = std::move(fault);
  SimulatedBench bench(world, clock);
  SweepOptions options;
  for (const char* arm : {"bare", "native", "native mtu=9000", "openvpn proto=udp"})
    options.arms.push_back(*parse_arm(arm));
  options.blocks = blocks;
  options.seed = 7;
  options.now = [&] { return clock.now(); };
  options.wall_now = [] { return std::string("2026-01-31T12:00:00Z"); };
  Silent progress;
  const auto result = run_sweep(bench, options, progress);
  if (!result) FAIL(result.error().text());
  return *result;
}

const std::map<std::string, double> usual{
    {"bare", 1'000e6}, {"native", 800e6}, {"native mtu=9000", 880e6}, {"openvpn proto=udp", 440e6}};

}  // namespace

TEST_CASE("a grid orders tunnels by their rate, though the line drifts between blocks", "[tuner][grid]") {
  const auto order = grid_order(ranking(usual, 3), Goal::throughput);
  REQUIRE(order.size() == 3);
  CHECK(order[0].arm == 2);
  CHECK(order[1].arm == 1);
  CHECK(order[2].arm == 3);
  CHECK(order[0].ratio == Approx(1));
  CHECK(order[2].out_because.empty());
}

TEST_CASE("an arm that failed once comes last in a grid and cannot be the best", "[tuner][grid]") {
  const auto broken = [](std::size_t unit, const Arm& arm) {
    return Fault{unit < 4 && canonical_text(arm) == "native mtu=9000" ? Fault::Kind::arm_measure : Fault::Kind::none};
  };
  const auto order = grid_order(ranking(usual, 3, broken), Goal::throughput);
  CHECK(order.front().arm == 1);
  CHECK(order.back().arm == 2);
  CHECK(order.back().out_because.starts_with("failed: "));
}

TEST_CASE("a duel is told by the blocks that hold both, with an interval round the ratio", "[tuner][grid]") {
  const auto result = ranking(usual, 8);
  const Duel duel = duel_of(result, 1, 2, Goal::throughput);
  CHECK(duel.blocks == 8);
  REQUIRE(duel.interval);
  CHECK(duel.interval->contains(duel.ratio));
  CHECK(duel.ratio < 1);
  const Duel turned = duel_of(result, 2, 1, Goal::throughput);
  CHECK(duel.ratio * turned.ratio == Approx(1));
  CHECK(duel_of(result, 1, 77, Goal::throughput).blocks == 0);
}

TEST_CASE("the whole grid holds the space and what lies one knob away from it, each arm once", "[tuner][grid]") {
  const SpaceOptions options{.incumbent = {}, .physics = {}};
  const auto few = grid_arms(options, false);
  const auto all = grid_arms(options, true);
  CHECK(few.size() == default_arms(options).size());
  CHECK(all.size() > 5 * few.size());
  std::map<std::string, unsigned> seen;
  for (const Arm& arm : all) CHECK(++seen[canonical_text(arm)] == 1);
}

// How a link that has lost its path, its peer or one lane comes back: how soon, and how many calls that costs.
#include <catch2/catch.hpp>

#include "tests/sim/figures.h"
#include "tests/sim/pair.h"

using namespace lt;
using namespace lt::sim;

namespace {

// One flow a queue and direction.
std::vector<std::uint32_t> flows_on_all_queues(World& world) {
  std::vector<std::uint32_t> flows;
  for (const std::size_t side : {0U, 1U}) {
    for (std::size_t queue = 0; queue < world.options().lanes; ++queue) {
      flows.push_back(world.add_flow({.side = side, .queue = queue, .interval = 20ms, .is_steered = false}));
    }
  }
  return flows;
}

}  // namespace

TEST_CASE("the link stays proven while its only lane is renewed", "[sim][P-63][P-69]") {
  const auto round_trip = GENERATE(20ms, 300ms);
  tunnel::LinkTimes times;
  times.lane_age = 2500ms;
  Pair world({.seed = 7, .lanes = 1, .times = times, .round_trip = round_trip});
  world.run_for(1s);
  for (int i = 0; i < 6000; ++i) {
    world.run_for(10ms);
    INFO("after " << i * 10 << " ms, " << world.take_overs_of(0) << " renewals");
    REQUIRE(world.daemon(0)->is_proven());
    REQUIRE(world.daemon(1)->is_proven());
  }
  CHECK(world.take_overs_of(0) >= 15);
  world.set_paths(false);
  world.note_fault();
  world.run_for(3500ms);
  CHECK_FALSE(world.daemon(0)->is_proven());
}

TEST_CASE("while connects are refused one lane calls for all, and with the first that is answered they all come back", "[sim][P-51]") {
  Pair world({.seed = 21, .lanes = 8});
  world.note_fault();
  world.network().stop_listening();
  for (std::size_t index = 1; index < 8; ++index) world.network().reset(*world.daemon(0)->lane_connection(index));
  world.run_for(1s);
  const auto before = world.network().connection_count();
  world.run_for(10s);
  const auto calls = world.network().connection_count() - before;
  CHECK(calls >= 30);
  CHECK(calls <= 50);  // four a second, give or take a fifth
  world.network().listen(world.daemon(1));
  world.expect_joined(1500ms);  // the server takes eight joins a second
  world.expect_end();
}

TEST_CASE("after an outage that no lane has outlived or all have, the lanes come back together", "[sim][P-51][P-70]") {
  const auto span = GENERATE(3500ms, 4200ms, 4800ms, 30s);
  Pair world({.seed = 22, .lanes = 8});
  const auto flows = flows_on_all_queues(world);
  world.run_for(500ms);
  world.note_fault();
  world.set_paths(false);
  world.run_for(span);
  world.set_paths(true);
  const Instant back = world.schedule().now();
  const auto all_carry = [&] {
    return std::all_of(flows.begin(), flows.end(), [&](std::uint32_t flow) { return world.last_delivery(flow) > back + 15ms; });
  };
  const bool is_back = world.run_until_true(1s, all_carry);
  INFO("an outage of " << span.count() << " ms" << last_words(world));
  CHECK(is_back);
  CHECK_FALSE(world.failure());
}

TEST_CASE("R10: whoever was stopped, for 1 to 90 s, the link carries packets within a second of his return", "[sim][P-51]") {
  const auto stopped = GENERATE(Fault::client_stopped, Fault::server_stopped);
  const Outages outages = measure_outages({.trials = 30, .lanes = 2, .fault = stopped, .shortest = 1s, .longest = 90s});
  INFO((stopped == Fault::client_stopped ? "client" : "server") << outages.failure.value_or(""));
  CHECK_FALSE(outages.failure);
  CHECK(quantile(outages.recovered_s, 0.5) < 0.3);
  CHECK(quantile(outages.recovered_s, 1) < 1.0);
}

TEST_CASE("R11, C-10: a lane that is throttled, and still answers, gives its place to a fresh connection", "[sim][P-77]") {
  const std::size_t sender = GENERATE(0U, 1U);
  Pair world({.seed = 23, .lanes = 4, .bytes_per_second = 25e6});
  std::vector<std::uint32_t> flows;
  for (std::size_t queue = 0; queue < 4; ++queue) {
    flows.push_back(world.add_flow({.side = sender, .queue = queue, .packet_bytes = 1400, .interval = 1ms, .is_steered = false}));
  }
  world.run_for(8s);
  world.note_fault();
  const auto throttled = world.daemon(0)->lane_connection(2);
  REQUIRE(throttled);
  world.network().throttle(*throttled, 50'000);
  const bool is_replaced = world.run_until_true(12s, [&] { return world.daemon(0)->lane_connection(2) != throttled; });
  INFO("sender " << sender << "\n" << last_words(world));
  REQUIRE(is_replaced);
  world.run_for(4s);
  const auto before = world.delivered(flows[2]);
  world.run_for(2s);
  CHECK(world.delivered(flows[2]) - before > 1500);  // of 2000
  CHECK(world.stats().sessions == 1);
  for (std::size_t index : {0U, 1U, 3U}) CHECK(world.delivered(flows[index]) > 17'000);
  CHECK_FALSE(world.failure());
}

TEST_CASE("a line that is slow for all lanes is no reason to replace them over and over", "[sim][P-77]") {
  Pair world({.seed = 24, .lanes = 2, .bytes_per_second = 5e6});
  for (const std::size_t side : {0U, 1U}) {
    for (std::size_t queue = 0; queue < 2; ++queue) world.add_flow({.side = side, .queue = queue, .packet_bytes = 1400, .interval = 1ms});
  }
  world.run_for(10s);
  world.note_fault();
  for (const std::size_t from : {0U, 1U}) world.network().path(from).bytes_per_second = 250e3;
  world.run_for(120s);
  INFO(last_words(world));
  CHECK(world.take_overs_of(0) <= 4);
  CHECK(world.stats().sessions == 1);
  CHECK_FALSE(world.failure());
}

TEST_CASE("sixteen lanes come up also where the first are worn before the last are there", "[sim][P-69]") {
  tunnel::LinkTimes times;
  times.lane_age = 5s;
  World world({.seed = 25, .lanes = 16, .times = times, .round_trip = 1500ms});
  world.start(1);
  world.start(0);
  const bool is_up = world.run_until_true(40s, [&] { return world.daemon(0)->machine().lanes_up() == 16; });
  INFO(last_words(world));
  CHECK(is_up);
  CHECK_FALSE(world.failure());
}

TEST_CASE("R8: bytes that are changed on the way past TCP's checksum cost lanes and nothing else", "[sim][C-16]") {
  Pair world({.seed = 26, .lanes = 2});
  world.note_fault();
  for (const std::size_t from : {0U, 1U}) world.network().path(from).lies = 0.02;
  world.run_for(20s);
  CHECK(world.stats().lies > 10);
  CHECK(world.stats().lanes_over > 10);
  for (const std::size_t from : {0U, 1U}) world.network().path(from).lies = 0;
  world.expect_traffic(10s);  // behind the longest wait after handshakes that failed
  world.expect_joined(10s);
  world.expect_end();  // the world has compared every byte that came out
}

TEST_CASE("R19: a machine that was suspended for an hour is back within a second", "[sim][P-51][P-75]") {
  const std::size_t side = GENERATE(0U, 1U);
  World world({.seed = 27, .lanes = 2});
  world.start(1);
  world.start(0);
  for (const std::size_t from : {0U, 1U}) world.add_flow({.side = from, .interval = 100ms});
  world.run_for(2s);
  world.note_fault();
  world.pause(side);
  world.run_for(1h);
  world.go_on(side);
  const Instant back = world.schedule().now();
  const bool is_back = world.run_until_true(1s, [&] { return world.last_arrival(0) > back + 10ms && world.last_arrival(1) > back + 10ms; });
  INFO("side " << side << "\n" << last_words(world));
  CHECK(is_back);
  CHECK_FALSE(world.failure());
}

#include "tests/sim/figures.h"

#include <algorithm>
#include <cmath>

#include "tests/sim/inner.h"

namespace lt::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

double in_seconds(nanoseconds span) { return std::chrono::duration<double>(span).count(); }

}  // namespace

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return std::nan("");
  std::sort(values.begin(), values.end());
  const auto at = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::clamp<std::size_t>(at, 1, values.size()) - 1];
}

Outages measure_outages(const OutageOptions& options) {
  Outages outages;
  const std::size_t stopped = options.fault == Fault::client_stopped ? 0 : 1;
  for (std::uint64_t trial = 1; trial <= options.trials && !outages.failure; ++trial) {
    World world({.seed = trial, .lanes = options.lanes, .round_trip = options.round_trip});
    world.start(1);
    world.start(0);
    for (const std::size_t side : {0U, 1U}) world.add_flow({.side = side, .queue = 0, .interval = milliseconds(5)});
    InnerConnections inner(world, options.inner_connections);
    if (!world.run_for(seconds(3) + world.dice().between(nanoseconds(0), seconds(1)))) {
      outages.failure = world.failure();
      break;
    }
    // Both ends give up every lane they had at the cut.
    std::array<std::size_t, 2> given_up{};
    const Instant cut = world.schedule().now();
    Instant noticed = cut;
    world.on_link_event = [&](std::size_t side, const tunnel::LinkEvent& event) {
      if (event.kind != tunnel::LinkEventKind::lane_ended || ++given_up[side] > options.lanes) return;
      noticed = world.schedule().now();
    };
    world.note_fault();
    if (options.fault == Fault::path_cut) {
      world.set_paths(false);
    } else {
      world.pause(stopped);
    }
    world.run_for(world.dice().between(options.shortest, options.longest));
    if (given_up[0] < options.lanes || given_up[1] < options.lanes) noticed = Instant::max();
    const auto turns_before = inner.turns();
    world.set_paths(true);
    world.go_on(stopped);
    const Instant back = world.schedule().now();
    const auto carries = [&](std::size_t side) { return world.last_arrival(side) > back + options.round_trip / 2; };
    world.run_until_true(seconds(20), [&] { return carries(0) && carries(1); });
    if (options.fault == Fault::path_cut) outages.noticed_s.push_back(noticed == Instant::max() ? 1e9 : in_seconds(noticed - cut));
    outages.recovered_s.push_back(in_seconds(world.schedule().now() - back));
    if (options.inner_connections > 0) {
      world.stop_flows();
      world.run_for(seconds(130));  // the longest wait between two tries is 120 s
      outages.inner_resets += inner.resets();
      const auto turns = inner.turns();
      for (std::size_t i = 0; i < turns.size(); ++i) outages.inner_stuck += turns[i] == turns_before[i] ? 1U : 0U;
    }
    outages.failure = world.failure();
  }
  return outages;
}

Rekeys measure_rekeys(std::uint64_t ratchets, std::uint64_t take_overs) {
  WorldOptions options{.seed = 17, .lanes = 1, .round_trip = milliseconds(2), .bytes_per_second = 1.25e9};
  if (ratchets > 0) {
    // Every MiB: that many blocks, and room for one more record of the largest size, which wants_ratchet() keeps free.
    options.ratchet.blocks_max = 2 * tunnel::record_limit_max / 16 + 16;
    options.ratchet.key_updates_max = 1'000'000;
  }
  if (take_overs > 0) {
    options.times.lane_age = seconds(1);
    options.bytes_per_second = 12.5e6;  // a lane that ends must have drained before so many others have come
  }
  World world(options);
  world.start(1);
  world.start(0);
  for (const std::size_t side : {0U, 1U}) {
    world.add_flow({.side = side, .packet_bytes = side == 0 ? 60'000U : 1400U, .interval = side == 0 ? nanoseconds(0) : nanoseconds(milliseconds(1))});
  }
  const auto is_done = [&] { return world.ratchets_of(0) >= ratchets && world.take_overs_of(0) >= take_overs; };
  world.run_until_true(std::chrono::hours(1), is_done);
  if (!is_done() && !world.failure()) world.fail("so many rekeys do not happen within an hour");
  if (!world.failure()) world.check_end();
  const WorldStats stats = world.stats();
  return {.ratchets = world.ratchets_of(0),
          .take_overs = world.take_overs_of(0),
          .bytes_sent = stats.bytes_delivered,
          .packets_sent = stats.packets_sent,
          .packets_lost = stats.packets_sent - stats.packets_delivered,
          .simulated_s = in_seconds(world.schedule().now().time_since_epoch() - std::chrono::hours(24)),
          .failure = world.failure()};
}

}  // namespace lt::sim

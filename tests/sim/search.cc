#include "tests/sim/search.h"

#include <cmath>

namespace lt::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

nanoseconds log_uniform(Dice& dice, nanoseconds low, nanoseconds high) {
  const double share = static_cast<double>(dice.next() >> 11) * 0x1p-53;
  const double drawn = static_cast<double>(low.count()) *
                       std::pow(static_cast<double>(high.count()) / static_cast<double>(low.count()), share);
  return nanoseconds(static_cast<std::int64_t>(drawn));
}

double log_uniform(Dice& dice, double low, double high) {
  return low * std::pow(high / low, static_cast<double>(dice.next() >> 11) * 0x1p-53);
}

WorldOptions draw_world(std::uint64_t seed, Dice& dice) {
  WorldOptions options;
  options.seed = seed;
  options.lanes = static_cast<std::uint8_t>(dice.chance(0.05) ? 16 : dice.between(1, 4));
  if (dice.chance(0.1)) options.server_lanes = static_cast<std::uint8_t>(dice.between(1, 4));
  options.round_trip = dice.chance(0.05) ? nanoseconds(milliseconds(1500)) : log_uniform(dice, milliseconds(1), milliseconds(400));
  if (dice.chance(0.5)) options.jitter = dice.between(nanoseconds(0), std::min<nanoseconds>(options.round_trip, milliseconds(100)));
  options.bytes_per_second = log_uniform(dice, 5e5, 1.25e9);
  if (dice.chance(0.3)) options.loss = 0.03 * static_cast<double>(dice.between(0, 100)) / 100;
  if (dice.chance(0.2)) options.device_full_chance = 0.01;
  if (dice.chance(0.3)) options.stall_chance = 0.02;
  // Take-overs are rare in life and frequent here.
  if (dice.chance(0.6)) options.times.lane_age = std::chrono::duration_cast<milliseconds>(log_uniform(dice, milliseconds(1500), seconds(30)));
  if (dice.chance(0.2)) options.times.lane_bytes = dice.between(20'000, 2'000'000);
  if (dice.chance(0.3)) options.times.session_kept = milliseconds(dice.between(2'000, 60'000));
  if (dice.chance(0.5)) options.ratchet.age_max = log_uniform(dice, milliseconds(700), seconds(30));
  return options;
}

void draw_flows(World& world, Dice& dice) {
  const std::size_t lanes = world.options().lanes;
  const std::uint64_t count = dice.between(1, 2 * std::min<std::size_t>(lanes, 4));
  for (std::uint64_t i = 0; i < count; ++i) {
    const bool is_large = dice.chance(0.15);
    world.add_flow({.side = dice.between(0, 1),
                    .queue = dice.between(0, lanes - 1),
                    .packet_bytes = is_large ? dice.between(1501, 60'000) : dice.between(64, 1500),
                    .interval = is_large ? nanoseconds(milliseconds(dice.between(100, 500)))
                                         : log_uniform(dice, milliseconds(10), milliseconds(500))});
  }
}

std::string describe(const WorldOptions& options) {
  const auto ms = [](nanoseconds span) { return std::to_string(std::chrono::duration_cast<milliseconds>(span).count()) + " ms"; };
  return "the world: lanes " + std::to_string(options.lanes) + " (server " + std::to_string(options.server_lanes) + "), round trip " +
         ms(options.round_trip) + ", jitter " + ms(options.jitter) + ", " + std::to_string(options.bytes_per_second / 1e6) +
         " MB/s, lane age " + ms(options.times.lane_age) + ", lane bytes " + std::to_string(options.times.lane_bytes) +
         ", session kept " + ms(options.times.session_kept);
}

// The connection of a lane that runs at the moment.
std::optional<Network::Id> some_lane(World& world, Dice& dice) {
  Daemon* const daemon = world.daemon(dice.between(0, 1));
  if (daemon == nullptr) return std::nullopt;
  return daemon->lane_connection(dice.between(0, world.options().lanes - 1));
}

const char* name_of(std::size_t side) { return side == 0 ? "client" : "server"; }

// One fault, and what ends it: within fault_span_max.
void befall(World& world, Dice& dice) {
  Schedule& schedule = world.schedule();
  World* const w = &world;
  const auto side = dice.between(0, 1);
  const nanoseconds span = log_uniform(dice, milliseconds(10), seconds(dice.chance(0.1) ? 70 : 8));
  world.note_fault(span);
  const std::string lasting = " for " + std::to_string(std::chrono::duration<double>(span).count()) + " s";
  switch (dice.between(0, 17)) {
    case 0:
    case 1:
      world.say("the path is cut" + lasting);
      world.set_paths(false);
      return schedule.after(span, [w] { w->set_paths(true); });
    case 2:
      world.say(std::string("the path from the ") + name_of(side) + " is cut" + lasting);
      world.network().set_path(side, false);
      return schedule.after(span, [w, side] { w->network().set_path(side, true); });
    case 3:
      world.say("the NAT forgets");
      return world.network().forget_in_nat(dice.chance(0.5) ? Nat::forgot_silently : Nat::forgot_with_reset);
    case 4:
      world.say("the client has another address");
      return world.change_client_address();
    case 5:
      world.say("a firewall resets all connections");
      return world.network().reset_all();
    case 6:
      if (const auto lane = some_lane(world, dice)) {
        world.say("connection " + std::to_string(*lane) + " is reset");
        world.network().reset(*lane);
      }
      return;
    case 7:
      if (const auto lane = some_lane(world, dice)) {
        world.say("connection " + std::to_string(*lane) + " falls into a black hole");
        world.network().black_hole(*lane);
      }
      return;
    case 8:
      if (const auto lane = some_lane(world, dice)) {
        world.say("connection " + std::to_string(*lane) + " is throttled");
        world.network().throttle(*lane, 20'000);
      }
      return;
    case 9:
    case 10:
      world.kill(side);
      return schedule.after(span / 4, [w, side] { w->start(side); });
    case 11:
      world.cut_power(side);
      return schedule.after(span / 2, [w, side] { w->start(side); });
    case 12:
    case 13:
      world.say(std::string(name_of(side)) + " is stopped" + lasting);
      world.pause(side);
      return schedule.after(span, [w, side] { w->go_on(side); });
    case 14: {
      world.say(std::string(name_of(side)) + " is told to end");
      world.stop(side);
      return schedule.after(std::min<nanoseconds>(span, span / 4 + seconds(3)), [w, side] {
        if (w->daemon(side) != nullptr && w->daemon(side)->has_ended()) w->kill(side);
        w->start(side);
      });
    }
    case 15:
      if (const auto lane = some_lane(world, dice)) {
        world.say("connection " + std::to_string(*lane) + " is lied to");
        world.network().lie_once(*lane, side);
      }
      return;
    case 16: {
      world.say("the path lies" + lasting);
      for (std::size_t from : {0U, 1U}) world.network().path(from).lies = 0.02;
      return schedule.after(span, [w] {
        for (std::size_t from : {0U, 1U}) w->network().path(from).lies = 0;
      });
    }
    default: {
      world.say("the path becomes another one");
      Path& path = world.network().path(side);
      path.latency = log_uniform(dice, milliseconds(1), milliseconds(400));
      path.bytes_per_second = log_uniform(dice, 1e5, 1e9);
      return;
    }
  }
}

// Ten times a second, for a while.
void flap(World& world, Dice& dice) {
  const std::uint64_t times = dice.between(5, 60);
  world.note_fault(milliseconds(100) * times);
  world.say("the path flaps");
  for (std::uint64_t i = 0; i < times; ++i) {
    World* const w = &world;
    world.schedule().after(milliseconds(100) * i, [w, i] { w->set_paths(i % 2 == 1); });
  }
  World* const w = &world;
  world.schedule().after(milliseconds(100) * times, [w] { w->set_paths(true); });
}

// A client that is killed and started again, over and over, on a path that loses much: what the last one has said comes
// when the next one is there already.
void restart_over_and_over(World& world, Dice& dice) {
  world.note_fault();
  world.say("the client is restarted over and over");
  for (const std::size_t side : {0U, 1U}) world.network().path(side).loss = 0.2;
  for (std::uint64_t i = dice.between(5, 40); i > 0 && !world.failure(); --i) {
    world.kill(0);
    world.start(0);
    // A session takes four round trips, and its first joins as many again.
    world.run_for(world.options().round_trip * dice.between(4, 12) + dice.between(nanoseconds(0), milliseconds(50)));
  }
}

void live_through(World& world, Dice& dice) {
  world.start(dice.between(0, 1));
  world.run_for(log_uniform(dice, milliseconds(1), seconds(20)));
  world.start(0);
  world.start(1);
  draw_flows(world, dice);
  world.run_for(dice.between(nanoseconds(0), seconds(5)));
  const std::uint64_t faults = dice.between(0, 8);
  for (std::uint64_t i = 0; i < faults && !world.failure(); ++i) {
    if (dice.chance(0.06)) {
      flap(world, dice);
    } else {
      befall(world, dice);
    }
    world.run_for(log_uniform(dice, milliseconds(1), seconds(dice.chance(0.3) ? 20 : 3)));
  }
  Dice restarts(world.options().seed * 2654435761U);  // apart, so that it changes no other draw
  if (restarts.chance(0.1)) restart_over_and_over(world, restarts);
  if (world.failure()) return;
  // What was planned to end later does so; the rest ends now, and then it is quiet.
  world.run_until_true(seconds(80), [&] { return world.schedule().now() >= world.faults_end(); });
  if (world.failure()) return;
  world.heal();
  if (!world.check_alive(seconds(20) + 30 * world.options().round_trip)) return;
  world.check_end();
}

}  // namespace

Trial run_trial(std::uint64_t seed, bool keeps_log) {
  Dice dice(seed);
  World world(draw_world(seed, dice));
  Dice own = dice.fork();
  live_through(world, own);
  Trial trial;
  trial.failure = world.failure();
  if (trial.failure || keeps_log) {
    trial.log = world.log();
    trial.log.push_front(describe(world.options()));
  }
  trial.stats = world.stats();
  trial.steps = world.schedule().steps();
  trial.simulated = world.schedule().now().time_since_epoch() - std::chrono::hours(24);
  trial.fingerprint = Dice(trial.steps * 31 + trial.stats.packets_delivered).next() ^
                      Dice(static_cast<std::uint64_t>(trial.simulated.count()) + trial.stats.lanes_over).next() ^
                      Dice(world.network().bytes_delivered()).next();
  return trial;
}

}  // namespace lt::sim

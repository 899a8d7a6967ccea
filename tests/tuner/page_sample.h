// A whole report by hand, for tests of the page: five settings on a gigabit line, one that fails,
// one that waits too long.
#pragma once

#include <cmath>

#include "tuner/random.h"
#include "tuner/report.h"

namespace lt::tuner {

struct SampleArm {
  std::string text;
  double rate;     // bit/s
  double wait_us;  // p95 under load
  double cpu;
};

inline std::vector<SampleArm> sample_arms() {
  return {{"bare", 938e6, 2'400, 0.05},
          {"native", 886e6, 11'800, 0.44},
          {"native mtu=9000", 914e6, 12'600, 0.38},
          {"openvpn mssfix=0 proto=tcp tun_mtu=9000", 906e6, 124'000, 0.52},
          {"openvpn proto=tcp", 231e6, 46'000, 5.3},
          {"openvpn", 188e6, 19'700, 5.9},
          {"openvpn tun_mtu=65483", 0, 0, 0}};
}

inline Unit sample_unit(std::size_t block, std::size_t position, std::size_t arm,
                        const SampleArm& truth, double drift, Random& random) {
  Unit unit{.block = block, .position = position, .arm = arm};
  const auto at = static_cast<std::int64_t>(block * 7 + position) * 11'000'000'000;
  unit.start_ns = 1'000'000'000 + at;
  unit.stop_ns = unit.start_ns + 10'500'000'000;
  unit.start_wall = unit.stop_wall = "2026-01-31T12:00:00Z";
  if (truth.rate <= 0) {
    unit.status = UnitStatus::arm_failed;
    unit.error = Error{Errc::timed_out, "the setting carries nothing larger than 1472 bytes", 0};
    return unit;
  }
  const double rate = truth.rate * std::exp(drift + 0.015 * random.normal());
  Sample sample;
  sample.up = BitsPerSecond{static_cast<std::uint64_t>(rate)};
  sample.down = BitsPerSecond{static_cast<std::uint64_t>(rate * 1.004)};
  for (int step = 0; step < 12; ++step) {
    const double rise = 1 - std::exp(-(step + 1) / 1.3);
    sample.series_down.push_back(
        static_cast<std::uint64_t>(rate / 16 * rise * std::exp(0.02 * random.normal())));
  }
  sample.idle = {.count = 200,
                 .us_min = 900,
                 .us_p50 = 1'000,
                 .us_p95 = 1'300,
                 .us_p99 = 1'500,
                 .us_max = 2'000,
                 .us_mean = 1'050};
  const double wait = truth.wait_us * std::exp(0.06 * random.normal());
  sample.loaded = {.count = 1'600,
                   .us_min = 900,
                   .us_p50 = wait * 0.8,
                   .us_p95 = wait,
                   .us_p99 = wait * 1.2,
                   .us_max = wait * 1.5,
                   .us_mean = wait * 0.8};
  sample.cpu_seconds_per_gbit = truth.cpu * std::exp(0.03 * random.normal());
  sample.start_time = Milliseconds{1'400};
  unit.sample = sample;
  return unit;
}

inline SweepResult sample_result() {
  SweepResult result;
  const auto arms = sample_arms();
  result.header.id = "0123456789abcdef";
  result.header.seed = 42;
  result.header.blocks = 12;
  result.header.started = "2026-01-31T12:00:00Z";
  result.header.facts = {
      {"kernel", "Linux 6.1.0-18-amd64"}, {"line", "lan rate=1gbit"}, {"linktune", "0.1.0"}};
  for (const SampleArm& arm : arms)
    result.header.arms.push_back(*parse_arm(arm.text));
  Random random(7);
  double drift = 0;
  for (std::size_t block = 0; block < 12; ++block) {
    drift += 0.008 * random.normal();
    const bool is_search = block < 5;
    result.blocks.push_back({.number = block,
                             .stage = block < 2   ? Stage::calibration
                                      : is_search ? Stage::search
                                                  : Stage::confirmation});
    for (std::size_t arm = 0; arm < arms.size(); ++arm) {
      const bool is_dropped = !is_search && (arm == 4 || arm == 5 || arm == 6);
      if (!is_dropped)
        result.units.push_back(sample_unit(block, arm, arm, arms[arm], drift, random));
    }
  }
  result.blocks_done = 12;
  result.journal_path = "linktune-sweep-42.jsonl";
  return result;
}

inline Decision sample_decision() {
  Decision decision;
  decision.goal = Goal::balanced;
  decision.limit = {.wait_us_max = 31'000,
                    .sentence =
                        "most goodput with a wait under load (p95) of at most the idle line's + 30 "
                        "ms: 31 ms here"};
  decision.calibration.sentence =
      "one measurement differs by 1.5 %, a fresh start adds nothing to be seen; 7 blocks show 3 % "
      "and more, 18 minutes in all";
  decision.path = {{Stage::search,
                    0,
                    2,
                    {{2, 1.0, 2, true, ""},
                     {3, 0.991, 2, true, ""},
                     {1, 0.97, 2, true, ""},
                     {4, 0.25, 2, false, "behind"},
                     {5, 0.21, 2, false, "behind"},
                     {6, 0, 2, false, "failed: carries nothing larger than 1472 bytes"}}},
                   {Stage::search,
                    1,
                    3,
                    {{2, 1.0, 3, true, ""}, {1, 0.968, 3, true, ""}, {3, 0.99, 3, true, ""}}}};
  decision.confirmed = {1, 2, 3};
  decision.blocks = 7;
  decision.comparisons = {{.arm = 2,
                           .versus = 1,
                           .blocks = 7,
                           .ratio = 1.031,
                           .interval = Interval{1.011, 1.052},
                           .bootstrap = Interval{1.014, 1.049},
                           .permutation_p = 0.0156,
                           .claim = Claim::better},
                          {.arm = 3,
                           .versus = 1,
                           .blocks = 7,
                           .ratio = 1.022,
                           .interval = Interval{0.998, 1.047},
                           .bootstrap = Interval{1.001, 1.044},
                           .permutation_p = 0.078,
                           .claim = Claim::inconclusive,
                           .blocks_needed = 19},
                          {.arm = 2,
                           .versus = 3,
                           .blocks = 7,
                           .ratio = 1.009,
                           .interval = Interval{0.985, 1.033},
                           .bootstrap = Interval{0.99, 1.03},
                           .permutation_p = 0.48,
                           .claim = Claim::equivalent}};
  decision.over_limit = {3};
  decision.best = 2;
  decision.not_worse = {2};
  decision.choice = 2;
  decision.choice_reason = "it alone is not shown worse";
  decision.incumbent = 1;
  decision.claim = Claim::better;
  decision.pareto = {1, 2};
  decision.detectable = 0.029;
  decision.price = Price{.fastest = 2,
                         .calmer = 1,
                         .goodput_share = 0.03,
                         .fastest_wait_us = 12'600,
                         .calmer_wait_us = 11'800,
                         .sentence = "The last 3 % of goodput cost 0.8 ms of waiting under load."};
  decision.restart.sentence =
      "Fresh starts differ by 1.5 %, repetitions on one start by 1.4 %, the bare line by 0.8 %: "
      "restarting changes nothing here.";
  decision.knobs = {{.knob = "mtu",
                     .from = "1500",
                     .to = "9000",
                     .arm = 2,
                     .versus = 1,
                     .blocks = 10,
                     .goodput = Interval{1.015, 1.048},
                     .wait = Interval{0.98, 1.12},
                     .cpu = Interval{0.82, 0.91}}};
  decision.sentence =
      "native mtu=9000 is better than the present settings: +1.1 % to +5.2 % goodput at 95 % "
      "confidence, at 12 ms under load.";
  return decision;
}

inline Report page_sample(bool is_staged) {
  Report report = make_report(sample_result());
  if (is_staged) report.decision = sample_decision();
  return report;
}

}  // namespace lt::tuner

#include "tuner/goal.h"

#include <algorithm>

#include "base/format.h"

namespace lt::tuner {

namespace {

constexpr double least_wait_us = 1;        // a clock's step: no division by zero
constexpr double least_cpu_seconds = 1e-6;
// Where the bare line alone waits longer than is allowed, no tunnel can do better.
constexpr double bare_wait_slack = 1.1;

std::optional<double> goodput_of(const Sample& sample, const TrialPlan& plan) {
  std::optional<double> slower;
  for (const Load load : plan.loads) {
    for (const auto& [way, rate] : {std::pair(Load::up, sample.up), std::pair(Load::down, sample.down)}) {
      if (load != way && load != Load::both) continue;
      if (!rate || rate->value == 0) return std::nullopt;
      const auto value = static_cast<double>(rate->value);
      slower = slower ? std::min(*slower, value) : value;
    }
  }
  return slower;
}

std::string milliseconds(double us) {
  return format("{:.0f} ms", us / 1000);
}

std::string megabits(double rate) {
  return format("{:.0f} Mbit/s", rate / 1e6);
}

Limit wait_limit(const LimitBasis& basis) {
  Limit limit;
  limit.sentence = "most goodput with a wait under load (p95) of at most the idle line's + 30 ms";
  if (basis.bare_idle_us <= 0) return limit;
  limit.wait_us_max = basis.bare_idle_us + wait_us_allowed;
  if (basis.bare_loaded_us > *limit.wait_us_max) {
    limit.wait_us_max = basis.bare_loaded_us * bare_wait_slack;
    limit.sentence += "; the bare line alone waits " + milliseconds(basis.bare_loaded_us) +
                      ", so at most that and a tenth";
  }
  limit.sentence += ": " + milliseconds(*limit.wait_us_max) + " here";
  return limit;
}

Limit share_limit(std::string sentence, double share, const LimitBasis& basis) {
  Limit limit;
  limit.sentence = std::move(sentence);
  if (basis.bits_per_second_best <= 0) return limit;
  limit.bits_per_second_min = share * basis.bits_per_second_best;
  limit.sentence += ": at least " + megabits(*limit.bits_per_second_min) + " here";
  return limit;
}

}  // namespace

std::string_view name_of(Goal goal) {
  switch (goal) {
    case Goal::throughput:
      return "throughput";
    case Goal::latency:
      return "latency";
    case Goal::balanced:
      return "balanced";
    case Goal::cpu:
      return "cpu";
  }
  return "unknown";
}

std::optional<Goal> goal_from_name(std::string_view name) {
  for (const Goal goal : {Goal::throughput, Goal::latency, Goal::balanced, Goal::cpu}) {
    if (name_of(goal) == name) return goal;
  }
  return std::nullopt;
}

std::optional<double> figure_of(const Sample& sample, const TrialPlan& plan, Goal goal) {
  switch (goal) {
    case Goal::throughput:
    case Goal::balanced:
      return goodput_of(sample, plan);
    case Goal::latency:
      if (sample.loaded.count == 0) return std::nullopt;
      return 1e6 / std::max(sample.loaded.us_p95, least_wait_us);
    case Goal::cpu:
      if (sample.cpu_seconds_per_gbit <= 0) return std::nullopt;
      return 1 / std::max(sample.cpu_seconds_per_gbit, least_cpu_seconds);
  }
  return std::nullopt;
}

bool Limit::keeps(double wait_us, double bits_per_second) const {
  if (wait_us_max && wait_us > *wait_us_max) return false;
  return !bits_per_second_min || bits_per_second >= *bits_per_second_min;
}

Limit limit_of(Goal goal, const LimitBasis& basis) {
  switch (goal) {
    case Goal::throughput:
      return {std::nullopt, std::nullopt, "most goodput of the slower way, whatever it costs"};
    case Goal::balanced:
      return wait_limit(basis);
    case Goal::latency:
      return share_limit("least wait under load (p95) with at least 90 % of the most goodput",
                         goodput_share_latency, basis);
    case Goal::cpu:
      return share_limit("least CPU time for each Gbit with at least 95 % of the most goodput",
                         goodput_share_cpu, basis);
  }
  return {};
}

}  // namespace lt::tuner

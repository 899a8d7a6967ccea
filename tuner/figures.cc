#include "tuner/figures.h"

#include <algorithm>
#include <cmath>

namespace lt::tuner {

namespace {

constexpr int fit_passes = 20;  // complete blocks are exact after one

std::optional<double> log_of(const Unit& unit, const Pick& pick) {
  if (unit.status != UnitStatus::measured || !unit.sample) return std::nullopt;
  const auto value = pick(*unit.sample);
  if (!value || *value <= 0) return std::nullopt;
  return std::log(*value);
}

}  // namespace

Pick pick_figure(Goal goal, const TrialPlan& plan) {
  return [goal, plan](const Sample& sample) { return figure_of(sample, plan, goal); };
}

Pick pick_goodput(const TrialPlan& plan) {
  return pick_figure(Goal::throughput, plan);
}

Pick pick_wait() {
  return [](const Sample& sample) -> std::optional<double> {
    if (sample.loaded.count == 0) return std::nullopt;
    return sample.loaded.us_p95;
  };
}

Pick pick_cpu() {
  return [](const Sample& sample) -> std::optional<double> { return sample.cpu_seconds_per_gbit; };
}

Figures::Figures(const Evidence& evidence, std::span<const Stage> stages, const Pick& pick,
                 std::size_t samples_max) {
  for (const Unit& unit : evidence.units) {
    const Stage stage = evidence.blocks[unit.block].stage;
    if (std::find(stages.begin(), stages.end(), stage) == stages.end()) continue;
    const auto log = log_of(unit, pick);
    if (!log) continue;
    StartLogs& start = rows_[unit.block][unit.arm];
    if (start.size() < samples_max) start.push_back(*log);
  }
}

std::vector<double> Figures::of(std::size_t arm) const {
  std::vector<double> values;
  for (const auto& [block, row] : rows_) {
    const auto start = row.find(arm);
    if (start != row.end()) values.push_back(mean(start->second));
  }
  return values;
}

std::vector<double> Figures::differences(std::size_t arm, std::size_t versus) const {
  std::vector<double> values;
  for (const auto& [block, row] : rows_) {
    const auto one = row.find(arm);
    const auto other = row.find(versus);
    if (one != row.end() && other != row.end())
      values.push_back(mean(one->second) - mean(other->second));
  }
  return values;
}

std::map<std::size_t, double> Figures::effects(std::span<const std::size_t> arms) const {
  struct Cell {
    std::size_t block;
    std::size_t arm;
    double log;
  };
  std::vector<Cell> cells;
  for (const auto& [block, row] : rows_) {
    for (const std::size_t arm : arms) {
      const auto start = row.find(arm);
      if (start != row.end()) cells.push_back({block, arm, mean(start->second)});
    }
  }
  std::map<std::size_t, double> of_arm;
  std::map<std::size_t, double> of_block;
  const auto refit = [&](std::map<std::size_t, double>& target, auto key, auto residual) {
    std::map<std::size_t, std::pair<double, double>> sums;
    for (const Cell& cell : cells) {
      auto& [sum, count] = sums[key(cell)];
      sum += residual(cell);
      count += 1;
    }
    for (const auto& [place, sum] : sums)
      target[place] = sum.first / sum.second;
  };
  for (int pass = 0; pass < fit_passes; ++pass) {
    refit(of_block, [](const Cell& c) { return c.block; },
          [&](const Cell& c) { return c.log - of_arm[c.arm]; });
    refit(of_arm, [](const Cell& c) { return c.arm; },
          [&](const Cell& c) { return c.log - of_block[c.block]; });
    if (cells.size() == rows_.size() * arms.size()) break;
  }
  return of_arm;
}

std::optional<Interval> ratio_interval(Numbers log_differences, double confidence) {
  const auto logs = student_t_interval(log_differences, confidence);
  if (!logs) return std::nullopt;
  return Interval{std::exp(logs->low), std::exp(logs->high)};
}

double median_of(const Evidence& evidence, std::size_t arm, const Pick& pick) {
  std::vector<double> values;
  for (const Unit& unit : evidence.units) {
    if (unit.arm != arm || unit.is_sham || !unit.sample || unit.status != UnitStatus::measured)
      continue;
    if (evidence.blocks[unit.block].stage == Stage::recheck) continue;  // for the epochs only
    if (const auto value = pick(*unit.sample)) values.push_back(*value);
  }
  return values.empty() ? 0 : median(values);
}

}  // namespace lt::tuner

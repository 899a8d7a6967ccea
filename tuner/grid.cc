#include "tuner/grid.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "tuner/figures.h"
#include "tuner/halving.h"

namespace lt::tuner {

namespace {

constexpr std::array ranking_only{Stage::ranking};

std::string failure_of(const Evidence& grid, std::size_t arm) {
  for (const Unit& unit : grid.units) {
    if (unit.arm == arm && unit.status == UnitStatus::arm_failed) return "failed: " + unit.error->text();
  }
  return {};
}

std::string out_because(const Evidence& grid, std::size_t arm, const Limit& limit) {
  if (std::string failure = failure_of(grid, arm); !failure.empty()) return failure;
  const double rate = median_of(grid, arm, pick_goodput(grid.header.plan));
  if (rate <= 0) return "never measured";
  return limit.keeps(median_of(grid, arm, pick_wait()), rate) ? std::string() : "over the limit";
}

}  // namespace

std::vector<Arm> grid_arms(const SpaceOptions& options, bool is_whole) {
  std::vector<Arm> arms = default_arms(options);
  if (!is_whole) return arms;
  std::map<std::string, bool> known;
  for (const Arm& arm : arms) known[canonical_text(arm)] = true;
  const std::vector<Arm> centres = arms;
  for (const Arm& arm : centres) {
    for (Arm& near : neighbours_of(arm, options)) {
      if (known.emplace(canonical_text(near), true).second) arms.push_back(std::move(near));
    }
  }
  return arms;
}

std::vector<GridPlace> grid_order(const Evidence& grid, Goal goal) {
  std::vector<std::size_t> tunnels;
  for (std::size_t arm = 0; arm < grid.header.arms.size(); ++arm) {
    if (grid.header.arms[arm].carrier != ArmCarrier::bare) tunnels.push_back(arm);
  }
  const Limit limit = limit_by(grid, goal);
  const auto effects = Figures(grid, ranking_only, pick_figure(goal, grid.header.plan), 1).effects(tunnels);
  std::vector<GridPlace> places;
  for (const std::size_t arm : tunnels) {
    const auto effect = effects.find(arm);
    places.push_back({arm, effect == effects.end() ? 0 : std::exp(effect->second), out_because(grid, arm, limit)});
  }
  std::stable_sort(places.begin(), places.end(), [](const GridPlace& one, const GridPlace& other) {
    if (one.out_because.empty() != other.out_because.empty()) return one.out_because.empty();
    return one.ratio > other.ratio;
  });
  const double first = places.empty() ? 0 : places.front().ratio;
  for (GridPlace& place : places) place.ratio = first > 0 ? place.ratio / first : 0;
  return places;
}

Duel duel_of(const Evidence& ranking, std::size_t arm, std::size_t versus, Goal goal) {
  const Figures figures(ranking, ranking_only, pick_figure(goal, ranking.header.plan), 1);
  const std::vector<double> differences = figures.differences(arm, versus);
  if (differences.empty()) return {};
  return {differences.size(), std::exp(mean(differences)), ratio_interval(differences, 0.95)};
}

}  // namespace lt::tuner

#include "tuner/halving.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "tuner/figures.h"

namespace lt::tuner {

namespace {

std::optional<double> value_of(double number) {
  return number > 0 ? std::optional(number) : std::nullopt;
}

Pick pick_idle() {
  return [](const Sample& s) { return value_of(s.idle.count > 0 ? s.idle.us_p50 : 0); };
}

// Evidence of the rounds so far only: what comes later must not change who went on.
Evidence up_to(const Evidence& evidence, Stage stage, std::size_t round) {
  Evidence part;
  part.header = evidence.header;
  part.blocks = evidence.blocks;
  for (const Unit& unit : evidence.units) {
    const Block& block = evidence.blocks[unit.block];
    if (block.stage == stage && block.round <= round) part.units.push_back(unit);
  }
  return part;
}

std::string fate_of(const Evidence& part, std::size_t arm) {
  for (const Unit& unit : part.units) {
    if (unit.arm == arm && unit.status == UnitStatus::arm_failed) return "failed: " + unit.error->text();
  }
  return {};
}

bool is_over(const Evidence& part, std::size_t arm, const Limit& limit) {
  bool has_any = false;
  for (const Unit& unit : part.units) {
    if (unit.arm != arm || !unit.sample) continue;
    const auto rate = figure_of(*unit.sample, part.header.plan, Goal::throughput);
    if (!rate) continue;
    has_any = true;
    if (limit.keeps(unit.sample->loaded.us_p95, *rate)) return false;
  }
  return has_any;
}

void take_out_gated(const Evidence& evidence, PathStep& step) {
  for (Placing& placing : step.placings) {
    const GateRecord* gate = evidence.gate_of(placing.arm);
    if (gate != nullptr && gate->outcome.failure)
      placing.reason = "the gate: " + gate->outcome.failure->text();
  }
}

}  // namespace

Limit limit_so_far(const Evidence& evidence) {
  return limit_by(evidence, evidence.header.question->goal);
}

Limit limit_by(const Evidence& evidence, Goal goal) {
  const SweepHeader& header = evidence.header;
  LimitBasis basis;
  for (std::size_t arm = 0; arm < header.arms.size(); ++arm) {
    if (header.arms[arm].carrier == ArmCarrier::bare) {
      basis.bare_idle_us = median_of(evidence, arm, pick_idle());
      basis.bare_loaded_us = median_of(evidence, arm, pick_wait());
    } else {
      basis.bits_per_second_best =
          std::max(basis.bits_per_second_best, median_of(evidence, arm, pick_goodput(header.plan)));
    }
  }
  return limit_of(goal, basis);
}

std::vector<Placing> placings(const Evidence& evidence, Stage stage, std::size_t round,
                              std::span<const std::size_t> arms) {
  const Evidence part = up_to(evidence, stage, round);
  const Limit limit = limit_so_far(part);
  const std::array stages{stage};
  const Figures figures(part, stages, pick_figure(part.header.question->goal, part.header.plan),
                        samples_per_start_max);
  const auto effects = figures.effects(arms);
  std::vector<Placing> result;
  for (const std::size_t arm : arms) {
    Placing placing;
    placing.arm = arm;
    placing.units = figures.of(arm).size();
    placing.reason = fate_of(part, arm);
    const auto effect = effects.find(arm);
    placing.ratio = effect == effects.end() ? 0 : std::exp(effect->second);
    if (placing.reason.empty() && placing.units == 0) placing.reason = "never measured";
    if (placing.reason.empty() && is_over(part, arm, limit)) placing.reason = "over the limit";
    result.push_back(std::move(placing));
  }
  const auto rank = [](const Placing& p) {
    return p.reason.empty() ? 0 : p.reason == "over the limit" ? 1 : 2;
  };
  std::stable_sort(result.begin(), result.end(), [&](const Placing& a, const Placing& b) {
    if (rank(a) != rank(b)) return rank(a) < rank(b);
    return a.ratio > b.ratio;
  });
  const double leader = result.empty() || result.front().ratio <= 0 ? 1 : result.front().ratio;
  for (Placing& placing : result)
    placing.ratio /= leader;
  return result;
}

std::size_t kept_of(std::size_t arms) {
  return std::max(std::min(arms, finalists_max), (arms + 1) / 2);
}

std::size_t rounds_of(std::size_t arms) {
  std::size_t rounds = 0;
  for (; arms > finalists_max; ++rounds)
    arms = kept_of(arms);
  return rounds;
}

std::vector<std::size_t> keep_first(std::vector<Placing>& placings, std::size_t count) {
  std::vector<std::size_t> kept;
  for (Placing& placing : placings) {
    const bool can_win = placing.reason.empty() || placing.reason == "over the limit";
    placing.is_kept = can_win && kept.size() < count;
    if (placing.is_kept) {
      kept.push_back(placing.arm);
    } else if (placing.reason.empty()) {
      placing.reason = "behind";
    }
  }
  return kept;
}

Search walk_search(const Evidence& evidence, std::span<const std::size_t> entrants) {
  Search search;
  search.alive.assign(entrants.begin(), entrants.end());
  search.entrants = entrants.size();
  for (std::size_t round = 0;; ++round) {
    std::size_t blocks = 0;
    std::size_t planned = 0;
    for (const Block& block : evidence.blocks) {
      if (block.stage != Stage::search || block.round != round) continue;
      ++blocks;
      planned = block.planned;
    }
    if (blocks == 0) return search;
    PathStep step{Stage::search, round, blocks, placings(evidence, Stage::search, round, search.alive)};
    if (blocks < planned) {
      search.is_round_open = true;
      search.steps.push_back(std::move(step));
      return search;
    }
    const std::size_t count = kept_of(search.alive.size());
    // Those that the last round leaves meet the gate; in earlier rounds nobody knew of it.
    if (count <= finalists_max) take_out_gated(evidence, step);
    search.alive = keep_first(step.placings, count);
    search.steps.push_back(std::move(step));
  }
}

std::vector<std::size_t> tunnels_of(const Block& block, const SweepHeader& header) {
  std::set<std::size_t> arms;
  for (const PlannedUnit& unit : block.units) {
    if (header.arms[unit.arm].carrier != ArmCarrier::bare) arms.insert(unit.arm);
  }
  return {arms.begin(), arms.end()};
}

}  // namespace lt::tuner

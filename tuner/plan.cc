#include "tuner/plan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "tuner/figures.h"
#include "tuner/halving.h"
#include "tuner/random.h"
#include "tuner/schedule.h"
#include "tuner/sweep.h"
#include "tuner/trial_times.h"
#include "tuner/verdict.h"

namespace lt::tuner {

namespace {

// On a line with a long round trip a short test would see slow start and nothing else.
constexpr double idle_us_short = 100'000;
constexpr Milliseconds short_least{1'000};
constexpr Milliseconds::rep mtu_trials_likely = 8;
constexpr Milliseconds gate_time_guess{12'000};  // before any was walked

using Places = std::vector<std::size_t>;

Places joined(const Places& one, const Places& other) {
  std::set<std::size_t> all(one.begin(), one.end());
  all.insert(other.begin(), other.end());
  return {all.begin(), all.end()};
}

const Block* last_of(const Evidence& evidence, Stage stage) {
  const auto found = std::find_if(evidence.blocks.rbegin(), evidence.blocks.rend(),
                                  [&](const Block& block) { return block.stage == stage; });
  return found == evidence.blocks.rend() ? nullptr : &*found;
}

const Block* first_of(const Evidence& evidence, Stage stage) {
  const auto found = std::find_if(evidence.blocks.begin(), evidence.blocks.end(),
                                  [&](const Block& block) { return block.stage == stage; });
  return found == evidence.blocks.end() ? nullptr : &*found;
}

// The order within a stage has a seed of its own, so a recheck in between changes no later block.
std::uint64_t seed_of(const SweepHeader& header, Stage stage) {
  if (stage == Stage::ranking) return header.seed;
  return derive_seed(header.seed, 1000 + static_cast<std::uint64_t>(stage));
}

// A block of the stage: `arms` in their seeded order, `samples` on each start.
Block block_of(const Evidence& evidence, Stage stage, const Places& arms, std::size_t samples) {
  Block block;
  block.number = evidence.blocks.size();
  block.stage = stage;
  block.epoch = evidence.epochs.size();
  const std::size_t index = evidence.blocks_of(stage);
  for (const std::size_t place :
       block_order(seed_of(evidence.header, stage), index, arms.size())) {
    for (std::size_t sample = 0; sample < samples; ++sample)
      block.units.push_back({arms[place], sample > 0});
  }
  return block;
}

TrialPlan timed(const TrialPlan& plan, const Block& block) {
  TrialPlan times = plan;
  if (block.duration > Milliseconds(0)) times.duration = block.duration;
  if (block.omit > Milliseconds(0)) times.omit = block.omit;
  if (block.idle > Milliseconds(0)) times.idle = block.idle;
  return times;
}

// What a start and its end take beside the measuring, by what was seen: one carrier's daemons come up
// faster than another's.
class StartTimes {
 public:
  explicit StartTimes(const Evidence& evidence) {
    for (const Unit& unit : evidence.units) {
      // What a resume measures must not change the plan.
      const bool is_recheck = evidence.blocks[unit.block].stage == Stage::recheck;
      if (is_recheck || unit.is_sham || unit.status != UnitStatus::measured) continue;
      const Milliseconds took = std::chrono::ceil<Milliseconds>(Nanoseconds(unit.stop_ns - unit.start_ns));
      const Milliseconds measuring =
          timed(evidence.header.plan, evidence.blocks[unit.block]).measuring_time();
      Seen& seen = seen_[evidence.header.arms[unit.arm].carrier];
      seen.sum += std::max(Milliseconds(0), took - measuring);
      ++seen.starts;
    }
  }

  /// Of a carrier that was never started: as the slowest tunnel.
  [[nodiscard]] Milliseconds of(ArmCarrier carrier) const {
    const auto known = seen_.find(carrier);
    if (known != seen_.end()) return known->second.mean();
    Milliseconds slowest{0};
    for (const auto& [other, seen] : seen_) {
      if (other != ArmCarrier::bare) slowest = std::max(slowest, seen.mean());
    }
    return slowest > Milliseconds(0) ? slowest : start_time_guess;
  }

 private:
  struct Seen {
    Milliseconds sum{0};
    Milliseconds::rep starts{0};
    [[nodiscard]] Milliseconds mean() const { return sum / starts; }
  };
  std::map<ArmCarrier, Seen> seen_;
};

Milliseconds time_of(const StartTimes& starts, const SweepHeader& header, const Block& block) {
  Milliseconds sum{0};
  for (const PlannedUnit& unit : block.units) {
    sum += timed(header.plan, block).measuring_time();
    if (!unit.is_sham) sum += starts.of(header.arms[unit.arm].carrier);
  }
  return sum;
}

class StagedPlan {
 public:
  StagedPlan(const Evidence& evidence, const ArmSources& sources)
      : evidence_(evidence),
        sources_(sources),
        header_(evidence.header),
        incumbent_(*header_.place_of(header_.question->incumbent)),
        controls_(controls_of(header_)),
        starts_(evidence),
        plan_(fitted_plan(evidence)) {}

  Action next() {
    if (!evidence_.physics) return MeasurePhysics{};
    if (evidence_.blocks_of(Stage::calibration) < calibration_blocks) return calibration_block();
    calibration_ = calibrate(evidence_);
    if (evidence_.addition_of(Stage::search) == nullptr) {
      if (sources_.largest_mtu && !evidence_.largest_mtu && has_time_for_mtu()) return *sources_.largest_mtu;
      return search_arms();
    }
    if (const auto action = search()) return *action;
    if (evidence_.addition_of(Stage::screen) == nullptr) return screen_arms();
    if (const auto action = screen()) return *action;
    return confirmation();
  }

 private:
  // The incumbent started afresh, and measured once more on that start; the bare line before or
  // behind, by lot.
  Action calibration_block() {
    const auto bare = bare_places();
    Block block = block_of(evidence_, Stage::calibration, joined(bare, {incumbent_}), 1);
    const auto start = std::find(block.units.begin(), block.units.end(), PlannedUnit{incumbent_, false});
    block.units.insert(start + 1, PlannedUnit{incumbent_, true});
    block.planned = calibration_blocks;
    block.duration = plan_.duration;
    block.omit = plan_.omit;
    block.idle = plan_.idle;
    return block;
  }

  [[nodiscard]] Places bare_places() const {
    Places bare;
    for (std::size_t arm = 0; arm < header_.arms.size(); ++arm) {
      if (header_.arms[arm].carrier == ArmCarrier::bare) bare.push_back(arm);
    }
    return bare;
  }

  // The worst case is as many starts as the bisection has steps; a search must be left behind it.
  [[nodiscard]] bool has_time_for_mtu() const {
    return search_allowed() >= mtu_trials_likely * gate_time_guess;
  }

  AddArms search_arms() const {
    AddArms action{Stage::search, {}, {}};
    if (evidence_.largest_mtu && evidence_.largest_mtu->largest) add_new(action.arms, {evidence_.largest_mtu->arm});
    if (sources_.space) add_new(action.arms, sources_.space(evidence_.physics->physics));
    if (sources_.ruled_out) action.ruled_out = sources_.ruled_out(evidence_.physics->physics);
    return action;
  }

  void add_new(std::vector<Arm>& arms, const std::vector<Arm>& more) const {
    for (const Arm& arm : more) {
      const std::string text = canonical_text(arm);
      const bool is_known = header_.place_of(arm).has_value() ||
                            std::any_of(arms.begin(), arms.end(), [&](const Arm& other) {
                              return canonical_text(other) == text;
                            });
      if (!is_known && header_.arms.size() + arms.size() < arms_max) arms.push_back(arm);
    }
  }

  // Who enters: all tunnels, or as many as the search's share of the budget holds, in the order in
  // which they were named.
  [[nodiscard]] Places entrants() const {
    if (const Block* first = first_of(evidence_, Stage::search)) return tunnels_of(*first, header_);
    Places all;
    for (std::size_t arm = 0; arm < header_.arms.size(); ++arm) {
      if (header_.arms[arm].carrier != ArmCarrier::bare) all.push_back(arm);
    }
    while (all.size() > controls_.size() + 1 && search_time(all.size()) > search_allowed())
      drop_last(all);
    return all;
  }

  void drop_last(Places& arms) const {
    for (auto arm = arms.rbegin(); arm != arms.rend(); ++arm) {
      if (std::find(controls_.begin(), controls_.end(), *arm) != controls_.end()) continue;
      arms.erase(std::next(arm).base());
      return;
    }
  }

  [[nodiscard]] Milliseconds share_of(double share) const {
    return Milliseconds(static_cast<Milliseconds::rep>(
        share * static_cast<double>(header_.question->budget.count())));
  }

  // What the least confirmation takes: ten blocks of the controls and one finalist, the incumbent with
  // its sham, and the gate for each of them. Search and screen live on the rest, or there would be
  // nothing to decide by.
  [[nodiscard]] Milliseconds reserve() const {
    Block block;
    for (const std::size_t arm : controls_)
      block.units.push_back({arm, false});
    block.units.push_back({incumbent_, true});
    set_times(block, false);
    const Milliseconds each = time_of(starts_, header_, block) + arm_time(false);
    return static_cast<Milliseconds::rep>(blocks_for_decision) * each + gates_ahead() +
           share_of(slack_share);
  }

  // The gate of the controls and of as many finalists as there may be, those that have met it left out.
  [[nodiscard]] Milliseconds gates_ahead() const {
    const auto all = static_cast<Milliseconds::rep>(controls_.size() - bare_places().size() + finalists_max);
    const auto met = static_cast<Milliseconds::rep>(evidence_.gates.size());
    Milliseconds spent{0};
    for (const GateRecord& gate : evidence_.gates)
      spent += gate.took;
    const Milliseconds each = met > 0 ? spent / met : gate_time_guess;
    return std::max<Milliseconds::rep>(0, all - met) * each;
  }

  [[nodiscard]] Milliseconds search_allowed() const {
    Milliseconds before = evidence_.physics->took + spent_in(Stage::calibration);
    if (evidence_.largest_mtu) before += evidence_.largest_mtu->took;
    const Milliseconds rest = header_.question->budget - before - reserve();
    return std::clamp(rest, share_of(search_share_least), share_of(search_share));
  }

  [[nodiscard]] Milliseconds screen_allowed() const {
    const Milliseconds rest = header_.question->budget - evidence_.elapsed() - reserve();
    return std::clamp(rest, Milliseconds(0), share_of(screen_share));
  }

  // All rounds at their least, the first with short tests. The first holds the controls anyhow; later
  // ones may hold them beside those that went on.
  [[nodiscard]] Milliseconds search_time(std::size_t arms) const {
    const std::size_t tunnels = arms;
    Milliseconds sum{0};
    for (std::size_t round = 0; arms > finalists_max; ++round) {
      const std::size_t held = std::min(arms + controls_.size(), tunnels + bare_places().size());
      sum += static_cast<Milliseconds::rep>(search_blocks_min * held) * arm_time(round == 0);
      arms = kept_of(arms);
    }
    return sum;
  }

  [[nodiscard]] bool may_be_short() const {
    const Physics& physics = evidence_.physics->physics;
    return !evidence_.physics->failure && physics.idle.count > 0 && physics.idle.us_p50 < idle_us_short;
  }

  [[nodiscard]] Milliseconds shortened(Milliseconds time) const {
    return std::min(time, std::max(short_least, time / 2));
  }

  [[nodiscard]] Milliseconds arm_time(bool is_short) const {
    Block block;
    block.units = {{incumbent_, false}};
    set_times(block, is_short);
    return time_of(starts_, header_, block);
  }

  void set_times(Block& block, bool is_short) const {
    const bool halves = is_short && may_be_short();
    block.duration = halves ? shortened(calibration_.duration) : calibration_.duration;
    block.omit = halves ? shortened(plan_.omit) : plan_.omit;
    block.idle = plan_.idle;
  }

  std::optional<Action> search() {
    const Places who = entrants();
    search_ = walk_search(evidence_, who);
    if (search_.alive.size() <= finalists_max && !search_.is_round_open) return gate_survivors();
    const std::size_t round =
        search_.is_round_open ? search_.steps.back().round : search_.steps.size();
    Block block = block_of(evidence_, Stage::search, joined(search_.alive, controls_), 1);
    set_times(block, round == 0);
    block.round = round;
    block.planned = search_.is_round_open ? last_of(evidence_, Stage::search)->planned
                                          : blocks_in_round(round, block);
    if (!fits(block)) return std::nullopt;
    return block;
  }

  // Before the last round nobody was worth the time; behind it nobody goes on unchecked, and whoever is
  // out makes way for the next one.
  [[nodiscard]] std::optional<Action> gate_survivors() const {
    if (search_.steps.empty()) return std::nullopt;
    for (const std::size_t arm : search_.alive) {
      if (evidence_.gate_of(arm) == nullptr) return CheckArm{arm};
    }
    return std::nullopt;
  }

  [[nodiscard]] std::size_t blocks_in_round(std::size_t round, const Block& block) const {
    const std::size_t rounds = std::max<std::size_t>(1, rounds_of(search_.entrants));
    const std::size_t left = rounds > round ? rounds - round : 1;
    const Milliseconds spent = spent_in(Stage::search);
    const Milliseconds rest = search_allowed() - spent;
    const Milliseconds each = time_of(starts_, header_, block);
    if (rest <= Milliseconds(0) || each <= Milliseconds(0)) return search_blocks_min;
    const auto count = static_cast<std::size_t>(rest / each) / left;
    return std::clamp(count, search_blocks_min, search_blocks_max);
  }

  [[nodiscard]] Milliseconds spent_in(Stage stage) const {
    Nanoseconds sum{0};
    for (const Unit& unit : evidence_.units) {
      if (evidence_.blocks[unit.block].stage == stage)
        sum += Nanoseconds(unit.stop_ns - unit.start_ns);
    }
    return std::chrono::duration_cast<Milliseconds>(sum);
  }

  [[nodiscard]] bool fits(const Block& block) const {
    return evidence_.elapsed() + time_of(starts_, header_, block) <=
           header_.question->budget;
  }

  // One factor off each of the first two, in turns, as many as the screen's share holds.
  [[nodiscard]] AddArms screen_arms() const {
    AddArms action{Stage::screen, {}, {}};
    if (!sources_.variants) return action;
    std::vector<std::vector<Arm>> offers;
    for (std::size_t i = 0; i < std::min(screen_bases, search_.alive.size()); ++i)
      offers.push_back(
          sources_.variants(header_.arms[search_.alive[i]], evidence_.physics->physics));
    std::vector<Arm> in_turns;
    for (std::size_t at = 0; std::any_of(offers.begin(), offers.end(),
                                         [&](const auto& offer) { return at < offer.size(); });
         ++at) {
      for (const auto& offer : offers) {
        if (at < offer.size()) in_turns.push_back(offer[at]);
      }
    }
    add_new(action.arms, in_turns);
    action.arms.resize(std::min(action.arms.size(), screen_places()));
    return action;
  }

  [[nodiscard]] std::size_t screen_places() const {
    const std::size_t held = joined(search_.alive, controls_).size();
    const Milliseconds each = arm_time(false);
    if (each <= Milliseconds(0)) return 0;
    const auto places = static_cast<std::size_t>(screen_allowed() / each) / search_blocks_min;
    return places > held ? places - held : 0;
  }

  [[nodiscard]] Places variants() const {
    Places places;
    const Addition* addition = evidence_.addition_of(Stage::screen);
    for (std::size_t i = 0; i < addition->count; ++i)
      places.push_back(addition->first + i);
    return places;
  }

  std::optional<Action> screen() {
    const Places added = variants();
    if (added.empty()) return std::nullopt;
    const std::size_t done = evidence_.blocks_of(Stage::screen);
    Block block =
        block_of(evidence_, Stage::screen, joined(joined(search_.alive, added), controls_), 1);
    set_times(block, false);
    if (done == 0) {
      const Milliseconds each = time_of(starts_, header_, block);
      block.planned = std::clamp(static_cast<std::size_t>(screen_allowed() / each),
                                 search_blocks_min, search_blocks_max);
    } else {
      block.planned = first_of(evidence_, Stage::screen)->planned;
    }
    if (done >= block.planned || !fits(block)) return std::nullopt;
    return block;
  }

  Action confirmation() {
    if (const Block* first = first_of(evidence_, Stage::confirmation)) return go_on_with(*first);
    const Places line = finalists_in_line(evidence_);
    for (std::size_t finalists = finalists_max; finalists >= 1; --finalists) {
      const auto block = try_finalists(line, finalists);
      if (const auto* check = std::get_if<CheckArm>(&block)) return *check;
      const Block& planned = std::get<Block>(block);
      if (planned.planned >= blocks_for_decision || finalists == 1) {
        if (planned.units.empty() || !fits(planned)) return Finish{true};
        return planned;
      }
    }
    return Finish{true};
  }

  // The block of that many finalists, once all of them have passed the gate.
  [[nodiscard]] std::variant<CheckArm, Block> try_finalists(const Places& line,
                                                            std::size_t finalists) const {
    Places chosen;
    for (const std::size_t arm : line) {
      if (chosen.size() == finalists) break;
      if (arm == incumbent_ || is_out(arm)) continue;
      if (evidence_.gate_of(arm) == nullptr) return CheckArm{arm};
      chosen.push_back(arm);
    }
    const Places arms = joined(chosen, controls_);
    for (const std::size_t arm : arms) {
      const bool is_bare = header_.arms[arm].carrier == ArmCarrier::bare;
      if (!is_bare && evidence_.gate_of(arm) == nullptr) return CheckArm{arm};
    }
    Block many = confirmation_block(arms, calibration_.samples_per_start);
    Block one = confirmation_block(arms, 1);
    if (many.planned < blocks_for_decision) return one;
    const bool is_sharper = shown_by(many, arms, calibration_.samples_per_start) < shown_by(one, arms, 1);
    return is_sharper ? many : one;
  }

  // The difference that the blocks show, all pairs at once: more samples on a start make fewer starts.
  [[nodiscard]] double shown_by(const Block& block, const Places& arms, std::size_t samples) const {
    if (block.planned < 2) return std::numeric_limits<double>::infinity();
    return effect_detectable(block.planned, difference_deviation(calibration_, samples),
                             level_for(arms), power);
  }

  // The confidence of each pair, for all to hold at once.
  [[nodiscard]] double level_for(const Places& arms) const {
    const std::size_t tunnels = arms.size() - std::min(arms.size(), bare_places().size());
    const std::size_t pairs = tunnels < 3 ? 1 : tunnels * (tunnels - 1) / 2;
    return 1 - (1 - header_.question->confidence) / static_cast<double>(pairs);
  }

  [[nodiscard]] bool is_out(std::size_t arm) const {
    const GateRecord* gate = evidence_.gate_of(arm);
    return gate != nullptr && gate->outcome.failure.has_value();
  }

  // Each arm with K samples; the incumbent with a sham at least, to tell restarts from drift.
  [[nodiscard]] Block confirmation_block(const Places& arms, std::size_t samples) const {
    Block block = block_of(evidence_, Stage::confirmation, arms, samples);
    if (samples == 1) {
      const auto start =
          std::find(block.units.begin(), block.units.end(), PlannedUnit{incumbent_, false});
      if (start != block.units.end()) block.units.insert(start + 1, PlannedUnit{incumbent_, true});
    }
    set_times(block, false);
    const Milliseconds each = time_of(starts_, header_, block);
    const Milliseconds rest = header_.question->budget - evidence_.elapsed();
    const auto holds = rest > Milliseconds(0) ? static_cast<std::size_t>(rest / each) : 0;
    const std::size_t wished = blocks_to_detect(std::log1p(header_.question->within),
                                                spread_seen(samples), level_for(arms), power);
    block.planned = std::min(std::clamp(wished, blocks_for_decision, confirmation_blocks_max), holds);
    block.planned = std::max<std::size_t>(block.planned, 1);
    return block;
  }

  // Of log differences within a block: the larger of what the calibration and the search saw.
  [[nodiscard]] double spread_seen(std::size_t samples) const {
    const double forecast = difference_deviation(calibration_, samples);
    const std::array stages{Stage::search, Stage::screen};
    const Figures figures(evidence_, stages, pick_figure(header_.question->goal, header_.plan),
                          samples_per_start_max);
    std::vector<double> spreads;
    for (const std::size_t arm : search_.alive) {
      const auto differences = figures.differences(arm, incumbent_);
      if (arm != incumbent_ && differences.size() >= 3) spreads.push_back(deviation(differences));
    }
    return spreads.empty() ? forecast : std::max(forecast, median(spreads));
  }

  [[nodiscard]] Action go_on_with(const Block& first) const {
    const std::size_t done = evidence_.blocks_of(Stage::confirmation);
    if (done >= first.planned) return Finish{};
    Places arms = tunnels_of(first, header_);
    arms = joined(arms, controls_);
    const auto samples = static_cast<std::size_t>(std::count_if(
        first.units.begin(), first.units.end(), [&](const PlannedUnit& u) { return u.arm == bare_places().front(); }));
    Block block = confirmation_block(arms, samples);
    block.planned = first.planned;
    // What is there already may be enough to judge by; the look at it is the only one.
    if (!fits(block)) return Finish{done < blocks_for_decision};
    return block;
  }

  const Evidence& evidence_;
  const ArmSources& sources_;
  const SweepHeader& header_;
  std::size_t incumbent_;
  Places controls_;
  StartTimes starts_;
  TrialPlan plan_;
  Calibration calibration_{};
  Search search_{};
};

}  // namespace

Action next_of_ranking(const Evidence& evidence) {
  if (evidence.blocks.size() >= evidence.header.blocks) return Finish{};
  Places all(evidence.header.arms.size());
  for (std::size_t arm = 0; arm < all.size(); ++arm)
    all[arm] = arm;
  Block block = block_of(evidence, Stage::ranking, all, 1);
  block.planned = evidence.header.blocks;
  return block;
}

Action next_of_staged(const Evidence& evidence, const ArmSources& sources) {
  return StagedPlan(evidence, sources).next();
}

std::vector<std::size_t> controls_of(const SweepHeader& header) {
  std::set<std::size_t> places;
  for (std::size_t arm = 0; arm < header.arms.size(); ++arm) {
    if (header.arms[arm].carrier == ArmCarrier::bare) places.insert(arm);
  }
  if (const auto place = header.place_of(header.question->incumbent)) places.insert(*place);
  for (const Arm& arm : header.question->defaults) {
    if (const auto place = header.place_of(arm)) places.insert(*place);
  }
  return {places.begin(), places.end()};
}

std::vector<std::size_t> finalists_in_line(const Evidence& evidence) {
  const Block* first = first_of(evidence, Stage::search);
  Places entrants;
  if (first != nullptr) {
    entrants = tunnels_of(*first, evidence.header);
  } else {
    for (std::size_t arm = 0; arm < evidence.header.arms.size(); ++arm) {
      if (evidence.header.arms[arm].carrier != ArmCarrier::bare) entrants.push_back(arm);
    }
  }
  Places line = walk_search(evidence, entrants).alive;
  const Block* screen = last_of(evidence, Stage::screen);
  if (screen == nullptr) return line;
  auto ranked = placings(evidence, Stage::screen, screen->round, tunnels_of(*screen, evidence.header));
  return keep_first(ranked, ranked.size());
}

Milliseconds time_of_block(const Evidence& evidence, const Block& block) {
  return time_of(StartTimes(evidence), evidence.header, block);
}

Milliseconds budget_to_settle(const Evidence& evidence, std::size_t blocks) {
  if (evidence.blocks.empty()) return Milliseconds(0);
  // Without a confirmation to go by: the last block of all is not smaller than one would be.
  const Block* last = last_of(evidence, Stage::confirmation);
  if (last == nullptr) last = &evidence.blocks.back();
  Nanoseconds confirming{0};
  for (const Unit& unit : evidence.units) {
    if (evidence.blocks[unit.block].stage == Stage::confirmation)
      confirming += Nanoseconds(unit.stop_ns - unit.start_ns);
  }
  const auto wanted = static_cast<Milliseconds::rep>(std::max(blocks, blocks_for_decision));
  const Milliseconds before = evidence.elapsed() - std::chrono::duration_cast<Milliseconds>(confirming);
  const Milliseconds sum = before + wanted * time_of_block(evidence, *last);
  return std::chrono::ceil<std::chrono::minutes>(sum * 11 / 10);
}

Milliseconds time_left(const Evidence& evidence) {
  const Milliseconds rest =
      std::max(Milliseconds(0), evidence.header.question->budget - evidence.elapsed());
  const Block* last = last_of(evidence, Stage::confirmation);
  if (last == nullptr) return rest;
  const std::size_t done = evidence.blocks_of(Stage::confirmation);
  const std::size_t left = last->planned > done ? last->planned - done : 0;
  return std::min(rest, static_cast<Milliseconds::rep>(left) * time_of_block(evidence, *last));
}

}  // namespace lt::tuner

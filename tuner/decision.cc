#include "tuner/decision.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/format.h"
#include "tuner/confirmation.h"
#include "tuner/figures.h"
#include "tuner/findings.h"
#include "tuner/halving.h"
#include "tuner/plan.h"
#include "tuner/verdict.h"

namespace lt::tuner {

namespace {

constexpr std::array confirmed_stages{Stage::confirmation};
constexpr std::uint64_t judging_purpose = 77;

const Block* first_confirmation(const Evidence& evidence) {
  const auto found =
      std::find_if(evidence.blocks.begin(), evidence.blocks.end(),
                   [](const Block& block) { return block.stage == Stage::confirmation; });
  return found == evidence.blocks.end() ? nullptr : &*found;
}

// Samples on each start that all arms of the confirmation have: the bare line has no other.
std::size_t samples_of(const Block& block, const SweepHeader& header) {
  std::size_t samples = 0;
  for (const PlannedUnit& unit : block.units)
    samples += header.arms[unit.arm].carrier == ArmCarrier::bare ? 1U : 0U;
  return std::max<std::size_t>(1, samples);
}

// The evidence of the confirmation alone, for medians of fresh data.
Evidence confirmed_part(const Evidence& evidence) {
  Evidence part;
  part.header = evidence.header;
  part.blocks = evidence.blocks;
  part.gates = evidence.gates;
  for (const Unit& unit : evidence.units) {
    if (evidence.blocks[unit.block].stage == Stage::confirmation) part.units.push_back(unit);
  }
  return part;
}

class Decider {
 public:
  explicit Decider(const Evidence& evidence)
      : evidence_(evidence), header_(evidence.header), fresh_(confirmed_part(evidence)) {}

  Decision run() {
    const Question& question = *header_.question;
    decision_.goal = question.goal;
    decision_.within = question.within;
    decision_.confidence = question.confidence;
    decision_.incumbent = *header_.place_of(question.incumbent);
    decision_.calibration = calibrate(evidence_);
    take_path();
    take_confirmation();
    find_extras();
    describe();
    return std::move(decision_);
  }

 private:
  void take_path() {
    std::vector<std::size_t> entrants;
    for (const Block& block : evidence_.blocks) {
      if (block.stage != Stage::search) continue;
      entrants = tunnels_of(block, header_);
      break;
    }
    if (!entrants.empty()) decision_.path = walk_search(evidence_, entrants).steps;
    take_screen();
  }

  void take_screen() {
    const Block* last = nullptr;
    for (const Block& block : evidence_.blocks) {
      if (block.stage == Stage::screen) last = &block;
    }
    if (last == nullptr) return;
    PathStep step{Stage::screen, 0, evidence_.blocks_of(Stage::screen),
                  placings(evidence_, Stage::screen, last->round, tunnels_of(*last, header_))};
    const Block* confirmation = first_confirmation(evidence_);
    std::set<std::size_t> confirmed;
    if (confirmation != nullptr) {
      const auto arms = tunnels_of(*confirmation, header_);
      confirmed.insert(arms.begin(), arms.end());
    }
    for (Placing& placing : step.placings) {
      placing.is_kept = confirmed.contains(placing.arm);
      if (const GateRecord* gate = evidence_.gate_of(placing.arm);
          gate != nullptr && gate->outcome.failure)
        placing.reason = "the gate: " + gate->outcome.failure->text();
      if (!placing.is_kept && placing.reason.empty()) placing.reason = "behind";
    }
    decision_.path.push_back(std::move(step));
  }

  void take_confirmation() {
    const Block* first = first_confirmation(evidence_);
    if (first == nullptr) {
      decision_.limit = limit_so_far(evidence_);
      return;
    }
    decision_.confirmed = tunnels_of(*first, header_);
    decision_.blocks = evidence_.blocks_of(Stage::confirmation);
    decision_.limit = limit_so_far(fresh_);
    figures_.emplace(evidence_, confirmed_stages, pick_figure(decision_.goal, header_.plan),
                     samples_of(*first, header_));
    for (const std::size_t arm : decision_.confirmed) {
      if (!has_failed(evidence_, arm) && !figures_->of(arm).empty()) sound_.push_back(arm);
    }
    decision_.comparisons =
        compare_all(sound_, *figures_, evidence_.blocks,
                    {.within = decision_.within,
                     .confidence = decision_.confidence,
                     .blocks_min = blocks_for_decision,
                     .seed = derive_seed(header_.seed, judging_purpose)});
    choose_best();
    if (decision_.best) choose();
    take_detectable();
  }

  [[nodiscard]] double goodput(std::size_t arm) const {
    return median_of(fresh_, arm, pick_goodput(header_.plan));
  }
  [[nodiscard]] double wait(std::size_t arm) const { return median_of(fresh_, arm, pick_wait()); }
  [[nodiscard]] double cpu(std::size_t arm) const { return median_of(fresh_, arm, pick_cpu()); }

  void choose_best() {
    const auto effects = figures_->effects(sound_);
    for (const std::size_t arm : sound_) {
      if (!decision_.limit.keeps(wait(arm), goodput(arm))) {
        decision_.over_limit.push_back(arm);
        continue;
      }
      if (!decision_.best || effects.at(arm) > effects.at(*decision_.best)) decision_.best = arm;
    }
    if (!decision_.best) return;
    for (const std::size_t arm : sound_) {
      if (is_over_limit(arm)) continue;
      if (arm == *decision_.best || claim_between(*decision_.best, arm) != Claim::better)
        decision_.not_worse.push_back(arm);
    }
  }

  [[nodiscard]] bool is_over_limit(std::size_t arm) const {
    const auto& over = decision_.over_limit;
    return std::find(over.begin(), over.end(), arm) != over.end();
  }

  [[nodiscard]] Claim claim_between(std::size_t one, std::size_t other) const {
    const auto pair = decision_.between(one, other);
    return pair ? pair->claim : Claim::inconclusive;
  }

  // Nothing changes what works without a reason that is shown.
  void choose() {
    const std::size_t incumbent = decision_.incumbent;
    std::vector<std::size_t> candidates = decision_.not_worse;
    const bool is_sound = std::find(sound_.begin(), sound_.end(), incumbent) != sound_.end();
    const bool is_candidate =
        std::find(candidates.begin(), candidates.end(), incumbent) != candidates.end();
    if (is_sound && !is_candidate && !is_over_limit(incumbent)) {
      // The best is shown better; of those as good as it, only those that are so too.
      std::erase_if(candidates, [&](std::size_t arm) {
        return claim_between(arm, incumbent) != Claim::better;
      });
    }
    decision_.choice = break_tie(std::move(candidates));
    if (is_candidate && *decision_.choice != incumbent && !is_shown_kinder(*decision_.choice)) {
      decision_.choice = incumbent;
      decision_.choice_reason = "nothing is shown better than the present settings";
    }
    decision_.claim = *decision_.choice == incumbent ? claim_of_staying() : claim_of_going();
  }

  // Staying is sure when the present settings are shown as good as, or better than, the best other.
  [[nodiscard]] Claim claim_of_staying() const {
    if (decision_.blocks < blocks_for_decision) return Claim::inconclusive;
    for (const std::size_t other : sound_) {
      if (other == decision_.incumbent || is_over_limit(other)) continue;
      if (claim_between(decision_.incumbent, other) == Claim::inconclusive)
        return Claim::inconclusive;
    }
    return Claim::equivalent;
  }

  [[nodiscard]] Claim claim_of_going() const {
    const bool is_sound =
        std::find(sound_.begin(), sound_.end(), decision_.incumbent) != sound_.end();
    if (is_sound) return claim_between(*decision_.choice, decision_.incumbent);
    // What does not carry the line at all is beaten by whatever carried every block.
    return decision_.blocks >= blocks_for_decision ? Claim::better : Claim::inconclusive;
  }

  // Less wait, or less CPU time, than the incumbent, by paired blocks.
  [[nodiscard]] bool is_shown_kinder(std::size_t arm) const {
    const auto lowers = [&](const Pick& pick) {
      const Figures figures(fresh_, confirmed_stages, pick, samples_per_start_max);
      const auto differences = figures.differences(arm, decision_.incumbent);
      if (differences.size() < blocks_for_decision) return false;
      const auto ratio = ratio_interval(differences, decision_.confidence);
      return ratio && ratio->high < 1;
    };
    return lowers(pick_wait()) || lowers(pick_cpu());
  }

  // Rules in turn; each keeps those that are as good as the best by it.
  std::size_t break_tie(std::vector<std::size_t> arms) {
    const auto narrow = [&](const std::string& reason, auto cost, double slack) {
      if (arms.size() < 2) return;
      double least = cost(arms.front());
      for (const std::size_t arm : arms)
        least = std::min(least, cost(arm));
      std::vector<std::size_t> kept;
      for (const std::size_t arm : arms) {
        if (cost(arm) <= least * (1 + tie_share) + slack) kept.push_back(arm);
      }
      if (kept.size() < arms.size()) decision_.choice_reason = reason;
      arms = std::move(kept);
    };
    decision_.choice_reason = "the only one left";
    constexpr double wait_slack_us = 1'000;  // the jitter of a quiet machine
    narrow("waits least under load among those not shown worse",
           [&](std::size_t arm) { return wait(arm); }, wait_slack_us);
    narrow("takes least CPU time among those not shown worse",
           [&](std::size_t arm) { return cpu(arm); }, 0);
    narrow("is what runs now", [&](std::size_t arm) { return arm == decision_.incumbent ? 0.0 : 1.0; },
           0);
    narrow("is nearest to the defaults",
           [&](std::size_t arm) { return static_cast<double>(header_.arms[arm].settings.size()); }, 0);
    narrow("is steadiest from start to start",
           [&](std::size_t arm) { return deviation(figures_->of(arm)); }, 0);
    return arms.front();
  }

  void take_detectable() {
    if (decision_.blocks < 2 || decision_.comparisons.empty()) return;
    std::vector<double> spreads;
    for (const Comparison& pair : decision_.comparisons)
      spreads.push_back(deviation(figures_->differences(pair.arm, pair.versus)));
    const double alpha = (1 - decision_.confidence) / static_cast<double>(decision_.comparisons.size());
    decision_.detectable =
        std::expm1(effect_detectable(decision_.blocks, median(spreads), 1 - alpha, power));
    if (decision_.claim != Claim::inconclusive) return;
    for (const Comparison& pair : decision_.comparisons) {
      if (pair.arm == decision_.incumbent || pair.versus == decision_.incumbent)
        decision_.blocks_needed = std::max(decision_.blocks_needed, pair.blocks_needed);
    }
  }

  void find_extras() {
    if (!sound_.empty())
      decision_.pareto = pareto_set(evidence_, sound_, decision_.within, decision_.confidence);
    decision_.price = price_of(evidence_);
    decision_.restart = restart_finding(evidence_);
    decision_.knobs = knob_effects(evidence_);
  }

  [[nodiscard]] std::string label(std::size_t arm) const {
    return "\"" + header_.arms[arm].label + "\"";
  }

  void describe() {
    decision_.sentence = decision_.choice ? sentence_of_choice() : sentence_of_none();
    if (decision_.claim == Claim::inconclusive && decision_.blocks_needed > 0) {
      decision_.sentence += format(" About {} blocks of confirmation would settle a difference of {:.0f} %.",
                                   decision_.blocks_needed, decision_.within * 100);
    }
  }

  [[nodiscard]] std::string sentence_of_none() const {
    if (decision_.confirmed.empty())
      return "INCONCLUSIVE: the sweep ended before anything could be confirmed.";
    if (sound_.empty()) return "INCONCLUSIVE: no tunnel carried every trial; nothing can be recommended.";
    return "INCONCLUSIVE: no setting keeps the goal's limit; relax it, or choose another goal.";
  }

  [[nodiscard]] std::string ratio_text() const {
    const auto pair = decision_.between(*decision_.choice, decision_.incumbent);
    if (!pair || !pair->interval) return {};
    return format(": {:.3f} times its figure ({:.3f} to {:.3f}, {:.0f} %, all pairs at once, {} blocks)",
                  pair->ratio, pair->interval->low, pair->interval->high, decision_.confidence * 100,
                  pair->blocks);
  }

  [[nodiscard]] std::string sentence_of_choice() const {
    const std::string chosen = label(*decision_.choice);
    const bool stays = *decision_.choice == decision_.incumbent;
    const std::string reason = " (" + decision_.choice_reason + ")";
    switch (decision_.claim) {
      case Claim::better:
        return "BETTER: " + chosen + " than the present settings" + ratio_text() + ".";
      case Claim::equivalent:
        if (stays)
          return format("EQUIVALENT: the present settings are fine; nothing that was confirmed beats them by more than {:.0f} %.",
                        decision_.within * 100);
        return "EQUIVALENT: " + chosen + " and the present settings" + ratio_text() + "; chosen because it " +
               decision_.choice_reason + ".";
      case Claim::worse:
      case Claim::inconclusive:
        if (stays)
          return "INCONCLUSIVE: keep the present settings" + reason + "; the others are not told apart from them.";
        return "INCONCLUSIVE: " + chosen + " came out first, not told apart from the present settings" +
               ratio_text() + ".";
    }
    return {};
  }

  const Evidence& evidence_;
  const SweepHeader& header_;
  const Evidence fresh_;
  std::optional<Figures> figures_;
  std::vector<std::size_t> sound_;
  Decision decision_;
};

}  // namespace

std::string_view name_of(Claim claim) {
  switch (claim) {
    case Claim::better:
      return "better";
    case Claim::worse:
      return "worse";
    case Claim::equivalent:
      return "equivalent";
    case Claim::inconclusive:
      return "inconclusive";
  }
  return "unknown";
}

std::optional<Comparison> Decision::between(std::size_t one, std::size_t other) const {
  for (const Comparison& pair : comparisons) {
    if (pair.arm == one && pair.versus == other) return pair;
    if (pair.arm == other && pair.versus == one) return turned(pair);
  }
  return std::nullopt;
}

Decision decide(const Evidence& evidence) {
  return Decider(evidence).run();
}

}  // namespace lt::tuner

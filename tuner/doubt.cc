#include "tuner/doubt.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "tuner/outliers.h"

namespace lt::tuner {

namespace {

std::string percent(double share) {
  return std::to_string(static_cast<int>(std::lround(share * 100))) + " %";
}

class Doubter {
 public:
  Doubter(const SweepResult& result, const Verdict& verdict) : result_(result), verdict_(verdict) {}

  std::vector<Doubt> run() {
    ask_extent();
    ask_bare_line();
    ask_machine();
    ask_series();
    ask_starts();
    ask_bench();
    ask_gate();
    return std::move(doubts_);
  }

 private:
  void add(DoubtReason reason, std::string text, std::string advice) {
    doubts_.push_back({reason, std::move(text), std::move(advice)});
  }

  void ask_extent() {
    if (!result_.is_complete()) {
      const std::string resume = result_.how_to_resume();
      add(DoubtReason::unfinished,
          result_.header.question
              ? "the sweep has not come to its end"
              : std::to_string(result_.blocks_done) + " of " +
                    std::to_string(result_.header.blocks) + " blocks are measured",
          resume.empty() ? "run it again with more time" : "go on with: " + resume);
    }
    if (result_.blocks_done < blocks_for_decision) {
      add(DoubtReason::few_blocks,
          std::string(result_.header.question ? "each finalist was started afresh "
                                              : "each arm was started ") +
              std::to_string(result_.blocks_done) + " times only",
          "take small differences for chance; measure at least " +
              std::to_string(blocks_for_decision) + " blocks to decide");
    }
  }

  void ask_bare_line() {
    const bool has_bare =
        std::any_of(result_.header.arms.begin(), result_.header.arms.end(),
                    [](const Arm& arm) { return arm.carrier == ArmCarrier::bare; });
    if (!has_bare) {
      add(DoubtReason::no_bare_line, "the bare line was not measured",
          "add the arm `bare`: without it drift looks like an effect");
    } else if (verdict_.bare_spread > drift_max) {
      add(DoubtReason::bare_line_drifts,
          "the bare line itself moved by " + percent(verdict_.bare_spread) + " between blocks",
          "measure at a quieter time, or more blocks; differences of that size mean nothing here");
    }
  }

  // The labels of arms of which some sample passes `test`, for the text.
  template <class Test>
  [[nodiscard]] std::string arms_with(Test test) const {
    std::set<std::size_t> found;
    for (const Unit& unit : result_.units) {
      if (unit.sample && test(*unit.sample)) found.insert(unit.arm);
    }
    std::string text;
    for (const std::size_t arm : found)
      text += (text.empty() ? "" : ", ") + result_.header.arms[arm].label;
    return text;
  }

  void ask_machine() {
    const std::string stolen =
        arms_with([](const Sample& s) { return s.steal_share > steal_share_max; });
    if (!stolen.empty()) {
      add(DoubtReason::stolen_time,
          "the hypervisor took more than " + percent(steal_share_max) +
              " of the CPU time from: " + stolen,
          "stop other guests, or measure on hardware of its own");
    }
    const std::string bound =
        arms_with([](const Sample& s) { return s.cpu_share > cpu_share_max; });
    if (!bound.empty()) {
      add(DoubtReason::cpu_bound, "the CPU was the limit, not the line, for: " + bound,
          "such a figure holds for this machine only; on faster machines the order may change");
    }
    const std::string unpinned = arms_with([](const Sample& s) { return !s.congestion_pinned; });
    if (!unpinned.empty()) {
      add(DoubtReason::congestion_not_pinned,
          "another congestion control ran than was asked for: " + unpinned,
          "load the module at both ends and measure again");
    }
    const std::string silent = arms_with([](const Sample& s) { return s.loaded.count == 0; });
    if (!silent.empty()) {
      add(DoubtReason::echo_lost,
          "no echo came back under load, so there is no latency for: " + silent,
          "let UDP pass to the probe's port");
    }
  }

  void ask_series() {
    std::size_t measured = 0;
    std::size_t unsteady = 0;
    for (const Unit& unit : result_.units) {
      if (!unit.sample) continue;
      ++measured;
      if (unit.sample->variation > steady_variation_max) ++unsteady;
    }
    if (measured == 0 ||
        static_cast<double>(unsteady) <= unsteady_units_max * static_cast<double>(measured))
      return;
    add(DoubtReason::unsteady_series,
        std::to_string(unsteady) + " of " + std::to_string(measured) +
            " trials had not settled to within " + percent(steady_variation_max),
        "omit more at the start and measure for longer");
  }

  void ask_starts() {
    std::string wild;
    for (std::size_t arm = 0; arm < result_.header.arms.size(); ++arm) {
      std::vector<double> scores;
      for (const Unit& unit : result_.units) {
        const auto score = score_of(unit, result_.header.plan, result_.objective);
        if (unit.arm == arm && score) scores.push_back(*score);
      }
      // Of fewer than five starts none can be told to be the odd one.
      if (scores.size() < 5 || outliers(scores).empty()) continue;
      wild += (wild.empty() ? "" : ", ") + result_.header.arms[arm].label;
    }
    if (wild.empty()) return;
    add(DoubtReason::wild_starts, "single starts came out far from the rest: " + wild,
        "they are counted, not dropped; measure more blocks to see how often it happens");
  }

  void ask_bench() {
    std::size_t failures = 0;
    for (const ArmSummary& row : verdict_.rows)
      failures += row.harness_failures;
    if (failures == 0) return;
    add(DoubtReason::harness_failures,
        "the bench failed " + std::to_string(failures) + " times (not counted against any arm)",
        "look into the journal for the reasons");
  }

  void ask_gate() {
    std::set<std::string> unchecked;
    for (const GateRecord& gate : result_.gates) {
      for (const GateCheck& check : gate.outcome.checks) {
        if (check.verdict == GateVerdict::skipped) unchecked.insert(check.name);
      }
    }
    if (unchecked.empty()) return;
    std::string text;
    for (const std::string& name : unchecked)
      text += (text.empty() ? "" : ", ") + name;
    add(DoubtReason::unchecked, "the gate could not make every check: " + text,
        "the journal says why; such a setting may still carry some traffic wrongly");
  }

  const SweepResult& result_;
  const Verdict& verdict_;
  std::vector<Doubt> doubts_;
};

}  // namespace

std::string_view name_of(DoubtReason reason) {
  switch (reason) {
    case DoubtReason::few_blocks:
      return "few_blocks";
    case DoubtReason::no_bare_line:
      return "no_bare_line";
    case DoubtReason::bare_line_drifts:
      return "bare_line_drifts";
    case DoubtReason::stolen_time:
      return "stolen_time";
    case DoubtReason::unsteady_series:
      return "unsteady_series";
    case DoubtReason::cpu_bound:
      return "cpu_bound";
    case DoubtReason::congestion_not_pinned:
      return "congestion_not_pinned";
    case DoubtReason::wild_starts:
      return "wild_starts";
    case DoubtReason::harness_failures:
      return "harness_failures";
    case DoubtReason::echo_lost:
      return "echo_lost";
    case DoubtReason::unfinished:
      return "unfinished";
    case DoubtReason::unchecked:
      return "unchecked";
  }
  return "unknown";
}

std::vector<Doubt> doubts(const SweepResult& result, const Verdict& verdict) {
  return Doubter(result, verdict).run();
}

}  // namespace lt::tuner

#include "tuner/verdict.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace lt::tuner {

namespace {

using ScoreByBlock = std::map<std::size_t, double>;

struct Pairs {
  std::vector<double> one;
  std::vector<double> other;
};

Pairs paired(const ScoreByBlock& one, const ScoreByBlock& other) {
  Pairs pairs;
  for (const auto& [block, score] : one) {
    const auto match = other.find(block);
    if (match == other.end()) continue;
    pairs.one.push_back(score);
    pairs.other.push_back(match->second);
  }
  return pairs;
}

// Median over the measured units of one arm of whatever `pick` takes from a sample.
template <class Pick>
double median_of(const std::vector<const Unit*>& units, Pick pick) {
  std::vector<double> values;
  for (const Unit* unit : units) {
    if (unit->sample) values.push_back(pick(*unit->sample));
  }
  return values.empty() ? 0 : median(values);
}

class Judge {
 public:
  explicit Judge(const SweepResult& result) : result_(result), scores_(result.header.arms.size()) {}

  Verdict run() {
    for (std::size_t arm = 0; arm < scores_.size(); ++arm)
      verdict_.rows.push_back(summary(arm));
    choose_ahead();
    compare();
    sort();
    describe();
    return std::move(verdict_);
  }

 private:
  ArmSummary summary(std::size_t arm) {
    ArmSummary row;
    row.arm = arm;
    std::vector<const Unit*> measured;
    for (const Unit& unit : result_.units) {
      if (unit.arm != arm || unit.is_sham || is_recheck(unit)) continue;
      row.harness_failures +=
          unit.attempts - 1 + (unit.status == UnitStatus::harness_failed ? 1 : 0);
      if (unit.status == UnitStatus::arm_failed) {
        ++row.failures;
        row.failure = unit.error->text();
      }
      const auto score = score_of(unit, result_.header.plan, result_.objective);
      if (!score) continue;
      scores_[arm][unit.block] = *score;
      measured.push_back(&unit);
    }
    row.units = measured.size();
    if (!measured.empty()) fill(row, measured, scores_[arm]);
    row.standing = first_standing(row);
    return row;
  }

  static void fill(ArmSummary& row, const std::vector<const Unit*>& units,
                   const ScoreByBlock& by_block) {
    std::vector<double> scores;
    for (const auto& [block, score] : by_block)
      scores.push_back(score);
    row.score = median(scores);
    row.spread = relative_spread(scores);
    row.interval = log_interval(scores, confidence);
    const auto rate = [](const std::optional<BitsPerSecond>& way) {
      return way ? static_cast<double>(way->value) : 0.0;
    };
    row.up = median_of(units, [&](const Sample& s) { return rate(s.up); });
    row.down = median_of(units, [&](const Sample& s) { return rate(s.down); });
    row.idle_us_p50 = median_of(units, [](const Sample& s) { return s.idle.us_p50; });
    row.idle_us_p99 = median_of(units, [](const Sample& s) { return s.idle.us_p99; });
    row.loaded_us_p50 = median_of(units, [](const Sample& s) { return s.loaded.us_p50; });
    row.loaded_us_p99 = median_of(units, [](const Sample& s) { return s.loaded.us_p99; });
    row.cpu_seconds_per_gbit =
        median_of(units, [](const Sample& s) { return s.cpu_seconds_per_gbit; });
    row.loss = median_of(units, [](const Sample& s) { return std::max(s.loss_up, s.loss_down); });
    row.start_ms =
        median_of(units, [](const Sample& s) { return static_cast<double>(s.start_time.count()); });
  }

  // What a resume measures is for the epochs, so that the verdict is that of an unbroken sweep.
  [[nodiscard]] bool is_recheck(const Unit& unit) const {
    return result_.blocks[unit.block].stage == Stage::recheck;
  }

  [[nodiscard]] Standing first_standing(const ArmSummary& row) const {
    if (result_.header.arms[row.arm].carrier == ArmCarrier::bare) return Standing::control;
    if (row.failures > 0) return Standing::failed;
    if (row.units == 0) return Standing::unmeasured;
    return Standing::undecided;
  }

  void choose_ahead() {
    const ArmSummary* best = nullptr;
    for (const ArmSummary& row : verdict_.rows) {
      if (row.standing == Standing::undecided && (best == nullptr || row.score > best->score))
        best = &row;
    }
    if (best == nullptr) return;
    verdict_.ahead = best->arm;
    verdict_.rows[best->arm].standing = Standing::ahead;
  }

  // The one ahead was chosen by these very data, so each interval is made for all pairs at once
  // (Bonferroni).
  void compare() {
    if (!verdict_.ahead) return;
    const auto candidates = static_cast<double>(
        std::count_if(verdict_.rows.begin(), verdict_.rows.end(), [](const ArmSummary& row) {
          return row.standing == Standing::undecided || row.standing == Standing::ahead;
        }));
    const double pairs = std::max(1.0, candidates * (candidates - 1) / 2);
    for (ArmSummary& row : verdict_.rows) {
      if (row.standing != Standing::undecided) continue;
      const Pairs both = paired(scores_[row.arm], scores_[*verdict_.ahead]);
      if (both.one.size() < 2) continue;
      row.ratio = paired_ratio_interval(both.one, both.other, 1 - (1 - confidence) / pairs);
      if (row.ratio)
        row.standing = row.ratio->high < 1 ? Standing::behind : Standing::indistinguishable;
    }
  }

  void sort() {
    const auto rank = [](const ArmSummary& row) {
      if (row.standing == Standing::control) return 0;
      if (row.standing == Standing::failed) return 2;
      return row.standing == Standing::unmeasured ? 3 : 1;
    };
    std::stable_sort(verdict_.rows.begin(), verdict_.rows.end(),
                     [&](const ArmSummary& a, const ArmSummary& b) {
                       if (rank(a) != rank(b)) return rank(a) < rank(b);
                       return a.score > b.score;
                     });
  }

  void describe() {
    for (const ArmSummary& row : verdict_.rows) {
      if (row.standing == Standing::control) verdict_.bare_spread = row.spread;
    }
    if (!verdict_.ahead) {
      verdict_.sentence = "No tunnel carried every trial: nothing can be recommended.";
      return;
    }
    std::vector<std::string> equals;
    const ArmSummary* second = nullptr;
    for (const ArmSummary& row : verdict_.rows) {
      const bool is_rival =
          row.standing == Standing::indistinguishable || row.standing == Standing::undecided;
      if (is_rival) equals.push_back(label(row.arm));
      if (second == nullptr && (is_rival || row.standing == Standing::behind)) second = &row;
    }
    verdict_.sentence = "Ahead: " + label(*verdict_.ahead) + ".";
    if (!equals.empty()) verdict_.sentence += " Not to be told from it: " + joined(equals) + ".";
    verdict_.sentence += " This is a ranking of " + std::to_string(result_.blocks_done) +
                         (result_.blocks_done == 1 ? " block" : " blocks") + ", not a decision";
    verdict_.sentence +=
        result_.blocks_done < blocks_for_decision
            ? ": deciding needs at least " + std::to_string(blocks_for_decision) + " blocks"
            : ": the arm ahead was chosen by the same numbers that it is judged by";
    if (second != nullptr) count_blocks(*second);
    if (verdict_.blocks_needed > blocks_for_decision) {
      verdict_.sentence += ", and about " + std::to_string(verdict_.blocks_needed) +
                           " to settle a difference of 5 % here";
    }
    verdict_.sentence += ".";
  }

  void count_blocks(const ArmSummary& second) {
    const Pairs both = paired(scores_[second.arm], scores_[*verdict_.ahead]);
    if (both.one.size() < 3) return;
    std::vector<double> differences;
    for (std::size_t i = 0; i < both.one.size(); ++i) {
      if (both.one[i] <= 0 || both.other[i] <= 0) return;
      differences.push_back(std::log(both.one[i] / both.other[i]));
    }
    verdict_.blocks_needed =
        blocks_to_detect(std::log1p(smallest_effect), deviation(differences), confidence, power);
  }

  [[nodiscard]] const std::string& label(std::size_t arm) const {
    return result_.header.arms[arm].label;
  }

  static std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names)
      text += (text.empty() ? "" : ", ") + name;
    return text;
  }

  const SweepResult& result_;
  std::vector<ScoreByBlock> scores_;  // by arm
  Verdict verdict_;
};

}  // namespace

std::string_view name_of(Standing standing) {
  switch (standing) {
    case Standing::control:
      return "control";
    case Standing::ahead:
      return "ahead";
    case Standing::indistinguishable:
      return "indistinguishable";
    case Standing::behind:
      return "behind";
    case Standing::undecided:
      return "undecided";
    case Standing::failed:
      return "failed";
    case Standing::unmeasured:
      return "unmeasured";
  }
  return "unknown";
}

std::optional<std::size_t> Verdict::best_of(ArmCarrier carrier, const SweepHeader& header) const {
  for (const ArmSummary& row : rows) {
    const bool is_sound = row.standing != Standing::failed && row.standing != Standing::unmeasured;
    if (is_sound && header.arms[row.arm].carrier == carrier) return row.arm;
  }
  return std::nullopt;
}

const ArmSummary* Verdict::row_of(std::size_t arm) const {
  const auto row =
      std::find_if(rows.begin(), rows.end(), [&](const ArmSummary& r) { return r.arm == arm; });
  return row == rows.end() ? nullptr : &*row;
}

Verdict judge(const SweepResult& result) {
  return Judge(result).run();
}

}  // namespace lt::tuner

#include "tuner/sweep.h"

#include <algorithm>
#include <ctime>
#include <map>
#include <set>

#include "base/text.h"
#include "tuner/random.h"
#include "tuner/schedule.h"
#include "tuner/statistics.h"

namespace lt::tuner {

namespace {

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

std::string hex_id(std::uint64_t seed) {
  std::array<Byte, 8> raw{};
  store_be64(raw.data(), derive_seed(seed, fresh_seed()));
  return to_hex(raw);
}

Status check_arms(const std::vector<Arm>& arms) {
  if (arms.empty() || arms.size() > arms_max) {
    return fail(Errc::invalid, "a sweep has 1 to " + std::to_string(arms_max) + " arms");
  }
  std::set<std::string> known;
  for (const Arm& arm : arms) {
    LT_CHECK(validate(arm));
    if (!known.insert(hash_of(arm)).second) {
      return fail(Errc::invalid, "the arm `" + canonical_text(arm) + "` is there twice");
    }
  }
  return {};
}

Status check_facts(const std::vector<Fact>& then, const std::vector<Fact>& now) {
  for (const Fact& fact : then) {
    const auto same = std::find_if(now.begin(), now.end(),
                                   [&](const Fact& other) { return other.name == fact.name; });
    const std::string value = same == now.end() ? "absent" : same->value;
    if (value == fact.value) continue;
    return fail(Errc::rejected, "the journal was measured with " + fact.name + " " +
                                    printable(fact.value, 80) + ", and it is " +
                                    printable(value, 80) +
                                    " now: begin a new sweep, their numbers do not compare");
  }
  return {};
}

std::int64_t nanoseconds_of(Instant moment) {
  return moment.time_since_epoch().count();
}

class Sweep {
 public:
  Sweep(Bench& bench, const SweepOptions& options, Progress& progress)
      : bench_(bench), options_(options), progress_(progress), begun_(options.now()) {}

  Result<SweepResult> run() {
    LT_CHECK(open());
    std::vector<std::size_t> left = blocks_left(result_.header.blocks, complete_);
    units_total_ = left.size() * result_.header.arms.size();
    for (const std::size_t block : left) {
      if (!fits_budget()) {
        if (units_done_ == 0 && result_.units.empty()) return fail(too_short());
        result_.is_out_of_time = true;
        break;
      }
      LT_TRY(const bool went_through, run_block(block));
      if (!went_through) {
        result_.is_stopped = true;
        break;
      }
    }
    result_.blocks_done = complete_.size();
    return std::move(result_);
  }

 private:
  Status open() {
    result_.objective = options_.objective;
    result_.journal_path = options_.journal_path;
    return options_.resume ? open_old() : open_new();
  }

  Status open_new() {
    LT_CHECK(check_arms(options_.arms));
    LT_CHECK(validate(options_.plan));
    if (options_.blocks == 0 || options_.blocks > sweep_blocks_max) {
      return fail(Errc::invalid,
                  "a sweep has 1 to " + std::to_string(sweep_blocks_max) + " blocks");
    }
    SweepHeader& header = result_.header;
    header.seed = options_.seed;
    header.id = hex_id(options_.seed);
    header.blocks = options_.blocks;
    header.arms = options_.arms;
    header.plan = options_.plan;
    header.facts = bench_.facts();
    header.started = wall_now();
    if (!fits_budget()) return fail(too_short());
    if (options_.journal_path.empty()) return {};
    LT_TRY(Journal journal, Journal::create(options_.journal_path, header));
    journal_.emplace(std::move(journal));
    return {};
  }

  Status open_old() {
    LT_TRY(JournalContents contents, read_journal(options_.journal_path));
    LT_CHECK(check_facts(contents.header.facts, bench_.facts()));
    LT_TRY(Journal journal, Journal::reopen(options_.journal_path, contents));
    journal_.emplace(std::move(journal));
    result_.header = std::move(contents.header);
    result_.units = std::move(contents.units);
    complete_ = std::move(contents.blocks);
    for (const std::size_t block : contents.broken) {
      progress_.note("block " + std::to_string(block + 1) + " was broken off and is measured anew");
    }
    return {};
  }

  // @return false when a stop request ended it
  Result<bool> run_block(std::size_t block) {
    const std::vector<std::size_t> order =
        block_order(result_.header.seed, block, result_.header.arms.size());
    std::vector<Unit> units;
    for (std::size_t position = 0; position < order.size(); ++position) {
      Unit unit;
      unit.block = block;
      unit.position = position;
      unit.arm = order[position];
      progress_.unit_starts(standing(unit));
      LT_TRY(const bool went_through, run_unit(unit));
      if (!went_through) return false;
      if (journal_) LT_CHECK(journal_->append(unit, result_.header));
      ++units_done_;
      unit_time_ += options_.now() - last_start_;
      note_score(unit);
      progress_.unit_ended(standing(unit), unit);
      units.push_back(unit);
      LT_CHECK(check_harness(unit));
    }
    complete_.insert(block);
    std::move(units.begin(), units.end(), std::back_inserter(result_.units));
    return true;
  }

  // @return false when a stop request ended it; the arm is down then
  Result<bool> run_unit(Unit& unit) {
    last_start_ = options_.now();
    for (unit.attempts = 1;; ++unit.attempts) {
      if (options_.stop.stop_requested()) return false;
      unit.start_ns = nanoseconds_of(options_.now());
      unit.start_wall = wall_now();
      auto sample = try_unit(unit);
      const Status down = bench_.dismantle();
      unit.stop_ns = nanoseconds_of(options_.now());
      unit.stop_wall = wall_now();
      if (options_.stop.stop_requested() || (!sample && sample.error().code == Errc::interrupted))
        return false;
      if (!down) sample = fail(with_context(down.error(), "cannot take the arm down"));
      if (sample) {
        settle(unit, std::move(*sample));
        return true;
      }
      if (unit.attempts == 2) {
        unit.status = UnitStatus::harness_failed;
        unit.error = sample.error();
        return true;
      }
      progress_.note("the bench failed, once more: " + sample.error().text());
    }
  }

  Result<Sample> try_unit(const Unit& unit) {
    LT_TRY(const Started started, bench_.prepare(result_.header.arms[unit.arm], options_.stop));
    if (started.failure) return Sample::failed(*started.failure);
    LT_TRY(Sample sample, bench_.measure(result_.header.plan, options_.stop));
    sample.start_time = started.took;
    return sample;
  }

  static void settle(Unit& unit, Sample sample) {
    if (sample.failure) {
      unit.status = UnitStatus::arm_failed;
      unit.error = std::move(sample.failure);
      return;
    }
    unit.status = UnitStatus::measured;
    unit.sample = std::move(sample);
  }

  Status check_harness(const Unit& unit) {
    harness_failures_ = unit.status == UnitStatus::harness_failed ? harness_failures_ + 1 : 0;
    if (harness_failures_ < harness_failures_in_row_max) return {};
    Error error = with_context(
        *unit.error, "the bench failed " + std::to_string(harness_failures_) + " times in a row");
    const std::string resume = result_.how_to_resume();
    if (!resume.empty()) error.what += "; when it is mended, go on with: " + resume;
    return fail(std::move(error));
  }

  // Ranks by medians of what this run has seen: for the eye only, the verdict is made at the end.
  void note_score(const Unit& unit) {
    const auto score = score_of(unit, result_.header.plan, options_.objective);
    if (score && result_.header.arms[unit.arm].carrier != ArmCarrier::bare)
      scores_[unit.arm].push_back(*score);
  }

  [[nodiscard]] SweepProgress standing(const Unit& unit) const {
    SweepProgress now;
    now.block = unit.block;
    now.blocks = result_.header.blocks;
    now.position = unit.position;
    now.arms = result_.header.arms.size();
    now.units_done = units_done_;
    now.units_total = units_total_;
    now.arm = &result_.header.arms[unit.arm];
    now.elapsed = std::chrono::duration_cast<Milliseconds>(options_.now() - begun_);
    now.left = time_of(units_total_ - units_done_);
    double best = 0;
    for (const auto& [arm, scores] : scores_) {
      if (median(scores) <= best) continue;
      best = median(scores);
      now.best_label = result_.header.arms[arm].label;
    }
    now.best.value = static_cast<std::uint64_t>(best);
    return now;
  }

  [[nodiscard]] Milliseconds time_of(std::size_t units) const {
    const auto count = static_cast<Milliseconds::rep>(units);
    if (units_done_ == 0) return count * (result_.header.plan.measuring_time() + start_time_guess);
    const auto each = unit_time_ / static_cast<Milliseconds::rep>(units_done_);
    return std::chrono::duration_cast<Milliseconds>(each * count);
  }

  [[nodiscard]] bool fits_budget() const {
    if (!options_.budget) return true;
    return options_.now() - begun_ + time_of(result_.header.arms.size()) <= *options_.budget;
  }

  [[nodiscard]] Error too_short() const {
    const auto seconds = [](Milliseconds time) {
      return std::to_string(std::chrono::ceil<Seconds>(time).count()) + " s";
    };
    return {Errc::limit,
            "a budget of " + seconds(*options_.budget) + " is too short: one block of " +
                std::to_string(result_.header.arms.size()) + " arms takes about " +
                seconds(time_of(result_.header.arms.size())) +
                "; give more time or name fewer arms",
            0};
  }

  [[nodiscard]] std::string wall_now() const {
    return options_.wall_now ? options_.wall_now() : utc_now();
  }

  Bench& bench_;
  const SweepOptions& options_;
  Progress& progress_;
  const Instant begun_;
  SweepResult result_;
  std::optional<Journal> journal_;
  std::set<std::size_t> complete_;
  std::size_t units_total_{0};
  std::size_t units_done_{0};
  Nanoseconds unit_time_{0};  // of all units done
  Instant last_start_{};
  unsigned harness_failures_{0};  // in a row
  std::map<std::size_t, std::vector<double>> scores_;
};

}  // namespace

std::string_view name_of(Objective objective) {
  switch (objective) {
    case Objective::slower_way:
      return "slower_way";
    case Objective::sum_of_ways:
      return "sum_of_ways";
  }
  return "unknown";
}

std::string SweepResult::how_to_resume() const {
  if (journal_path.empty() || is_complete()) return {};
  return "linktune sweep --resume " + journal_path;
}

std::optional<double> score_of(const Unit& unit, const TrialPlan& plan, Objective objective) {
  if (unit.status != UnitStatus::measured || !unit.sample) return std::nullopt;
  const auto asked = [&](Load load) {
    return std::any_of(plan.loads.begin(), plan.loads.end(),
                       [&](Load l) { return l == load || l == Load::both; });
  };
  std::vector<double> ways;
  for (const auto& [load, rate] :
       {std::pair(Load::up, unit.sample->up), std::pair(Load::down, unit.sample->down)}) {
    if (!asked(load)) continue;
    if (!rate) return std::nullopt;
    ways.push_back(static_cast<double>(rate->value));
  }
  if (ways.empty()) return std::nullopt;
  switch (objective) {
    case Objective::slower_way:
      return *std::min_element(ways.begin(), ways.end());
    case Objective::sum_of_ways:
      return ways.front() + (ways.size() > 1 ? ways.back() : 0);
  }
  return std::nullopt;
}

Result<SweepResult> run_sweep(Bench& bench, const SweepOptions& options, Progress& progress) {
  return Sweep(bench, options, progress).run();
}

Result<SweepResult> replay_sweep(const std::string& journal_path, Objective objective) {
  LT_TRY(JournalContents contents, read_journal(journal_path));
  SweepResult result;
  result.header = std::move(contents.header);
  result.units = std::move(contents.units);
  result.blocks_done = contents.blocks.size();
  result.objective = objective;
  result.journal_path = journal_path;
  return result;
}

}  // namespace lt::tuner

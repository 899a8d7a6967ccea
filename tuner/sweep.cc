#include "tuner/sweep.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <map>
#include <set>

#include "base/format.h"
#include "base/text.h"
#include "tuner/largest_mtu.h"
#include "tuner/random.h"
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

std::size_t blocks_that_count(const Evidence& evidence) {
  return evidence.header.question ? evidence.blocks_of(Stage::confirmation)
                                  : evidence.blocks.size();
}

// Moves of the bare line that are no longer its own noise. @source statistics.md 5
constexpr double epoch_deviations = 3;
constexpr double bare_deviation_least = 0.01;
constexpr std::size_t epoch_units_min = 3;  // fewer say nothing of a deviation

constexpr Milliseconds line_check_time{1'000};  // each way: long enough to see whether anything passes

const std::string config_word = "--config";

class Sweep {
 public:
  Sweep(Bench& bench, const SweepOptions& options, Progress& progress)
      : bench_(bench), options_(options), progress_(progress), begun_(options.now()) {}

  Result<SweepResult> run() {
    LT_CHECK(open());
    for (;;) {
      const Action action = next();
      if (const auto* finish = std::get_if<Finish>(&action)) {
        result_.is_finished = !finish->is_out_of_time;
        result_.is_out_of_time = finish->is_out_of_time;
        break;
      }
      if (std::holds_alternative<Block>(action) && !fits_budget()) {
        if (result_.units.empty()) return fail(too_short());
        result_.is_out_of_time = true;
        break;
      }
      LT_TRY(const bool went_through, obey(action));
      if (went_through) continue;
      result_.is_stopped = true;
      break;
    }
    return settle_result();
  }

 private:
  // --- opening ---

  Status open() {
    result_.objective = options_.objective;
    result_.journal_path = options_.journal_path;
    return options_.resume ? open_old() : open_new();
  }

  Status open_new() {
    LT_CHECK(check_arms(options_.arms));
    LT_CHECK(validate(options_.plan));
    if (!options_.question && (options_.blocks == 0 || options_.blocks > sweep_blocks_max)) {
      return fail(Errc::invalid,
                  "a sweep has 1 to " + std::to_string(sweep_blocks_max) + " blocks");
    }
    SweepHeader& header = result_.header;
    header.seed = options_.seed;
    header.id = hex_id(options_.seed);
    header.blocks = options_.question ? 0 : options_.blocks;
    header.arms = options_.arms;
    header.plan = options_.plan;
    header.facts = bench_.facts();
    header.started = wall_now();
    header.question = options_.question;
    header.command = options_.command;
    if (header.question) LT_CHECK(check_question());
    if (!fits_budget()) return fail(too_short());
    if (options_.journal_path.empty()) return {};
    LT_TRY(Journal journal, Journal::create(options_.journal_path, header));
    journal_.emplace(std::move(journal));
    return {};
  }

  // A staged sweep without bare line, incumbent or defaults could not say what it is measured by.
  [[nodiscard]] Status check_question() const {
    const SweepHeader& header = result_.header;
    const bool has_bare = std::any_of(header.arms.begin(), header.arms.end(), [](const Arm& arm) {
      return arm.carrier == ArmCarrier::bare;
    });
    if (!has_bare) return fail(Errc::invalid, "a sweep needs the bare line among its arms");
    std::vector<Arm> controls = header.question->defaults;
    controls.push_back(header.question->incumbent);
    for (const Arm& arm : controls) {
      if (!header.place_of(arm))
        return fail(Errc::invalid, "`" + canonical_text(arm) + "` must be among the sweep's arms");
    }
    if (header.question->incumbent.carrier == ArmCarrier::bare)
      return fail(Errc::invalid, "the bare line cannot be the present settings: name a tunnel");
    return {};
  }

  Status open_old() {
    LT_TRY(JournalContents contents, read_journal(options_.journal_path));
    const Status same = check_facts(facts_now(contents), bench_.facts());
    if (!same && !contents.header.question) return same;
    LT_TRY(Journal journal, Journal::reopen(options_.journal_path, contents));
    journal_.emplace(std::move(journal));
    if (contents.broken) {
      progress_.note("block " + std::to_string(contents.broken->number + 1) +
                     " was broken off and is measured anew");
    }
    static_cast<Evidence&>(result_) = std::move(contents);
    blocks_before_ = result_.blocks.size();
    if (!same) return begin_epoch(same.error().what);
    recheck_is_due_ = result_.header.question && !result_.blocks.empty();
    return {};
  }

  static std::vector<Fact> facts_now(const Evidence& evidence) {
    return evidence.epochs.empty() ? evidence.header.facts : evidence.epochs.back().facts;
  }

  Status begin_epoch(const std::string& reason) {
    const Epoch epoch{result_.blocks.size(), reason, bench_.facts()};
    LT_CHECK(keep([&](Journal& journal) { return journal.append(epoch); }));
    result_.epochs.push_back(epoch);
    progress_.note("a new epoch begins: " + reason);
    return {};
  }

  // --- the plan ---

  [[nodiscard]] Action next() const {
    if (!result_.header.question) return next_of_ranking(result_);
    const Action action = next_of_staged(result_, options_.sources);
    if (!recheck_is_due_ || std::holds_alternative<Finish>(action)) return action;
    return recheck_block();
  }

  // Bare line and incumbent once each, after a resume.
  [[nodiscard]] Block recheck_block() const {
    Block block;
    block.number = result_.blocks.size();
    block.stage = Stage::recheck;
    block.epoch = result_.epochs.size();
    for (std::size_t arm = 0; arm < result_.header.arms.size(); ++arm) {
      const bool is_bare = result_.header.arms[arm].carrier == ArmCarrier::bare;
      if (is_bare || arm == result_.header.place_of(result_.header.question->incumbent))
        block.units.push_back({arm, false});
    }
    return block;
  }

  // @return false when a stop request ended it
  Result<bool> obey(const Action& action) {
    if (const auto* block = std::get_if<Block>(&action)) return run_block(*block);
    if (const auto* check = std::get_if<CheckArm>(&action)) return check_arm(check->arm);
    if (const auto* add = std::get_if<AddArms>(&action)) return add_arms(*add);
    if (const auto* find = std::get_if<FindLargestMtu>(&action)) return find_mtu(*find);
    return measure_physics();
  }

  Result<bool> measure_physics() {
    const Instant start = options_.now();
    auto physics = bench_.physics(options_.stop);
    if (is_stopping(physics)) return false;
    PhysicsRecord record;
    record.took = since(start);
    if (physics) {
      record.physics = std::move(*physics);
      for (const std::string& sentence : sentences_of(record.physics))
        progress_.note(sentence);
    } else {
      record.failure = physics.error();
      progress_.note("nothing is known of the line itself: " + physics.error().text());
    }
    LT_CHECK(keep([&](Journal& journal) { return journal.append(record); }));
    result_.physics = std::move(record);
    return true;
  }

  Result<bool> find_mtu(const FindLargestMtu& find) {
    const Instant start = options_.now();
    const auto found = find_largest_mtu(find.low, find.high, [&](std::uint32_t mtu) -> Result<bool> {
      LT_TRY(const bool works, carries(find.arm, mtu));
      // A packet that is too large vanishes each time; what a busy machine lost may pass now.
      return works ? true : carries(find.arm, mtu);
    });
    if (is_stopping(found)) return false;
    LargestMtuRecord record;
    record.arm = find.arm;
    record.took = since(start);
    if (found) {
      record.largest = found->largest;
      record.too_large = found->too_large;
      record.trials = found->trials;
      if (found->largest) record.arm.settings.push_back({mtu_knob_of(find.arm), std::to_string(*found->largest)});
    } else {
      record.failure = found.error();
    }
    progress_.note(sentence_of(record));
    LT_CHECK(keep([&](Journal& journal) { return journal.append(record); }));
    result_.largest_mtu = std::move(record);
    return true;
  }

  Result<bool> carries(const Arm& arm, std::uint32_t mtu) {
    LT_TRY(const MtuFound found, find_largest_mtu(bench_, arm, mtu, mtu, options_.stop));
    return found.largest.has_value();
  }

  Result<bool> add_arms(const AddArms& add) {
    LT_CHECK(check_arms_added(add.arms));
    const Addition addition{add.stage, result_.header.arms.size(), add.arms.size(), add.ruled_out};
    result_.header.arms.insert(result_.header.arms.end(), add.arms.begin(), add.arms.end());
    LT_CHECK(keep([&](Journal& journal) { return journal.append(addition, result_.header); }));
    result_.additions.push_back(addition);
    if (!add.arms.empty())
      progress_.note("the " + std::string(name_of(add.stage)) + " brings in " +
                     std::to_string(add.arms.size()) + " settings");
    for (const std::string& sentence : add.ruled_out)
      progress_.note("ruled out: " + sentence);
    return true;
  }

  static Status check_arms_added(const std::vector<Arm>& arms) {
    for (const Arm& arm : arms)
      LT_CHECK(validate(arm));
    return {};
  }

  Result<bool> check_arm(std::size_t arm) {
    const Instant start = options_.now();
    GateRecord record{arm, {}, {}};
    for (unsigned attempt = 1;; ++attempt) {
      if (options_.stop.stop_requested()) return false;
      auto outcome = try_gate(arm);
      Status down = bench_.dismantle();
      if (is_stopping(outcome)) return false;
      if (!down) outcome = fail(down.error());
      if (outcome) {
        record.outcome = std::move(*outcome);
        break;
      }
      if (attempt == 2) {
        record.outcome.add({"bench", GateVerdict::skipped,
                            printable("the bench could not check: " + outcome.error().text(), 400)});
        break;
      }
      progress_.note("the bench failed, once more: " + outcome.error().text());
    }
    record.took = since(start);
    LT_CHECK(keep([&](Journal& journal) { return journal.append(record, result_.header); }));
    const std::string& label = result_.header.arms[arm].label;
    progress_.note(record.outcome.failure
                       ? "gate: \"" + label + "\" is out: " + record.outcome.failure->text()
                       : "gate: \"" + label + "\" may go on");
    result_.gates.push_back(std::move(record));
    return true;
  }

  Result<GateOutcome> try_gate(std::size_t arm) {
    LT_TRY(const Started started, bench_.prepare(result_.header.arms[arm], options_.stop));
    if (!started.failure) return bench_.gate(options_.stop);
    GateOutcome outcome;
    outcome.add({"start", GateVerdict::failed, printable(started.failure->text(), 400)});
    return outcome;
  }

  template <class T>
  [[nodiscard]] bool is_stopping(const Result<T>& result) const {
    return options_.stop.stop_requested() ||
           (!result && result.error().code == Errc::interrupted);
  }

  // --- blocks ---

  // @return false when a stop request ended it
  Result<bool> run_block(const Block& block) {
    announce(block);
    LT_CHECK(keep([&](Journal& journal) { return journal.append(block, result_.header); }));
    std::vector<Unit> units;
    for (std::size_t position = 0; position < block.units.size(); ++position) {
      Unit unit;
      unit.block = block.number;
      unit.position = position;
      unit.arm = block.units[position].arm;
      unit.is_sham = block.units[position].is_sham;
      progress_.unit_starts(standing(block, unit));
      const bool has_sham = position + 1 < block.units.size() && block.units[position + 1].is_sham;
      LT_TRY(const bool went_through,
             unit.is_sham ? repeat_unit(unit, units.back(), block, has_sham)
                          : run_unit(unit, block, has_sham));
      if (!went_through) return false;
      if (const Status kept = keep([&](Journal& journal) {
            return journal.append(unit, result_.header);
          });
          !kept) {
        if (has_sham && unit.status == UnitStatus::measured) LT_CHECK(bench_.dismantle());
        return fail(kept.error());
      }
      ++units_done_;
      unit_time_ += options_.now() - last_start_;
      note_score(unit);
      progress_.unit_ended(standing(block, unit), unit);
      units.push_back(unit);
      LT_CHECK(check_harness(unit));
    }
    result_.blocks.push_back(block);
    std::move(units.begin(), units.end(), std::back_inserter(result_.units));
    if (block.stage == Stage::recheck) LT_CHECK(judge_recheck());
    if (is_last_of_calibration(block)) progress_.note(calibrate(result_).sentence);
    return true;
  }

  void announce(const Block& block) {
    if (!result_.header.question) return;
    left_at_start_ = time_left(result_);
    block_began_ = options_.now();
    const std::size_t done = static_cast<std::size_t>(
        std::count_if(result_.blocks.begin(), result_.blocks.end(), [&](const Block& other) {
          return other.stage == block.stage && other.round == block.round;
        }));
    if (done > 0) return;
    std::string sentence(name_of(block.stage));
    if (block.stage == Stage::search) sentence += ", round " + std::to_string(block.round + 1);
    progress_.note(sentence + ": " + std::to_string(block.planned) +
                   (block.planned == 1 ? " block of " : " blocks of ") +
                   std::to_string(block.units.size()) + " trials");
  }

  static bool is_last_of_calibration(const Block& block) {
    return block.stage == Stage::calibration && block.number + 1 >= calibration_blocks;
  }

  TrialPlan plan_of(const Block& block) const {
    TrialPlan plan = result_.header.plan;
    if (block.duration > Milliseconds(0)) plan.duration = block.duration;
    if (block.omit > Milliseconds(0)) plan.omit = block.omit;
    if (block.idle > Milliseconds(0)) plan.idle = block.idle;
    return plan;
  }

  // @return false when a stop request ended it; the arm is down then
  Result<bool> run_unit(Unit& unit, const Block& block, bool has_sham) {
    last_start_ = options_.now();
    for (unit.attempts = 1;; ++unit.attempts) {
      if (options_.stop.stop_requested()) return false;
      begin(unit);
      auto sample = try_unit(unit, block);
      const bool stays_up = has_sham && sample && !sample->failure;
      const Status down = stays_up ? Status{} : bench_.dismantle();
      end(unit);
      if (is_stopping(sample)) {
        if (stays_up) LT_CHECK(bench_.dismantle());
        return false;
      }
      if (!down) sample = fail(with_context(down.error(), "cannot take the arm down"));
      if (sample && sample->failure) {
        sample = blamed(std::move(*sample), unit);
        end(unit);
        if (is_stopping(sample)) return false;
      }
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

  // Whose failure it is: a line that is down carries no arm. The bare line, asked at once, tells; where it
  // fails too, the arm did nothing wrong.
  Result<Sample> blamed(Sample failed, const Unit& unit) {
    const auto& arms = result_.header.arms;
    const auto bare = std::find_if(arms.begin(), arms.end(), [](const Arm& arm) {
      return arm.carrier == ArmCarrier::bare;
    });
    if (bare == arms.end()) return failed;
    if (arms[unit.arm].carrier == ArmCarrier::bare) return fail(*failed.failure);
    const auto line = ask_line(*bare);
    if (!line) return fail(line.error());
    if (!line->failure) return failed;
    return fail(with_context(*line->failure, "the bare line is down too"));
  }

  Result<Sample> ask_line(const Arm& bare) {
    const auto measured = [&]() -> Result<Sample> {
      LT_TRY(const Started started, bench_.prepare(bare, options_.stop));
      if (started.failure) return Sample::failed(*started.failure);
      TrialPlan plan = result_.header.plan;
      plan.duration = std::min(plan.duration, line_check_time);
      plan.omit = std::min(plan.omit, line_check_time);
      return bench_.measure(plan, options_.stop);
    };
    auto sample = measured();
    LT_CHECK(bench_.dismantle());
    return sample;
  }

  // Once more on the start that stands. A start that has gone cannot be repeated: what ended it is
  // this unit's outcome too.
  Result<bool> repeat_unit(Unit& unit, const Unit& before, const Block& block, bool has_sham) {
    last_start_ = options_.now();
    begin(unit);
    if (before.status != UnitStatus::measured) {
      unit.status = before.status;
      unit.error = before.error;
      end(unit);
      return true;
    }
    auto sample = bench_.measure(plan_of(block), options_.stop);
    const bool stays_up = has_sham && sample && !sample->failure && !options_.stop.stop_requested();
    const Status down = stays_up ? Status{} : bench_.dismantle();
    end(unit);
    if (is_stopping(sample)) return false;
    if (sample && !down) sample = fail(with_context(down.error(), "cannot take the arm down"));
    if (sample && sample->failure) {
      sample = blamed(std::move(*sample), unit);
      end(unit);
      if (is_stopping(sample)) return false;
    }
    if (sample) {
      settle(unit, std::move(*sample));
    } else {
      unit.status = UnitStatus::harness_failed;
      unit.error = sample.error();
    }
    return true;
  }

  void begin(Unit& unit) const {
    unit.start_ns = nanoseconds_of(options_.now());
    unit.start_wall = wall_now();
  }

  void end(Unit& unit) const {
    unit.stop_ns = nanoseconds_of(options_.now());
    unit.stop_wall = wall_now();
  }

  Result<Sample> try_unit(const Unit& unit, const Block& block) {
    LT_TRY(const Started started, bench_.prepare(result_.header.arms[unit.arm], options_.stop));
    if (started.failure) return Sample::failed(*started.failure);
    LT_TRY(Sample sample, bench_.measure(plan_of(block), options_.stop));
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

  // The line as it is now against the line as it was; it may have become another one.
  Status judge_recheck() {
    recheck_is_due_ = false;
    std::vector<double> before;
    std::optional<double> now;
    for (const Unit& unit : result_.units) {
      if (result_.header.arms[unit.arm].carrier != ArmCarrier::bare) continue;
      const auto score = score_of(unit, result_.header.plan, options_.objective);
      if (!score) continue;
      if (unit.block + 1 == result_.blocks.size()) {
        now = std::log(*score);
      } else if (result_.blocks[unit.block].epoch == result_.epochs.size()) {
        before.push_back(std::log(*score));
      }
    }
    if (!now || before.size() < epoch_units_min) return {};
    const double moved = std::abs(*now - mean(before));
    if (moved <= epoch_deviations * std::max(bare_deviation_least, deviation(before))) return {};
    return begin_epoch("the bare line moved by " +
                       std::to_string(std::lround(std::expm1(moved) * 100)) +
                       " % while the sweep was interrupted");
  }

  // --- the journal ---

  // Writes a line, if there is a journal; a failure says how to go on.
  template <class Write>
  Status keep(Write write) {
    if (!journal_) return {};
    const Status written = write(*journal_);
    if (written) return {};
    Error error = written.error();
    error.what += "; nothing that was measured is lost. When there is room, go on with: linktune sweep "
                  "--resume " + result_.journal_path;
    return fail(std::move(error));
  }

  // What the journal holds is the result: a replay then gives the same report byte for byte.
  Result<SweepResult> settle_result() {
    if (journal_) {
      journal_.reset();
      LT_TRY(SweepResult kept, replay_sweep(options_.journal_path, options_.objective));
      kept.is_stopped = result_.is_stopped;
      kept.is_out_of_time = result_.is_out_of_time;
      return kept;
    }
    result_.blocks_done = blocks_that_count(result_);
    return std::move(result_);
  }

  // --- progress ---

  // Ranks by medians of what this run has seen: for the eye only, the verdict is made at the end.
  void note_score(const Unit& unit) {
    const auto score = score_of(unit, result_.header.plan, options_.objective);
    if (score && result_.header.arms[unit.arm].carrier != ArmCarrier::bare)
      scores_[unit.arm].push_back(*score);
  }

  [[nodiscard]] SweepProgress standing(const Block& block, const Unit& unit) const {
    SweepProgress now;
    now.stage = block.stage;
    now.round = block.round;
    now.block = unit.block;
    now.blocks = std::max(result_.header.blocks, unit.block + 1);
    now.position = unit.position;
    now.arms = block.units.size();
    now.units_done = units_done_;
    now.arm = &result_.header.arms[unit.arm];
    now.elapsed = since(begun_);
    now.left = left();
    now.units_total = units_done_ + units_left(now.left);
    double best = 0;
    for (const auto& [arm, scores] : scores_) {
      if (median(scores) <= best) continue;
      best = median(scores);
      now.best_label = result_.header.arms[arm].label;
    }
    now.best.value = static_cast<std::uint64_t>(best);
    return now;
  }

  [[nodiscard]] Milliseconds left() const {
    if (result_.header.question)
      return std::max(Milliseconds(0), left_at_start_ - since(block_began_));
    return time_of(units_of_ranking_left());
  }

  [[nodiscard]] std::size_t units_of_ranking_left() const {
    const std::size_t all = (result_.header.blocks - blocks_before_) * result_.header.arms.size();
    return all - std::min(all, units_done_);
  }

  [[nodiscard]] std::size_t units_left(Milliseconds time) const {
    if (!result_.header.question) return units_of_ranking_left();
    const Milliseconds each = time_of(1);
    return each > Milliseconds(0) ? static_cast<std::size_t>(time / each) : 0;
  }

  [[nodiscard]] Milliseconds since(Instant moment) const {
    return std::chrono::duration_cast<Milliseconds>(options_.now() - moment);
  }

  [[nodiscard]] Milliseconds time_of(std::size_t units) const {
    const auto count = static_cast<Milliseconds::rep>(units);
    if (units_done_ == 0) return count * (result_.header.plan.measuring_time() + start_time_guess);
    const auto each = unit_time_ / static_cast<Milliseconds::rep>(units_done_);
    return std::chrono::duration_cast<Milliseconds>(each * count);
  }

  // The plan itself keeps a staged sweep's budget.
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
  bool recheck_is_due_{false};
  std::size_t blocks_before_{0};  // of a journal that is gone on with
  std::size_t units_done_{0};
  Nanoseconds unit_time_{0};  // of all units done
  Instant last_start_{};
  Milliseconds left_at_start_{0};  // of the block that runs
  Instant block_began_{};
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
  if (journal_path.empty() || is_complete() || (is_out_of_time && header.question)) return {};
  std::vector<std::string> words{"linktune", "sweep", "--resume", journal_path};
  // A lab is named in the facts; between two sites this one's config must be named again.
  const auto config = std::find(header.command.begin(), header.command.end(), config_word);
  if (config != header.command.end() && config + 1 != header.command.end())
    words.insert(words.end(), config, config + 2);
  return quoted_text(words);
}

std::string SweepResult::how_to_repeat(std::optional<Milliseconds> budget) const {
  std::vector<std::string> words = header.command;
  if (words.empty()) words = {"linktune", "sweep"};
  const auto add = [&](const std::string& name, const std::string& value) {
    words.push_back(name);
    words.push_back(value);
  };
  add("--seed", std::to_string(header.seed));
  if (!header.question) {
    add("--blocks", std::to_string(header.blocks));
    return quoted_text(words);
  }
  const Question& question = *header.question;
  add("--goal", std::string(name_of(question.goal)));
  add("--within", std::to_string(std::lround(question.within * 100)) + "%");
  add("--confidence", format("{}", question.confidence * 100));
  const Milliseconds time = budget.value_or(question.budget);
  add("--budget", time % std::chrono::minutes(1) == Milliseconds(0)
                      ? std::to_string(time / std::chrono::minutes(1)) + "m"
                      : std::to_string(std::chrono::ceil<Seconds>(time).count()) + "s");
  return quoted_text(words);
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
  static_cast<Evidence&>(result) = std::move(contents);
  result.blocks_done = blocks_that_count(result);
  result.objective = objective;
  result.journal_path = journal_path;
  const Action next = result.header.question ? next_of_staged(result, {}) : next_of_ranking(result);
  if (const auto* finish = std::get_if<Finish>(&next)) {
    result.is_finished = !finish->is_out_of_time;
    result.is_out_of_time = finish->is_out_of_time;
  }
  return result;
}

}  // namespace lt::tuner

#include "tuner/journal.h"

#include <algorithm>

#include "base/text.h"
#include "tuner/fields.h"

namespace lt::tuner {

namespace {

constexpr std::size_t command_words_max = 1'024;
constexpr std::size_t command_word_length_max = 4'096;
constexpr std::size_t time_length_max = 40;
constexpr std::size_t block_units_max = 4 * arms_max;
constexpr std::uint64_t budget_ms_max = 30ULL * 86'400'000;

Json facts_to_json(const std::vector<Fact>& facts) {
  Json value = Json::object();
  for (const Fact& fact : facts)
    value[fact.name] = fact.value;
  return value;
}

Result<std::vector<Fact>> facts_from_json(const Json& value) {
  std::vector<Fact> facts;
  for (const auto& [name, text] : value.items()) {
    if (!text.is_string()) return fail(Errc::invalid, "`facts` must hold texts");
    facts.push_back({name, text.get<std::string>()});
  }
  return facts;
}

Result<UnitStatus> status_from_name(std::string_view name) {
  for (const UnitStatus status :
       {UnitStatus::measured, UnitStatus::arm_failed, UnitStatus::harness_failed}) {
    if (name_of(status) == name) return status;
  }
  return fail(Errc::invalid, "`status` must be measured, arm_failed or harness_failed");
}

Json question_to_json(const Question& question) {
  Json defaults = Json::array();
  for (const Arm& arm : question.defaults)
    defaults.push_back(to_json(arm));
  return {{"goal", std::string(name_of(question.goal))},
          {"budget_ms", question.budget.count()},
          {"within", question.within},
          {"confidence", question.confidence},
          {"incumbent", to_json(question.incumbent)},
          {"defaults", defaults},
          {"fits_times", question.fits_times}};
}

// A share of 1, neither end included.
Result<double> share_field(const Json& value, std::string_view name) {
  LT_TRY(const double share, number_field(value, name));
  if (share > 0 && share < 1) return share;
  return fail(Errc::invalid, "`" + std::string(name) + "` must lie between 0 and 1");
}

Result<std::vector<Arm>> arms_from_json(const Json& value, std::string_view name) {
  std::vector<Arm> arms;
  LT_TRY(const Json list, list_field(value, name, arms_max));
  for (const Json& item : list) {
    LT_TRY(Arm arm, arm_from_json(item));
    arms.push_back(std::move(arm));
  }
  return arms;
}

// For reports only; so nothing but printable text.
Result<std::vector<std::string>> words_field(const Json& value, std::string_view name) {
  std::vector<std::string> words;
  LT_TRY(const Json list, list_field(value, name, command_words_max));
  for (const Json& item : list) {
    if (!item.is_string() || item.get_ref<const std::string&>().size() > command_word_length_max)
      return fail(Errc::invalid, "`" + std::string(name) + "` must hold short texts");
    words.push_back(printable(item.get<std::string>(), command_word_length_max));
  }
  return words;
}

Result<Question> question_from_json(const Json& value) {
  Question question;
  LT_TRY(const std::string goal, text_field(value, "goal", 32));
  const auto known = goal_from_name(goal);
  if (!known) return fail(Errc::invalid, "`goal` must be throughput, latency, balanced or cpu");
  question.goal = *known;
  LT_TRY(const std::uint64_t budget, whole_field(value, "budget_ms", {1, budget_ms_max}));
  question.budget = Milliseconds(budget);
  LT_TRY(question.within, share_field(value, "within"));
  LT_TRY(question.confidence, share_field(value, "confidence"));
  LT_TRY(const Json incumbent, object_field(value, "incumbent"));
  LT_TRY(question.incumbent, arm_from_json(incumbent));
  LT_TRY(question.defaults, arms_from_json(value, "defaults"));
  if (has_field(value, "fits_times")) {
    LT_TRY(question.fits_times, truth_field(value, "fits_times"));
  }
  return question;
}

Status check_question(const SweepHeader& header) {
  if (!header.question) return {};
  if (!header.place_of(header.question->incumbent))
    return fail(Errc::invalid, "`incumbent` is none of this sweep's arms");
  for (const Arm& arm : header.question->defaults) {
    if (!header.place_of(arm)) return fail(Errc::invalid, "`defaults` holds none of this sweep's arms");
  }
  return {};
}

Result<std::size_t> arm_place(const Json& value, const SweepHeader& header) {
  LT_TRY(const std::string hash, text_field(value, "arm", 16));
  const auto arm = std::find_if(header.arms.begin(), header.arms.end(),
                                [&](const Arm& a) { return hash_of(a) == hash; });
  if (arm == header.arms.end()) return fail(Errc::invalid, "`arm` is none of this sweep's arms");
  return static_cast<std::size_t>(arm - header.arms.begin());
}

Result<Milliseconds> time_field(const Json& value, std::string_view name) {
  LT_TRY(const std::uint64_t count, whole_field(value, name, {0, budget_ms_max}));
  return Milliseconds(count);
}

Result<Stage> stage_field(const Json& value) {
  LT_TRY(const std::string name, text_field(value, "stage", 32));
  const auto stage = stage_from_name(name);
  if (!stage) return fail(Errc::invalid, "`stage` is none that a sweep has");
  return *stage;
}

// Takes the lines behind the first one by one and keeps what stands.
class Collector {
 public:
  explicit Collector(SweepHeader header) { contents_.header = std::move(header); }

  Status take(const Json& line) {
    LT_TRY(const std::string kind, text_field(line, "kind", 16));
    if (kind == "unit") return take_unit(line);
    if (kind == "block") return take_block(line);
    if (kind == "void") return take_void(line);
    if (kind == "gate") return take_gate(line);
    if (kind == "physics") return take_physics(line);
    if (kind == "largest_mtu") return take_largest_mtu(line);
    if (kind == "arms") return take_arms(line);
    if (kind == "epoch") return take_epoch(line);
    return fail(Errc::invalid,
                "`kind` must be block, unit, void, physics, largest_mtu, gate, arms or epoch");
  }

  JournalContents finish() { return std::move(contents_); }

 private:
  Status take_block(const Json& line) {
    if (contents_.broken) return fail(Errc::invalid, "a block begins before the last has ended");
    LT_TRY(Block block, block_from_json(line, contents_.header));
    if (block.number != contents_.blocks.size())
      return fail(Errc::invalid, "a block is missing before this one, or comes twice");
    contents_.broken = std::move(block);
    return {};
  }

  Status take_unit(const Json& line) {
    LT_TRY(Unit unit, unit_from_json(line, contents_.header));
    if (!contents_.broken || unit.block != contents_.broken->number)
      return fail(Errc::invalid, "a unit outside its block");
    if (unit.position != units_.size())
      return fail(Errc::invalid, "a unit is missing before this one, or comes twice");
    if (contents_.broken->units[unit.position] != PlannedUnit{unit.arm, unit.is_sham})
      return fail(Errc::invalid, "a unit that its block does not hold at this place");
    units_.push_back(std::move(unit));
    if (units_.size() == contents_.broken->units.size()) close_block();
    return {};
  }

  void close_block() {
    contents_.blocks.push_back(std::move(*contents_.broken));
    contents_.broken.reset();
    std::move(units_.begin(), units_.end(), std::back_inserter(contents_.units));
    units_.clear();
  }

  Status take_void(const Json& line) {
    LT_TRY(const std::uint64_t block, whole_field(line, "block", {0, sweep_blocks_max}));
    if (!contents_.broken || contents_.broken->number != block)
      return fail(Errc::invalid, "the block that is void is not the one that was begun");
    contents_.broken.reset();
    units_.clear();
    return {};
  }

  Status take_physics(const Json& line) {
    if (contents_.physics) return fail(Errc::invalid, "`physics` comes twice");
    PhysicsRecord record;
    LT_TRY(record.took, time_field(line, "took_ms"));
    if (has_field(line, "error")) {
      LT_TRY(const Json error, object_field(line, "error"));
      LT_TRY(record.failure, error_from_json(error));
    } else {
      LT_TRY(const Json physics, object_field(line, "physics"));
      LT_TRY(record.physics, physics_from_json(physics));
    }
    contents_.physics = std::move(record);
    return {};
  }

  Status take_largest_mtu(const Json& line) {
    if (contents_.largest_mtu) return fail(Errc::invalid, "`largest_mtu` comes twice");
    LargestMtuRecord record;
    LT_TRY(const Json arm, object_field(line, "arm"));
    LT_TRY(record.arm, arm_from_json(arm));
    LT_TRY(record.largest, maybe_mtu_field(line, "largest"));
    LT_TRY(record.too_large, maybe_mtu_field(line, "too_large"));
    LT_TRY(const std::uint64_t trials, whole_field(line, "trials", {0, 1'000}));
    record.trials = static_cast<unsigned>(trials);
    LT_TRY(record.took, time_field(line, "took_ms"));
    if (has_field(line, "error")) {
      LT_TRY(const Json error, object_field(line, "error"));
      LT_TRY(record.failure, error_from_json(error));
    }
    contents_.largest_mtu = std::move(record);
    return {};
  }

  static Result<std::optional<std::uint32_t>> maybe_mtu_field(const Json& line, std::string_view name) {
    std::optional<std::uint32_t> mtu;
    if (!has_field(line, name)) return mtu;
    LT_TRY(const std::uint64_t bytes, whole_field(line, name, {1, 65'535}));
    mtu = static_cast<std::uint32_t>(bytes);
    return mtu;
  }

  Status take_gate(const Json& line) {
    GateRecord record;
    LT_TRY(record.arm, arm_place(line, contents_.header));
    LT_TRY(record.took, time_field(line, "took_ms"));
    LT_TRY(const Json outcome, object_field(line, "outcome"));
    LT_TRY(record.outcome, gate_outcome_from_json(outcome));
    contents_.gates.push_back(std::move(record));
    return {};
  }

  Status take_arms(const Json& line) {
    LT_TRY(const Stage stage, stage_field(line));
    LT_TRY(std::vector<Arm> arms, arms_from_json(line, "arms"));
    SweepHeader& header = contents_.header;
    contents_.additions.push_back({stage, header.arms.size(), arms.size(), {}});
    if (has_field(line, "ruled_out")) {
      LT_TRY(contents_.additions.back().ruled_out, words_field(line, "ruled_out"));
    }
    for (Arm& arm : arms) {
      if (header.place_of(arm)) return fail(Errc::invalid, "an arm that is there already");
      header.arms.push_back(std::move(arm));
    }
    if (header.arms.size() > arms_max) return fail(Errc::invalid, "more than 256 arms");
    return {};
  }

  Status take_epoch(const Json& line) {
    Epoch epoch;
    LT_TRY(epoch.block, whole_field(line, "block", {0, sweep_blocks_max}));
    LT_TRY(epoch.reason, text_field(line, "reason", 1024));
    LT_TRY(const Json facts, object_field(line, "facts"));
    LT_TRY(epoch.facts, facts_from_json(facts));
    contents_.epochs.push_back(std::move(epoch));
    return {};
  }

  JournalContents contents_;  // `broken` is the block that is under way
  std::vector<Unit> units_;   // of that block
};

Status require_kind(const Json& value, std::string_view expected) {
  LT_TRY(const std::string kind, text_field(value, "kind", 16));
  if (kind == expected) return {};
  return fail(Errc::invalid, "`kind` must be " + std::string(expected));
}

}  // namespace

Json to_json(const SweepHeader& header) {
  Json arms = Json::array();
  for (const Arm& arm : header.arms)
    arms.push_back(to_json(arm));
  Json value = {{"kind", "sweep"},
                {"schema", std::string(journal_schema)},
                {"id", header.id},
                {"seed", header.seed},
                {"blocks", header.blocks},
                {"started", header.started},
                {"facts", facts_to_json(header.facts)},
                {"plan", to_json(header.plan)},
                {"arms", arms}};
  if (header.question) value["question"] = question_to_json(*header.question);
  if (!header.command.empty()) value["command"] = header.command;
  return value;
}

Result<SweepHeader> sweep_header_from_json(const Json& value) {
  LT_CHECK(require_kind(value, "sweep"));
  LT_TRY(const std::string schema, text_field(value, "schema", 64));
  if (schema != journal_schema) {
    return fail(Errc::invalid, "`schema` is " + printable(schema, 40) + "; this linktune reads " +
                                   std::string(journal_schema));
  }
  SweepHeader header;
  LT_TRY(header.id, text_field(value, "id", 16));
  LT_TRY(header.seed, whole_field(value, "seed"));
  LT_TRY(header.blocks, whole_field(value, "blocks", {0, sweep_blocks_max}));
  LT_TRY(header.started, text_field(value, "started", time_length_max));
  LT_TRY(const Json facts, object_field(value, "facts"));
  LT_TRY(header.facts, facts_from_json(facts));
  LT_TRY(const Json plan, object_field(value, "plan"));
  LT_TRY(header.plan, trial_plan_from_json(plan));
  LT_TRY(header.arms, arms_from_json(value, "arms"));
  if (header.arms.empty()) return fail(Errc::invalid, "`arms` must not be empty");
  if (has_field(value, "command")) {
    LT_TRY(header.command, words_field(value, "command"));
  }
  if (!has_field(value, "question")) return header;
  LT_TRY(const Json question, object_field(value, "question"));
  LT_TRY(header.question, question_from_json(question));
  LT_CHECK(check_question(header));
  return header;
}

Json to_json(const Block& block, const SweepHeader& header) {
  Json units = Json::array();
  for (const PlannedUnit& unit : block.units) {
    units.push_back({{"arm", hash_of(header.arms.at(unit.arm))}, {"sham", unit.is_sham}});
  }
  return {{"kind", "block"},
          {"block", block.number},
          {"stage", std::string(name_of(block.stage))},
          {"round", block.round},
          {"planned", block.planned},
          {"epoch", block.epoch},
          {"duration_ms", block.duration.count()},
          {"omit_ms", block.omit.count()},
          {"idle_ms", block.idle.count()},
          {"units", units}};
}

Result<Block> block_from_json(const Json& value, const SweepHeader& header) {
  LT_CHECK(require_kind(value, "block"));
  Block block;
  LT_TRY(block.number, whole_field(value, "block", {0, sweep_blocks_max}));
  LT_TRY(block.stage, stage_field(value));
  LT_TRY(block.round, whole_field(value, "round", {0, sweep_blocks_max}));
  LT_TRY(block.planned, whole_field(value, "planned", {1, sweep_blocks_max}));
  LT_TRY(block.epoch, whole_field(value, "epoch", {0, sweep_blocks_max}));
  LT_TRY(block.duration, time_field(value, "duration_ms"));
  LT_TRY(block.omit, time_field(value, "omit_ms"));
  if (has_field(value, "idle_ms")) {
    LT_TRY(block.idle, time_field(value, "idle_ms"));
  }
  LT_TRY(const Json units, list_field(value, "units", block_units_max));
  for (const Json& item : units) {
    PlannedUnit unit;
    LT_TRY(unit.arm, arm_place(item, header));
    LT_TRY(unit.is_sham, truth_field(item, "sham"));
    const bool has_start = !block.units.empty() && block.units.back().arm == unit.arm;
    if (unit.is_sham && !has_start)
      return fail(Errc::invalid, "`units` holds a sham without a start of its arm before it");
    block.units.push_back(unit);
  }
  if (block.units.empty()) return fail(Errc::invalid, "`units` must not be empty");
  return block;
}

Json to_json(const Unit& unit, const SweepHeader& header) {
  const Arm& arm = header.arms.at(unit.arm);
  Json value = {{"kind", "unit"},
                {"block", unit.block},
                {"position", unit.position},
                {"arm", hash_of(arm)},
                {"text", canonical_text(arm)},
                {"sham", unit.is_sham},
                {"status", std::string(name_of(unit.status))},
                {"attempts", unit.attempts},
                {"start_ns", unit.start_ns},
                {"stop_ns", unit.stop_ns},
                {"start", unit.start_wall},
                {"stop", unit.stop_wall}};
  if (unit.sample) value["sample"] = to_json(*unit.sample);
  if (unit.error) value["error"] = error_to_json(*unit.error);
  return value;
}

Result<Unit> unit_from_json(const Json& value, const SweepHeader& header) {
  LT_CHECK(require_kind(value, "unit"));
  Unit unit;
  LT_TRY(unit.block, whole_field(value, "block", {0, sweep_blocks_max}));
  LT_TRY(unit.position, whole_field(value, "position", {0, block_units_max}));
  LT_TRY(unit.arm, arm_place(value, header));
  LT_TRY(unit.is_sham, truth_field(value, "sham"));
  LT_TRY(const std::string status, text_field(value, "status", 32));
  LT_TRY(unit.status, status_from_name(status));
  LT_TRY(const std::uint64_t attempts, whole_field(value, "attempts", {1, 16}));
  unit.attempts = static_cast<unsigned>(attempts);
  LT_TRY(const std::uint64_t start, whole_field(value, "start_ns", {0, INT64_MAX}));
  LT_TRY(const std::uint64_t stop, whole_field(value, "stop_ns", {0, INT64_MAX}));
  unit.start_ns = static_cast<std::int64_t>(start);
  unit.stop_ns = static_cast<std::int64_t>(stop);
  LT_TRY(unit.start_wall, text_field(value, "start", time_length_max));
  LT_TRY(unit.stop_wall, text_field(value, "stop", time_length_max));
  if (unit.status == UnitStatus::measured) {
    LT_TRY(const Json sample, object_field(value, "sample"));
    LT_TRY(unit.sample, sample_from_json(sample));
  } else {
    LT_TRY(const Json error, object_field(value, "error"));
    LT_TRY(unit.error, error_from_json(error));
  }
  return unit;
}

Result<JournalContents> read_journal(const std::string& path) {
  LT_TRY(const std::string text, read_file(path, journal_bytes_max));
  return parse_journal(text, path);
}

Result<JournalContents> parse_journal(std::string_view text, const std::string& path) {
  std::optional<Collector> collector;
  std::uint64_t bytes = 0;
  for (std::size_t number = 1; bytes < text.size(); ++number) {
    const std::string_view rest = text.substr(bytes);
    const auto end = rest.find('\n');
    if (end == std::string_view::npos) break;
    const std::string where = path + ":" + std::to_string(number);
    const auto line = parse_json(rest.substr(0, end), where);
    const bool is_last = bytes + end + 1 == text.size();
    if (!collector && !(line && line->is_object() && line->contains("kind"))) break;
    if (!line && is_last && collector) break;
    if (!line) return fail(line.error());
    if (!collector) {
      auto header = sweep_header_from_json(*line);
      if (!header) return fail(with_context(header.error(), where));
      collector.emplace(std::move(*header));
    } else if (const Status taken = collector->take(*line); !taken) {
      return fail(with_context(taken.error(), where));
    }
    bytes += end + 1;
  }
  if (!collector)
    return fail(Errc::invalid, path + " is not a sweep's journal: its first line is not one, or not whole");
  JournalContents contents = collector->finish();
  contents.bytes = bytes;
  contents.is_torn = bytes != text.size();
  return contents;
}

Result<Journal> Journal::create(const std::string& path, const SweepHeader& header) {
  LT_TRY(LineFile file, LineFile::create(path));
  Journal journal(std::move(file));
  LT_CHECK(journal.append_line(to_json(header)));
  return journal;
}

Result<Journal> Journal::reopen(const std::string& path, const JournalContents& contents) {
  LT_TRY(LineFile file, LineFile::reopen(path, contents.bytes));
  Journal journal(std::move(file));
  if (contents.broken) {
    LT_CHECK(journal.append_line({{"kind", "void"},
                                  {"block", contents.broken->number},
                                  {"reason", "the block was broken off"}}));
  }
  return journal;
}

Status Journal::append(const Block& block, const SweepHeader& header) {
  return append_line(to_json(block, header));
}

Status Journal::append(const PhysicsRecord& record) {
  Json value = {{"kind", "physics"}, {"took_ms", record.took.count()}};
  if (record.failure) {
    value["error"] = error_to_json(*record.failure);
  } else {
    value["physics"] = to_json(record.physics);
  }
  return append_line(value);
}

Status Journal::append(const LargestMtuRecord& record) {
  const auto maybe = [](const std::optional<std::uint32_t>& mtu) { return mtu ? Json(*mtu) : Json(nullptr); };
  Json value = {{"kind", "largest_mtu"},
                {"arm", to_json(record.arm)},
                {"largest", maybe(record.largest)},
                {"too_large", maybe(record.too_large)},
                {"trials", record.trials},
                {"took_ms", record.took.count()}};
  if (record.failure) value["error"] = error_to_json(*record.failure);
  return append_line(value);
}

Status Journal::append(const GateRecord& record, const SweepHeader& header) {
  const Arm& arm = header.arms.at(record.arm);
  return append_line({{"kind", "gate"},
                      {"arm", hash_of(arm)},
                      {"text", canonical_text(arm)},
                      {"took_ms", record.took.count()},
                      {"outcome", to_json(record.outcome)}});
}

Status Journal::append(const Addition& addition, const SweepHeader& header) {
  Json arms = Json::array();
  for (std::size_t i = 0; i < addition.count; ++i)
    arms.push_back(to_json(header.arms.at(addition.first + i)));
  return append_line({{"kind", "arms"},
                      {"stage", std::string(name_of(addition.stage))},
                      {"arms", arms},
                      {"ruled_out", addition.ruled_out}});
}

Status Journal::append(const Epoch& epoch) {
  return append_line({{"kind", "epoch"},
                      {"block", epoch.block},
                      {"reason", epoch.reason},
                      {"facts", facts_to_json(epoch.facts)}});
}

Status Journal::append(const Unit& unit, const SweepHeader& header) {
  return append_line(to_json(unit, header));
}

Status Journal::append_line(const Json& value) { return file_.append(to_line(value)); }

}  // namespace lt::tuner

#include "tuner/journal.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "tuner/fields.h"

namespace lt::tuner {

namespace {

constexpr std::size_t time_length_max = 40;

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

// Collects lines and sorts out which blocks stand.
class Collector {
 public:
  explicit Collector(SweepHeader header) { contents_.header = std::move(header); }

  Status take(const Json& line) {
    LT_TRY(const std::string kind, text_field(line, "kind", 16));
    if (kind == "void") {
      LT_TRY(const std::uint64_t block, whole_field(line, "block", {0, sweep_blocks_max}));
      blocks_.erase(block);
      return {};
    }
    if (kind != "unit") return fail(Errc::invalid, "`kind` must be unit or void");
    LT_TRY(Unit unit, unit_from_json(line, contents_.header));
    std::vector<Unit>& block = blocks_[unit.block];
    if (unit.position != block.size())
      return fail(Errc::invalid, "a unit is missing before this one, or comes twice");
    block.push_back(std::move(unit));
    return {};
  }

  JournalContents finish() {
    for (auto& [block, units] : blocks_) {
      if (units.size() == contents_.header.arms.size()) {
        contents_.blocks.insert(block);
        std::move(units.begin(), units.end(), std::back_inserter(contents_.units));
      } else {
        contents_.broken.insert(block);
      }
    }
    return std::move(contents_);
  }

 private:
  JournalContents contents_;
  std::map<std::size_t, std::vector<Unit>> blocks_;
};

Status require_kind(const Json& value, std::string_view expected) {
  LT_TRY(const std::string kind, text_field(value, "kind", 16));
  if (kind == expected) return {};
  return fail(Errc::invalid, "`kind` must be " + std::string(expected));
}

}  // namespace

std::string_view name_of(UnitStatus status) {
  switch (status) {
    case UnitStatus::measured:
      return "measured";
    case UnitStatus::arm_failed:
      return "arm_failed";
    case UnitStatus::harness_failed:
      return "harness_failed";
  }
  return "unknown";
}

Json to_json(const SweepHeader& header) {
  Json arms = Json::array();
  for (const Arm& arm : header.arms)
    arms.push_back(to_json(arm));
  return {{"kind", "sweep"},
          {"schema", std::string(journal_schema)},
          {"id", header.id},
          {"seed", header.seed},
          {"blocks", header.blocks},
          {"started", header.started},
          {"facts", facts_to_json(header.facts)},
          {"plan", to_json(header.plan)},
          {"arms", arms}};
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
  LT_TRY(header.blocks, whole_field(value, "blocks", {1, sweep_blocks_max}));
  LT_TRY(header.started, text_field(value, "started", time_length_max));
  LT_TRY(const Json facts, object_field(value, "facts"));
  LT_TRY(header.facts, facts_from_json(facts));
  LT_TRY(const Json plan, object_field(value, "plan"));
  LT_TRY(header.plan, trial_plan_from_json(plan));
  LT_TRY(const Json arms, list_field(value, "arms", arms_max));
  for (const Json& item : arms) {
    LT_TRY(Arm arm, arm_from_json(item));
    header.arms.push_back(std::move(arm));
  }
  if (header.arms.empty()) return fail(Errc::invalid, "`arms` must not be empty");
  return header;
}

Json to_json(const Unit& unit, const SweepHeader& header) {
  const Arm& arm = header.arms.at(unit.arm);
  Json value = {{"kind", "unit"},
                {"block", unit.block},
                {"position", unit.position},
                {"arm", hash_of(arm)},
                {"text", canonical_text(arm)},
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
  LT_TRY(unit.position, whole_field(value, "position", {0, header.arms.size() - 1}));
  LT_TRY(const std::string hash, text_field(value, "arm", 16));
  const auto arm = std::find_if(header.arms.begin(), header.arms.end(),
                                [&](const Arm& a) { return hash_of(a) == hash; });
  if (arm == header.arms.end()) return fail(Errc::invalid, "`arm` is none of this sweep's arms");
  unit.arm = static_cast<std::size_t>(arm - header.arms.begin());
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
    return fail(Errc::invalid, path + " is not a sweep's journal: it has no whole first line");
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
  for (const std::size_t block : contents.broken) {
    LT_CHECK(journal.append_line(
        {{"kind", "void"}, {"block", block}, {"reason", "the block was broken off"}}));
  }
  return journal;
}

Status Journal::append(const Unit& unit, const SweepHeader& header) {
  return append_line(to_json(unit, header));
}

Status Journal::append_line(const Json& value) {
  return file_.append(to_line(value));
}

}  // namespace lt::tuner

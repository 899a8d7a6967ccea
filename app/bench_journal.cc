#include "app/bench_journal.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "tuner/fields.h"

namespace lt::app {

namespace {

constexpr std::size_t journal_bytes_max = 64U << 20;
constexpr std::size_t failure_length_max = 400;
constexpr std::uint64_t count_max = 1'000'000;

// The numbers of a sample by name: one table for both ways.
struct NumberField {
  const char* name;
  std::optional<double> BenchSample::*member;
};

constexpr NumberField number_fields[] = {{"mbps", &BenchSample::mbps},
                                         {"mbps_back", &BenchSample::mbps_back},
                                         {"cpu_s_per_gb", &BenchSample::cpu_s_per_gb},
                                         {"steal", &BenchSample::steal},
                                         {"busy_before", &BenchSample::busy_before},
                                         {"retransmits", &BenchSample::retransmits},
                                         {"packets_per_s", &BenchSample::packets_per_s},
                                         {"packets_per_s_max", &BenchSample::packets_per_s_max},
                                         {"resident_mib", &BenchSample::resident_mib}};

struct RoundTripField {
  const char* name;
  std::optional<RoundTrips> BenchSample::*member;
};

constexpr RoundTripField round_trip_fields[] = {{"ping_idle", &BenchSample::ping_idle},
                                                {"ping_loaded", &BenchSample::ping_loaded},
                                                {"echo_idle", &BenchSample::echo_idle},
                                                {"echo_loaded", &BenchSample::echo_loaded}};

Json to_json(const BenchSample& sample) {
  Json value = Json::object();
  for (const NumberField& field : number_fields) {
    if (sample.*field.member) value[field.name] = *(sample.*field.member);
  }
  for (const RoundTripField& field : round_trip_fields) {
    if (const auto& trips = sample.*field.member) {
      value[field.name] = {{"sent", trips->sent}, {"returned", trips->returned}, {"us_p50", trips->us_p50}, {"us_p99", trips->us_p99}};
    }
  }
  return value;
}

Result<RoundTrips> round_trips_from_json(const Json& value) {
  RoundTrips trips;
  LT_TRY(trips.sent, tuner::whole_field(value, "sent", {0, count_max}));
  LT_TRY(trips.returned, tuner::whole_field(value, "returned", {0, trips.sent}));
  LT_TRY(trips.us_p50, tuner::number_field(value, "us_p50"));
  LT_TRY(trips.us_p99, tuner::number_field(value, "us_p99"));
  return trips;
}

Result<BenchSample> sample_from_json(const Json& value) {
  BenchSample sample;
  for (const NumberField& field : number_fields) {
    if (!tuner::has_field(value, field.name)) continue;
    LT_TRY(sample.*field.member, tuner::number_field(value, field.name));
  }
  for (const RoundTripField& field : round_trip_fields) {
    if (!tuner::has_field(value, field.name)) continue;
    LT_TRY(const Json trips, tuner::object_field(value, field.name));
    LT_TRY(sample.*field.member, round_trips_from_json(trips));
  }
  return sample;
}

Status check_header(const Json& line) {
  LT_TRY(const std::string schema, tuner::text_field(line, "schema", 64));
  if (schema == bench_journal_schema) return {};
  return fail(Errc::invalid, "`schema` is " + printable(schema, 40) + "; this linktune reads " + std::string(bench_journal_schema));
}

// Sorts out which blocks are whole.
BenchJournalContents keep_whole_blocks(std::vector<BenchUnit> units, BenchJournalContents contents) {
  std::map<std::uint64_t, std::vector<BenchUnit>> blocks;
  for (BenchUnit& unit : units) {
    contents.blocks = std::max(contents.blocks, unit.block + 1);
    blocks[unit.block].push_back(std::move(unit));
  }
  for (auto& [number, block] : blocks) {
    if (block.size() < block.front().rows) {
      contents.units_cut += block.size();
    } else {
      std::move(block.begin(), block.end(), std::back_inserter(contents.units));
    }
  }
  return contents;
}

// The next unit must go on with its block, or begin one.
Status check_order(const std::vector<BenchUnit>& units, const BenchUnit& next) {
  if (units.empty() || units.back().block < next.block) return {};
  const BenchUnit& last = units.back();
  if (last.block != next.block || last.rows != next.rows || last.round != next.round || last.scene.text() != next.scene.text()) {
    return fail(Errc::invalid, "this unit does not go on with the block before it");
  }
  std::size_t before = 0;
  for (auto unit = units.rbegin(); unit != units.rend() && unit->block == next.block; ++unit, ++before) {
    if (unit->row.label == next.row.label) return fail(Errc::invalid, "this row is in its block already");
  }
  if (before >= next.rows) return fail(Errc::invalid, "its block has more units than rows");
  return {};
}

}  // namespace

Json bench_header(const Json& facts) { return {{"kind", "bench"}, {"schema", std::string(bench_journal_schema)}, {"facts", facts}}; }

Json to_json(const BenchUnit& unit) {
  Json value = {{"kind", "unit"},   {"block", unit.block}, {"rows", unit.rows},     {"round", unit.round},
                {"unix_s", unit.unix_s}, {"scene", to_json(unit.scene)}, {"row", to_json(unit.row)}};
  if (unit.sample) {
    value["sample"] = to_json(*unit.sample);
  } else {
    value[unit.is_absent ? "absent" : "failure"] = unit.failure;
  }
  return value;
}

Result<BenchUnit> bench_unit_from_json(const Json& value) {
  BenchUnit unit;
  LT_TRY(const std::string kind, tuner::text_field(value, "kind", 16));
  if (kind != "unit") return fail(Errc::invalid, "`kind` must be unit");
  LT_TRY(unit.block, tuner::whole_field(value, "block", {0, count_max}));
  LT_TRY(unit.rows, tuner::whole_field(value, "rows", {1, 1000}));
  LT_TRY(unit.round, tuner::whole_field(value, "round", {0, count_max}));
  LT_TRY(unit.unix_s, tuner::whole_field(value, "unix_s"));
  LT_TRY(const Json scene, tuner::object_field(value, "scene"));
  LT_TRY(unit.scene, bench_scene_from_json(scene));
  LT_TRY(const Json row, tuner::object_field(value, "row"));
  LT_TRY(unit.row, bench_row_from_json(row));
  if (tuner::has_field(value, "sample")) {
    LT_TRY(const Json sample, tuner::object_field(value, "sample"));
    LT_TRY(unit.sample, sample_from_json(sample));
    return unit;
  }
  unit.is_absent = tuner::has_field(value, "absent");
  LT_TRY(const std::string failure, tuner::text_field(value, unit.is_absent ? "absent" : "failure", failure_length_max));
  unit.failure = printable(failure, failure_length_max);
  return unit;
}

bool BenchJournalContents::holds(const BenchScene& scene, std::uint64_t round) const {
  const std::string text = scene.text();
  return std::any_of(units.begin(), units.end(), [&](const BenchUnit& unit) { return unit.round == round && unit.scene.text() == text; });
}

Result<BenchJournalContents> parse_bench_journal(std::string_view text, const std::string& path) {
  BenchJournalContents contents;
  std::vector<BenchUnit> units;
  for (std::size_t number = 1; contents.bytes < text.size(); ++number) {
    const std::string_view rest = text.substr(contents.bytes);
    const auto end = rest.find('\n');
    if (end == std::string_view::npos) break;  // torn
    const std::string where = path + ":" + std::to_string(number);
    LT_TRY(const Json line, parse_json(rest.substr(0, end), where));
    if (number == 1) {
      if (const auto known = check_header(line); !known) return fail(with_context(known.error(), where));
      const auto facts = tuner::object_field(line, "facts");
      if (!facts) return fail(with_context(facts.error(), where));
      contents.facts = *facts;
    } else {
      auto unit = bench_unit_from_json(line);
      if (!unit) return fail(with_context(unit.error(), where));
      if (const auto fits = check_order(units, *unit); !fits) return fail(with_context(fits.error(), where));
      units.push_back(std::move(*unit));
    }
    contents.bytes += end + 1;
  }
  if (contents.bytes == 0) return fail(Errc::invalid, path + " is not a bench's journal: it has no whole first line");
  return keep_whole_blocks(std::move(units), std::move(contents));
}

Result<BenchJournalContents> read_bench_journal(const std::string& path) {
  LT_TRY(const std::string text, read_file(path, journal_bytes_max));
  return parse_bench_journal(text, path);
}

Status check_same_bench(const Json& then, const Json& now) {
  const auto text_of = [](const Json& facts, const std::string& name) {
    const auto at = facts.find(name);
    return at == facts.end() || !at->is_string() ? std::string("absent") : printable(at->get<std::string>(), 80);
  };
  for (const auto& [name, value] : now.items()) {
    const std::string before = text_of(then, name);
    const std::string present = text_of(now, name);
    if (before == present) continue;
    return fail(Errc::rejected, "the journal was begun with " + name + " " + before + ", and it is " + present +
                                    " now: begin a new one with --journal; a report takes several");
  }
  return {};
}

}  // namespace lt::app

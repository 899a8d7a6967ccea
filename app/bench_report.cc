#include "app/bench_report.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include "app/bench_verdict.h"
#include "base/format.h"
#include "base/text.h"

namespace lt::app {

namespace {

RowFigures& row_of(SceneFigures& scene, const BenchRow& row) {
  for (RowFigures& known : scene.rows) {
    if (known.row.label == row.label) return known;
  }
  scene.rows.push_back({.row = row, .units = {}, .failures = {}, .absence = {}});
  return scene.rows.back();
}

SceneFigures& scene_of(std::vector<SceneFigures>& scenes, const BenchScene& scene) {
  const std::string text = scene.text();
  for (SceneFigures& known : scenes) {
    if (known.scene.text() == text) return known;
  }
  scenes.push_back({.scene = scene, .rows = {}});
  return scenes.back();
}

void put(RowFigures& figures, const BenchUnit& unit) {
  if (unit.sample) {
    figures.units.push_back(unit);
  } else if (unit.is_absent) {
    figures.absence = unit.failure;
  } else {
    figures.failures.push_back(unit.failure);
  }
}

// --- doubts ---

constexpr double steal_max = 0.02;
constexpr double busy_max = 0.05;

void doubt_facts(const std::vector<Json>& facts, std::vector<std::string>& doubts) {
  std::set<std::string> builds;
  for (const Json& each : facts) {
    builds.insert(to_line(each));
    if (const auto build = each.find("build"); build != each.end() && *build == "Debug") doubts.push_back("this linktune was built for debugging: its figures are too low");
  }
  if (builds.size() > 1) doubts.push_back("the journals come from different programs or machines: compare within each only");
}

// How many starts had more than `most` of it.
std::uint64_t count_above(const BenchReport& report, SampleNumber number, double most) {
  std::uint64_t count = 0;
  for (const SceneFigures& scene : report.scenes) {
    for (const RowFigures& row : scene.rows) {
      for (const double value : row.values(number)) count += value > most ? 1U : 0U;
    }
  }
  return count;
}

void doubt_machine(const BenchReport& report, std::vector<std::string>& doubts) {
  if (const auto robbed = count_above(report, &BenchSample::steal, steal_max); robbed > 0) {
    doubts.push_back(format("the hypervisor took more than 2 % of the CPU time in {} of {} starts", robbed, report.units));
  }
  if (const auto busy = count_above(report, &BenchSample::busy_before, busy_max); busy > 0) {
    doubts.push_back(format("the machine was busy with other things, by more than 5 % of its CPUs, before {} of {} starts", busy, report.units));
  }
}

void doubt_rows(const SceneFigures& scene, std::vector<std::string>& doubts) {
  for (const RowFigures& row : scene.rows) {
    if (row.failures.empty()) continue;
    doubts.push_back(format("{}: {} failed {} of {} times, last: {}", scene.scene.text(), row.row.label, row.failures.size(),
                            row.failures.size() + row.units.size(), row.failures.back()));
  }
  const bool few = std::any_of(scene.rows.begin(), scene.rows.end(), [](const RowFigures& row) { return !row.units.empty() && row.units.size() < 3; });
  if (few) doubts.push_back(scene.scene.text() + ": fewer than 3 starts of a row");
}

std::vector<std::string> doubts_of(const BenchReport& report) {
  std::vector<std::string> doubts;
  doubt_facts(report.facts, doubts);
  doubt_machine(report, doubts);
  for (const SceneFigures& scene : report.scenes) doubt_rows(scene, doubts);
  if (report.units_cut > 0) doubts.push_back(format("{} starts of blocks that were cut off are left out", report.units_cut));
  return doubts;
}

}  // namespace

std::vector<double> RowFigures::values(SampleNumber number) const {
  std::vector<double> found;
  for (const BenchUnit& unit : units) {
    if (const auto& value = (*unit.sample).*number) found.push_back(*value);
  }
  return found;
}

std::optional<double> RowFigures::median(SampleNumber number) const {
  const auto all = values(number);
  return all.empty() ? std::nullopt : std::optional(tuner::median(all));
}

const RowFigures* SceneFigures::find(std::string_view label) const {
  for (const RowFigures& row : rows) {
    if (row.row.label == label) return &row;
  }
  return nullptr;
}

std::optional<PairedRatio> ratio_of(const RowFigures& a, const RowFigures& b, SampleNumber number) {
  std::map<std::uint64_t, double> of_b;
  for (const BenchUnit& unit : b.units) {
    if (const auto& value = (*unit.sample).*number; value && *value > 0) of_b[unit.block] = *value;
  }
  std::vector<double> ours;
  std::vector<double> theirs;
  std::vector<double> ratios;
  for (const BenchUnit& unit : a.units) {
    const auto& value = (*unit.sample).*number;
    const auto other = of_b.find(unit.block);
    if (!value || *value <= 0 || other == of_b.end()) continue;
    ours.push_back(*value);
    theirs.push_back(other->second);
    ratios.push_back(*value / other->second);
  }
  if (ratios.empty()) return std::nullopt;
  return PairedRatio{ratios, tuner::median(ratios), tuner::paired_ratio_interval(ours, theirs, 0.95), ratios.size()};
}

std::string_view name_of(Standing standing) {
  switch (standing) {
    case Standing::reached: return "reached";
    case Standing::missed: return "not reached";
    case Standing::unmeasured: return "not measured";
  }
  return "unknown";
}

BenchReport make_bench_report(const std::vector<BenchJournalContents>& journals) {
  BenchReport report;
  std::uint64_t blocks = 0;  // of the journals before
  for (const BenchJournalContents& journal : journals) {
    report.facts.push_back(journal.facts);
    report.units += journal.units.size();
    report.units_cut += journal.units_cut;
    for (BenchUnit unit : journal.units) {
      unit.block += blocks;
      unit.journal = report.facts.size() - 1;
      report.first_unix_s = report.first_unix_s == 0 ? unit.unix_s : std::min(report.first_unix_s, unit.unix_s);
      report.last_unix_s = std::max(report.last_unix_s, unit.unix_s);
      put(row_of(scene_of(report.scenes, unit.scene), unit.row), unit);
    }
    blocks += journal.blocks;
  }
  for (SceneFigures& scene : report.scenes) {
    std::sort(scene.rows.begin(), scene.rows.end(), [](const RowFigures& a, const RowFigures& b) {
      return std::pair(a.row.carrier, a.row.label) < std::pair(b.row.carrier, b.row.label);
    });
  }
  report.verdicts = judge_bench(report.scenes);
  report.doubts = doubts_of(report);
  return report;
}

namespace {

// --- tables ---

std::string ms(double us) { return format("{:.1f}", us / 1000); }

// Medians over the starts of one kind of round trips.
struct TripMedians {
  double us_p50{0};
  double us_p99{0};
};

std::optional<TripMedians> trips_of(const RowFigures& row, std::optional<RoundTrips> BenchSample::*member) {
  std::vector<double> p50;
  std::vector<double> p99;
  for (const BenchUnit& unit : row.units) {
    const auto& trips = (*unit.sample).*member;
    if (!trips || trips->returned == 0) continue;
    p50.push_back(trips->us_p50);
    p99.push_back(trips->us_p99);
  }
  if (p50.empty()) return std::nullopt;
  return TripMedians{tuner::median(p50), tuner::median(p99)};
}

std::string trips_cell(const RowFigures& row, std::optional<RoundTrips> BenchSample::*member) {
  const auto medians = trips_of(row, member);
  return medians ? ms(medians->us_p50) + " / " + ms(medians->us_p99) : "-";
}

bool has_trips(const SceneFigures& scene) {
  return std::any_of(scene.rows.begin(), scene.rows.end(), [](const RowFigures& row) { return trips_of(row, &BenchSample::ping_loaded).has_value(); });
}

std::string cell(const std::optional<double>& value, int digits) { return value ? format("{:.{}f}", *value, digits) : "-"; }

std::string ratio_cell(const SceneFigures& scene, const RowFigures& row, SampleNumber number) {
  const RowFigures* const ours = scene.find(row_linktune);
  const auto ratio = ours ? ratio_of(*ours, row, number) : std::nullopt;
  return ratio ? format("{:.2f}x", ratio->median) : "-";
}

std::vector<std::string> absent_row(const RowFigures& row, std::size_t columns) {
  std::vector<std::string> cells(columns, "-");
  cells[0] = row.row.label;
  if (columns > 1) cells[1] = "0";
  return cells;
}

TextTable tcp_table(const SceneFigures& scene) {
  const bool trips = has_trips(scene);
  TextTable table{.header = {"", "starts", "Mbit/s", "p5", "p95", "spread", "CPU s/GB", "MiB"}};
  if (trips) table.header.insert(table.header.end(), {"ping idle ms", "ping loaded ms", "UDP idle ms", "UDP loaded ms"});
  table.header.emplace_back("linktune is");
  for (const RowFigures& row : scene.rows) {
    const auto rates = row.values(&BenchSample::mbps);
    if (rates.empty()) {
      table.rows.push_back(absent_row(row, table.header.size()));
      continue;
    }
    std::vector<std::string> cells{row.row.label,
                                   std::to_string(rates.size()),
                                   format("{:.0f}", tuner::median(rates)),
                                   format("{:.0f}", tuner::quantile(rates, 0.05)),
                                   format("{:.0f}", tuner::quantile(rates, 0.95)),
                                   format("{:.1f} %", 100 * tuner::relative_spread(rates)),
                                   cell(row.median(&BenchSample::cpu_s_per_gb), 2),
                                   cell(row.median(&BenchSample::resident_mib), 0)};
    if (trips) {
      for (const auto member : {&BenchSample::ping_idle, &BenchSample::ping_loaded, &BenchSample::echo_idle, &BenchSample::echo_loaded}) {
        cells.push_back(trips_cell(row, member));
      }
    }
    cells.push_back(ratio_cell(scene, row, &BenchSample::mbps));
    table.rows.push_back(std::move(cells));
  }
  return table;
}

TextTable packets_table(const SceneFigures& scene) {
  TextTable table{.header = {"", "starts", "packets/s", "p5", "p95", "at best", "MiB", "linktune is"}};
  for (const RowFigures& row : scene.rows) {
    const auto rates = row.values(&BenchSample::packets_per_s);
    if (rates.empty()) {
      table.rows.push_back(absent_row(row, table.header.size()));
      continue;
    }
    table.rows.push_back({row.row.label, std::to_string(rates.size()), format("{:.0f}", tuner::median(rates)),
                          format("{:.0f}", tuner::quantile(rates, 0.05)), format("{:.0f}", tuner::quantile(rates, 0.95)),
                          cell(row.median(&BenchSample::packets_per_s_max), 0), cell(row.median(&BenchSample::resident_mib), 0),
                          ratio_cell(scene, row, &BenchSample::packets_per_s)});
  }
  return table;
}

TextTable verdict_table(const BenchReport& report) {
  TextTable table{.header = {"", "what", "target", "measured", "standing"}};
  for (const BenchVerdict& verdict : report.verdicts) {
    table.rows.push_back({verdict.id, verdict.what, verdict.target, verdict.measured, std::string(name_of(verdict.standing))});
  }
  return table;
}

std::string facts_line(const Json& facts) {
  std::string line;
  for (const auto& [name, value] : facts.items()) line += (line.empty() ? "" : ", ") + name + " " + printable(value.is_string() ? value.get<std::string>() : "?", 80);
  return line;
}

// "2026-11-23", in UTC.
std::string day_of(std::uint64_t unix_s) {
  const std::chrono::sys_seconds moment{std::chrono::seconds(unix_s)};
  const std::chrono::year_month_day day{std::chrono::floor<std::chrono::days>(moment)};
  return format("{:04}-{:02}-{:02}", static_cast<int>(day.year()), static_cast<unsigned>(day.month()), static_cast<unsigned>(day.day()));
}

std::string when(const BenchReport& report) {
  const std::string first = day_of(report.first_unix_s);
  const std::string last = day_of(report.last_unix_s);
  return format("{} starts, {}", report.units, first == last ? first : first + " to " + last);
}

std::vector<std::string> absences(const BenchReport& report) {
  std::set<std::string> said;
  for (const SceneFigures& scene : report.scenes) {
    for (const RowFigures& row : scene.rows) {
      if (!row.absence.empty()) said.insert(row.row.label + ": " + row.absence);
    }
  }
  return {said.begin(), said.end()};
}

constexpr std::string_view legend =
    "A start is a fresh one; rows of a scene were started in turn, in an order drawn anew for each round. Mbit/s is the\n"
    "median of the goodput at the receiver, spread is (p95 - p5) / median over the starts, CPU is of the whole machine,\n"
    "MiB the largest daemon at its peak. Round trips are p50 / p99, 50 a second, medians over the starts; ping is urgent\n"
    "to linktune, the UDP echo is bulk. Ratios are medians of the blocks' own ratios.\n";

}  // namespace

TextTable table_of(const SceneFigures& scene) { return scene.scene.load == BenchLoad::tcp ? tcp_table(scene) : packets_table(scene); }

std::vector<std::string> notes_of(const BenchReport& report) {
  std::vector<std::string> notes{when(report)};
  for (const Json& facts : report.facts) {
    if (const std::string machine = facts_line(facts); machine != notes.back()) notes.push_back(machine);
  }
  notes.emplace_back(legend);
  for (const std::string& absence : absences(report)) notes.push_back("absent: " + absence);
  for (const std::string& doubt : report.doubts) notes.push_back("doubt: " + doubt);
  return notes;
}

std::string verdict_text_of(const BenchReport& report) {
  std::string text;
  for (const BenchVerdict& verdict : report.verdicts) {
    text += format("{:<4} {:<13} {}: {}\n                   {}\n", verdict.id, name_of(verdict.standing), verdict.what, verdict.target, verdict.measured);
  }
  return text;
}

std::string text_of(const BenchReport& report) {
  std::string text;
  for (const Json& facts : report.facts) text += facts_line(facts) + "\n";
  text += when(report) + "\n";
  for (const SceneFigures& scene : report.scenes) text += "\n" + scene.scene.text() + "\n" + table_of(scene).text();
  text += "\n" + verdict_text_of(report) + "\n" + std::string(legend);
  for (const std::string& absence : absences(report)) text += "absent: " + absence + "\n";
  for (const std::string& doubt : report.doubts) text += "doubt: " + doubt + "\n";
  return text;
}

std::string markdown_of(const BenchReport& report) {
  std::string text = verdict_table(report).markdown() + "\n";
  std::set<std::string> machines;
  for (const Json& facts : report.facts) machines.insert(facts_line(facts));
  text += "In brackets: of how many starts, or blocks of them, and from where to where they went. " + when(report) + ".\n";
  for (const std::string& machine : machines) text += "Measured with: " + machine + ".\n";
  for (const SceneFigures& scene : report.scenes) text += "\n**" + scene.scene.text() + "**\n\n" + table_of(scene).markdown();
  text += "\n" + std::string(legend);
  for (const std::string& absence : absences(report)) text += "\nAbsent: " + absence + ".\n";
  for (const std::string& doubt : report.doubts) text += "\nDoubt: " + doubt + ".\n";
  return text;
}

namespace {

constexpr std::pair<const char*, SampleNumber> shown[] = {{"mbps", &BenchSample::mbps},
                                                          {"mbps_back", &BenchSample::mbps_back},
                                                          {"cpu_s_per_gb", &BenchSample::cpu_s_per_gb},
                                                          {"retransmits", &BenchSample::retransmits},
                                                          {"packets_per_s", &BenchSample::packets_per_s},
                                                          {"packets_per_s_max", &BenchSample::packets_per_s_max},
                                                          {"resident_mib", &BenchSample::resident_mib}};

Json json_of(const SceneFigures& scene, const RowFigures& row) {
  Json value = to_json(row.row);
  value["starts"] = row.units.size();
  value["failures"] = row.failures;
  if (!row.absence.empty()) value["absent"] = row.absence;
  for (const auto& [name, number] : shown) {
    const auto values = row.values(number);
    if (values.empty()) continue;
    value[name] = {{"median", tuner::median(values)}, {"p5", tuner::quantile(values, 0.05)}, {"p95", tuner::quantile(values, 0.95)}, {"values", values}};
  }
  for (const auto& [name, member] : {std::pair{"ping_idle", &BenchSample::ping_idle}, std::pair{"ping_loaded", &BenchSample::ping_loaded},
                                     std::pair{"echo_idle", &BenchSample::echo_idle}, std::pair{"echo_loaded", &BenchSample::echo_loaded}}) {
    if (const auto medians = trips_of(row, member)) value[name] = {{"us_p50", medians->us_p50}, {"us_p99", medians->us_p99}};
  }
  const RowFigures* const ours = scene.find(row_linktune);
  const SampleNumber judged = scene.scene.load == BenchLoad::tcp ? &BenchSample::mbps : &BenchSample::packets_per_s;
  if (const auto ratio = ours ? ratio_of(*ours, row, judged) : std::nullopt) {
    value["linktune_ratio"] = {{"median", ratio->median}, {"blocks", ratio->blocks}};
    if (ratio->interval) value["linktune_ratio"]["interval_95"] = {ratio->interval->low, ratio->interval->high};
  }
  return value;
}

}  // namespace

Json json_of(const BenchReport& report) {
  Json scenes = Json::array();
  for (const SceneFigures& scene : report.scenes) {
    Json rows = Json::array();
    for (const RowFigures& row : scene.rows) rows.push_back(json_of(scene, row));
    scenes.push_back({{"name", scene.scene.text()}, {"scene", to_json(scene.scene)}, {"rows", rows}});
  }
  Json verdicts = Json::array();
  for (const BenchVerdict& verdict : report.verdicts) {
    verdicts.push_back({{"id", verdict.id}, {"what", verdict.what}, {"target", verdict.target}, {"measured", verdict.measured},
                        {"standing", std::string(name_of(verdict.standing))}});
  }
  return {{"schema", std::string(bench_schema)}, {"facts", report.facts}, {"verdicts", verdicts}, {"scenes", scenes},
          {"doubts", report.doubts}, {"absences", absences(report)}, {"units", report.units}, {"units_cut", report.units_cut}};
}

}  // namespace lt::app

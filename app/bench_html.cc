#include "app/bench_html.h"

#include "base/format.h"
#include "tuner/chart.h"
#include "tuner/markup.h"
#include "tuner/page_frame.h"

namespace lt::app {

namespace {

tuner::ChartTone tone_of(const RowFigures& row) {
  if (row.units.empty()) return tuner::ChartTone::bad;
  if (row.row.carrier == RowCarrier::linktune) return tuner::ChartTone::chosen;
  return row.row.carrier == RowCarrier::bare ? tuner::ChartTone::muted : tuner::ChartTone::plain;
}

// One number of each row: every start as a dot, median and p5 to p95 over them.
tuner::IntervalRow interval_row(const RowFigures& row, SampleNumber number, int digits) {
  tuner::IntervalRow drawn{.label = row.row.label, .note = {}, .value = {}, .interval = {}, .dots = row.values(number), .tone = tone_of(row)};
  if (drawn.dots.empty()) {
    drawn.note = row.absence.empty() ? "not measured" : "absent";
    return drawn;
  }
  drawn.value = tuner::median(drawn.dots);
  drawn.interval = tuner::Interval{tuner::quantile(drawn.dots, 0.05), tuner::quantile(drawn.dots, 0.95)};
  drawn.note = format("{:.{}f}", *drawn.value, digits);
  return drawn;
}

std::string number_chart(const SceneFigures& scene, const std::string& title, const std::string& unit, SampleNumber number, int digits) {
  tuner::IntervalChart chart{.title = title, .text = "Each dot is a fresh start; the mark is their median, the line goes from p5 to p95.",
                             .axis = {.title = unit, .is_logarithmic = true}, .rows = {}, .reference = {}};
  for (const RowFigures& row : scene.rows) chart.rows.push_back(interval_row(row, number, digits));
  return tuner::figure_of(chart);
}

// Under load: p50 as the mark, up to p99 as the line, medians over the starts.
std::string trips_chart(const SceneFigures& scene) {
  tuner::IntervalChart chart{.title = scene.scene.text() + ": ping under load",
                             .text = "The mark is the median round trip, the line goes up to p99; dots are the p99 of single starts.",
                             .axis = {.title = "ms", .is_logarithmic = true}, .rows = {}, .reference = {}};
  for (const RowFigures& row : scene.rows) {
    tuner::IntervalRow drawn{.label = row.row.label, .note = {}, .value = {}, .interval = {}, .dots = {}, .tone = tone_of(row)};
    std::vector<double> p50;
    for (const BenchUnit& unit : row.units) {
      if (!unit.sample->ping_loaded || unit.sample->ping_loaded->returned == 0) continue;
      p50.push_back(unit.sample->ping_loaded->us_p50 / 1000);
      drawn.dots.push_back(unit.sample->ping_loaded->us_p99 / 1000);
    }
    if (!p50.empty()) {
      drawn.value = tuner::median(p50);
      drawn.interval = tuner::Interval{*drawn.value, tuner::median(drawn.dots)};
      drawn.note = format("{:.1f} / {:.1f}", *drawn.value, drawn.interval->high);
    }
    chart.rows.push_back(std::move(drawn));
  }
  return tuner::figure_of(chart);
}

bool has_trips(const SceneFigures& scene) {
  for (const RowFigures& row : scene.rows) {
    for (const BenchUnit& unit : row.units) {
      if (unit.sample->ping_loaded) return true;
    }
  }
  return false;
}

std::string charts_of(const SceneFigures& scene) {
  const std::string name = scene.scene.text();
  if (scene.scene.load == BenchLoad::packets) return number_chart(scene, name, "packets a second, at most 1 % lost", &BenchSample::packets_per_s, 0);
  std::string charts = number_chart(scene, name, "goodput (Mbit/s)", &BenchSample::mbps, 0);
  if (scene.scene.line.is_raw()) charts += number_chart(scene, name + ": CPU", "CPU s/GB, whole machine", &BenchSample::cpu_s_per_gb, 2);
  if (has_trips(scene)) charts += trips_chart(scene);
  return charts;
}

// "SCENE: ROW": memory of all that was measured would be too much; what S11 speaks of is drawn.
std::string memory_chart(const BenchReport& report) {
  for (const SceneFigures& scene : report.scenes) {
    if (scene.find(row_linktune_lanes) == nullptr) continue;
    return number_chart(scene, scene.scene.text() + ": memory", "MiB resident at the peak", &BenchSample::resident_mib, 0);
  }
  return {};
}

// What was to be reached, and what was: words that wrap on a telephone.
std::string verdicts_of(const BenchReport& report) {
  std::string text;
  for (const BenchVerdict& verdict : report.verdicts) {
    const std::string_view tone = verdict.standing == Standing::reached ? "good" : verdict.standing == Standing::missed ? "warn" : "plain";
    text += "<h3>" + tuner::escaped(verdict.id) + " " + tuner::element("span", name_of(verdict.standing), " class=\"badge " + std::string(tone) + "\"") +
            "</h3>\n" + tuner::element("p", verdict.what + ": " + verdict.target) + tuner::element("p", verdict.measured, " class=\"soft\"") + "\n";
  }
  return text;
}

std::string html_table_of(const SceneFigures& scene) {
  const TextTable text = table_of(scene);
  tuner::PageTable table(text.header);
  for (const auto& cells : text.rows) table.add(cells, cells.front().starts_with(row_linktune) ? "chosen" : "");
  return table.html(scene.scene.text());
}

std::string paragraphs_of(const BenchReport& report) {
  std::string notes;
  for (const std::string& note : notes_of(report)) notes += tuner::element("p", note) + "\n";
  return notes;
}

}  // namespace

std::string html_of(const BenchReport& report) {
  std::string charts;
  std::string tables;
  for (const SceneFigures& scene : report.scenes) {
    charts += charts_of(scene);
    tables += html_table_of(scene);
  }
  std::string body = tuner::element("h1", "linktune bench") + "\n" + tuner::section_of("reach", "Figures to reach", verdicts_of(report));
  body += tuner::section_of("charts", "Charts", charts + memory_chart(report));
  body += tuner::section_of("tables", "Tables", tables) + tuner::section_of("notes", "Machine, method, doubts", paragraphs_of(report));
  return tuner::page_around("linktune bench", body);
}

}  // namespace lt::app

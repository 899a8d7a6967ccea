#include "tuner/page_charts.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/format.h"
#include "tuner/fate.h"

namespace lt::tuner {

namespace {

constexpr double mega = 1e6;
constexpr std::size_t series_arms_max = 5;   // more lines than that nobody tells apart
constexpr double series_step_seconds = 0.5;  // of Sample::series_up

const Arm& arm_of(const Report& report, std::size_t arm) {
  return report.result.header.arms[arm];
}

std::vector<double> scores_of(const Report& report, std::size_t arm) {
  std::vector<double> scores;
  for (const Unit& unit : report.result.units) {
    if (unit.arm != arm) continue;
    if (const auto score = score_of(unit, report.result.header.plan, report.result.objective))
      scores.push_back(*score / mega);
  }
  return scores;
}

std::vector<double> waits_of(const Report& report, std::size_t arm) {
  std::vector<double> waits;
  for (const Unit& unit : report.result.units) {
    if (unit.arm == arm && unit.sample && !unit.sample->failure && unit.sample->loaded.us_p95 > 0)
      waits.push_back(unit.sample->loaded.us_p95 / 1e3);
  }
  return waits;
}

std::optional<Interval> scaled(const std::optional<Interval>& interval, double by) {
  if (!interval) return std::nullopt;
  return Interval{interval->low * by, interval->high * by};
}

std::string interval_note(double value, const std::optional<Interval>& interval) {
  if (!interval) return format("{:.0f}", value);
  return format("{:.0f} ({:.0f}\u2013{:.0f})", value, interval->low, interval->high);
}

std::size_t series_of(ArmCarrier carrier) {
  return static_cast<std::size_t>(carrier);
}

std::vector<std::string> carrier_names() {
  return {"bare line", "native", "OpenVPN", "WireGuard"};
}

// Shown is what won or nearly did, and what everything is compared with.
std::vector<std::size_t> arms_for_series(const Report& report) {
  std::vector<std::size_t> arms;
  const auto add = [&](std::size_t arm) {
    if (arms.size() < series_arms_max && !contains(arms, arm)) arms.push_back(arm);
  };
  if (report.decision && report.decision->choice) add(*report.decision->choice);
  if (report.decision) add(report.decision->incumbent);
  for (const ArmSummary& row : report.verdict.rows)
    if (row.standing == Standing::control) add(row.arm);
  if (report.verdict.ahead) add(*report.verdict.ahead);
  for (const ArmSummary& row : report.verdict.rows)
    if (row.units > 0 && row.failures == 0) add(row.arm);
  return arms;
}

// The median over all trials, for each step of time.
std::vector<LinePoint> median_series(const Report& report, std::size_t arm) {
  std::vector<std::vector<double>> steps;
  for (const Unit& unit : report.result.units) {
    if (unit.arm != arm || !unit.sample) continue;
    const auto& series =
        unit.sample->series_down.empty() ? unit.sample->series_up : unit.sample->series_down;
    steps.resize(std::max(steps.size(), series.size()));
    for (std::size_t i = 0; i < series.size(); ++i)
      steps[i].push_back(static_cast<double>(series[i]) * 8 / series_step_seconds / mega);
  }
  std::vector<LinePoint> points;
  for (std::size_t i = 0; i < steps.size(); ++i)
    points.push_back({(static_cast<double>(i) + 0.5) * series_step_seconds, median(steps[i])});
  return points;
}

double minutes_between(std::int64_t from_ns, std::int64_t to_ns) {
  return static_cast<double>(to_ns - from_ns) / 60e9;
}

// Stretches of one stage, from the first unit of its first block to the last of its last.
std::vector<LineBand> stage_bands(const SweepResult& result, std::int64_t from_ns) {
  std::map<std::size_t, Stage> stages;
  for (const Block& block : result.blocks)
    stages[block.number] = block.stage;
  std::vector<LineBand> bands;
  std::optional<Stage> present;
  for (const Unit& unit : result.units) {
    const auto stage = stages.find(unit.block);
    if (stage == stages.end() || stage->second == Stage::ranking) continue;
    if (present != stage->second)
      bands.push_back(
          {minutes_between(from_ns, unit.start_ns), 0, std::string(name_of(stage->second))});
    present = stage->second;
    bands.back().to = minutes_between(from_ns, unit.stop_ns);
  }
  return bands;
}

// What the line allows: the smaller way's bound.
std::optional<double> bound_of_line(const Report& report) {
  const auto& record = report.result.physics;
  if (!record || record->failure) return std::nullopt;
  const Bound bound = bound_of(record->physics);
  if (!bound.up || !bound.down) return std::nullopt;
  return static_cast<double>(std::min(bound.up->value, bound.down->value));
}

}  // namespace

std::string rate_text(double bits_per_second) {
  const double value = bits_per_second / mega;
  return format("{:.{}f} Mbit/s", value, value < 10 ? 2 : value < 100 ? 1 : 0);
}

std::string wait_text(double microseconds) {
  if (microseconds <= 0) return "\u2013";
  const double value = microseconds / 1e3;
  return format("{:.{}f} ms", value, value < 10 ? 2 : value < 100 ? 1 : 0);
}

std::string ratio_text(const Interval& interval) {
  const auto percent = [](double ratio) { return format("{:+.1f}", (ratio - 1) * 100); };
  return percent(interval.low) + " % to " + percent(interval.high) + " %";
}

std::string goodput_figure(const Report& report) {
  IntervalChart chart{
      .title = "Goodput of each setting",
      .text =
          "Median over fresh starts, of the slower way. The bar is the 95 % interval, "
          "each dot one start.",
      .axis = {.title = "Mbit/s", .from_zero = true}};
  for (const ArmSummary& row : report.verdict.rows) {
    if (is_untried(row)) continue;
    const ArmFate fate = fate_of(report, row);
    const double value = row.score / mega;
    const auto interval = scaled(row.interval, 1 / mega);
    IntervalRow line{arm_of(report, row.arm).label, fate.word, std::nullopt, interval,
                     scores_of(report, row.arm),    fate.tone};
    if (row.units > 0) {
      line.value = value;
      line.note = interval_note(value, interval);
    }
    chart.rows.push_back(std::move(line));
  }
  if (const auto bound = bound_of_line(report))
    chart.reference = ChartReference{*bound / mega, format("at most {:.0f}", *bound / mega)};
  return figure_of(chart);
}

std::string comparison_figure(const Report& report) {
  if (!report.decision || report.decision->comparisons.empty()) return {};
  const Decision& decision = *report.decision;
  IntervalChart chart{
      .title = "Against the present settings",
      .text = "Ratio to " + arm_of(report, decision.incumbent).label +
              " on fresh blocks, with intervals that hold for all pairs at once. An interval that "
              "does not touch 1 is a difference.",
      .axis = {.title = "ratio"},
      .reference = ChartReference{1, "the same"}};
  for (const std::size_t arm : decision.confirmed) {
    const auto pair = decision.between(arm, decision.incumbent);
    if (!pair || !pair->interval) continue;
    chart.rows.push_back({arm_of(report, arm).label,
                          std::string(name_of(pair->claim)) + ", " + ratio_text(*pair->interval),
                          pair->ratio,
                          pair->interval,
                          {},
                          decision.choice == arm ? ChartTone::chosen : ChartTone::plain});
  }
  return chart.rows.empty() ? std::string() : figure_of(chart);
}

std::string trade_figure(const Report& report) {
  ScatterChart chart{.title = "What each setting carries, and how long packets wait meanwhile",
                     .text = "Up and to the left is better.",
                     .x = {.title = "round trip under load, p95 (ms)", .is_logarithmic = true},
                     .y = {.title = "goodput, slower way (Mbit/s)", .from_zero = true},
                     .series = carrier_names()};
  std::vector<std::size_t> places;
  for (const ArmSummary& row : report.verdict.rows) {
    const auto waits = waits_of(report, row.arm);
    if (row.units == 0 || waits.empty()) continue;
    const Arm& arm = arm_of(report, row.arm);
    ScatterPoint point{.label = arm.label,
                       .x = median(waits),
                       .y = row.score / mega,
                       .x_interval = Interval{quantile(waits, 0.05), quantile(waits, 0.95)},
                       .y_interval = scaled(row.interval, 1 / mega),
                       .series = series_of(arm.carrier),
                       .tone = fate_of(report, row).tone};
    if (point.tone == ChartTone::muted) point.tone = ChartTone::plain;
    if (report.decision && contains(report.decision->pareto, row.arm))
      places.push_back(chart.points.size());
    chart.points.push_back(std::move(point));
  }
  if (chart.points.empty()) return {};
  std::sort(places.begin(), places.end(),
            [&](std::size_t a, std::size_t b) { return chart.points[a].x < chart.points[b].x; });
  chart.front = places;
  if (places.size() > 1)
    chart.text += " The dashed line joins the settings that no other is shown to beat on both.";
  return figure_of(chart);
}

std::string series_figure(const Report& report) {
  LineChart chart{
      .title = "The course of a trial",
      .text =
          "Median over all trials of a setting, every half second from the first byte on; "
          "what lies before the line's own start-up is left out of the figures above.",
      .x = {.title = "seconds"},
      .y = {.title = "Mbit/s", .from_zero = true}};
  for (const std::size_t arm : arms_for_series(report)) {
    auto points = median_series(report, arm);
    if (points.size() > 1) chart.series.push_back({arm_of(report, arm).label, std::move(points)});
  }
  const double omit = std::chrono::duration<double>(report.result.header.plan.omit).count();
  if (omit > 0) chart.bands.push_back({0, omit, "left out"});
  return chart.series.empty() ? std::string() : figure_of(chart);
}

std::string drift_figure(const Report& report) {
  const SweepResult& result = report.result;
  if (result.units.empty()) return {};
  const std::int64_t from_ns = result.units.front().start_ns;
  LineSeries bare{.label = "bare line", .has_marks = true};
  for (const Unit& unit : result.units) {
    if (arm_of(report, unit.arm).carrier != ArmCarrier::bare) continue;
    if (const auto score = score_of(unit, result.header.plan, result.objective))
      bare.points.push_back({minutes_between(from_ns, unit.start_ns), *score / mega});
  }
  if (bare.points.size() < 2) return {};
  const LineChart chart{
      .title = "The line itself, while the sweep ran",
      .text = format(
          "The bare line, measured in each block. Its drift of {:.1f} % is in every setting's "
          "numbers alike; comparing within blocks takes it out.",
          report.verdict.bare_spread * 100),
      .x = {.title = "minutes since the first trial"},
      .y = {.title = "Mbit/s", .from_zero = true},
      .series = {bare},
      .bands = stage_bands(result, from_ns)};
  return figure_of(chart);
}

std::string cpu_figure(const Report& report) {
  BarChart chart{.title = "What a gigabit costs",
                 .text = "CPU time of both ends together.",
                 .axis = {.title = "core-seconds for each Gbit"},
                 .series = {"CPU"}};
  for (const ArmSummary& row : report.verdict.rows) {
    if (row.units == 0 || row.cpu_seconds_per_gbit <= 0) continue;
    chart.groups.push_back(
        {arm_of(report, row.arm).label,
         {Bar{row.cpu_seconds_per_gbit, {}, format("{:.2f}", row.cpu_seconds_per_gbit)}}});
  }
  return chart.groups.empty() ? std::string() : figure_of(chart);
}

}  // namespace lt::tuner

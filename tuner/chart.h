// Charts: a few kinds, drawn as SVG text for one self-contained page.
//
// Pure: the same chart gives the same bytes. No script, no font and no address: nothing is loaded.
// Colours are variables of the page's style sheet (chart_style()), so a chart follows the reader's
// light or dark scheme; series differ by dash and mark as well as by colour, so that no one colour
// has to be told from another. Each chart is drawn twice, for a wide and for a narrow screen, and
// the style sheet shows the one that fits: scaling one drawing would make its letters too small.
// Numbers that are not finite are left out. Every text may hold anything: it is escaped.
// @source palette: Okabe, Ito, "Color universal design", 2008, with lighter tones on dark ground
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tuner/statistics.h"

namespace lt::tuner {

struct ChartAxis {
  std::string title;           // with its unit: "goodput (Mbit/s)"
  bool is_logarithmic{false};  // values that are not positive are left out
  bool from_zero{false};       // not with is_logarithmic
};

/// What a mark says beside its place.
enum class ChartTone : std::uint8_t {
  plain,
  chosen,  // the answer
  muted,   // for comparison: a control, what was dropped
  bad,     // failed
};

/// A line along the value axis, to compare with.
struct ChartReference {
  double value{0};
  std::string label;
};

/// One row for each thing: its interval as a line, its value as a mark, single measurements as
/// dots.
struct IntervalRow {
  std::string label;
  std::string note;  // the numbers in words; empty: none
  std::optional<double> value;
  std::optional<Interval> interval;
  std::vector<double> dots;
  ChartTone tone{ChartTone::plain};
};
struct IntervalChart {
  std::string title;
  std::string text;  // what to read in it, one sentence or two
  ChartAxis axis;
  std::vector<IntervalRow> rows;
  std::optional<ChartReference> reference;
};

/// Two numbers of each thing. Labels never overlap: where they do not fit, numbers with a key do.
struct ScatterPoint {
  std::string label;
  double x{0};
  double y{0};
  std::optional<Interval> x_interval;
  std::optional<Interval> y_interval;
  std::size_t series{0};  // place in ScatterChart::series
  ChartTone tone{ChartTone::plain};
};
struct ScatterChart {
  std::string title;
  std::string text;
  ChartAxis x;
  ChartAxis y;
  std::vector<ScatterPoint> points;
  std::vector<std::string> series;  // for the legend; empty: no legend
  std::vector<std::size_t> front;   // places in `points`, joined by steps in this order
  std::string front_label;
};

/// Several lines over one axis, with named stretches of it behind them.
struct LinePoint {
  double x{0};
  double y{0};
};
struct LineSeries {
  std::string label;
  std::vector<LinePoint> points;  // in the order of x
  bool has_marks{false};
  ChartTone tone{ChartTone::plain};
};
struct LineBand {
  double from{0};
  double to{0};
  std::string label;
};
struct LineChart {
  std::string title;
  std::string text;
  ChartAxis x;
  ChartAxis y;
  std::vector<LineSeries> series;
  std::vector<LineBand> bands;
};

/// Bars side by side: one group for each thing, in it one bar for each series. They lie, so that
/// labels of any length fit.
struct Bar {
  double value{0};
  std::optional<Interval> whisker;
  std::string note;  // at its end; empty: the value
};
struct BarGroup {
  std::string label;
  std::vector<std::optional<Bar>> bars;  // one for each series; nothing: not measured
};
struct BarChart {
  std::string title;
  std::string text;
  ChartAxis axis;
  std::vector<std::string> series;
  std::vector<BarGroup> groups;
};

/// A <figure>: title, text, legend, and the drawing for wide and for narrow screens.
[[nodiscard]] std::string figure_of(const IntervalChart& chart);
[[nodiscard]] std::string figure_of(const ScatterChart& chart);
[[nodiscard]] std::string figure_of(const LineChart& chart);
[[nodiscard]] std::string figure_of(const BarChart& chart);

/// What a page with charts has in its <style>: colours for light and dark, which drawing to show.
[[nodiscard]] std::string_view chart_style();

}  // namespace lt::tuner

#include "tuner/chart.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/format.h"
#include "tuner/chart_canvas.h"
#include "tuner/markup.h"

namespace lt::tuner {

namespace {

constexpr double tick_room = 22;   // under a drawing, for the ticks' numbers
constexpr double title_room = 18;  // and for the axis' title
constexpr double step_across = 75;
constexpr double step_down = 44;

double fitting(std::string_view text, double pixels) {
  return std::min(label_width(text), pixels);
}

// As many characters of a label as `pixels` hold.
std::string fitted(std::string_view text, double pixels) {
  if (label_width(text) <= pixels) return std::string(text);
  std::size_t characters = text.size();
  while (characters > 1 && label_width(shortened(text, characters)) > pixels)
    --characters;
  return shortened(text, characters);
}

// Grid lines with their numbers, and the axis' title: along the bottom.
void draw_axis_across(ChartSheet& sheet, const ChartScale& scale, const ChartAxis& axis,
                      const Box& field) {
  for (const double tick : scale.ticks()) {
    const double x = scale.at(tick);
    sheet.line("grid", x, field.top, x, field.bottom);
    const double half = label_width(tick_text(tick)) / 2;
    const double right = field.right + 12 - half;
    sheet.text("tick", std::clamp(x, half, std::max(half, right)), field.bottom + 15, TextAnchor::middle, tick_text(tick));
  }
  sheet.text("axis", (field.left + field.right) / 2, field.bottom + tick_room + 10,
             TextAnchor::middle, axis.title + (axis.is_logarithmic ? ", log scale" : ""));
}

void draw_axis_up(ChartSheet& sheet, const ChartScale& scale, const ChartAxis& axis,
                  const Box& field) {
  for (const double tick : scale.ticks()) {
    const double y = scale.at(tick);
    sheet.line("grid", field.left, y, field.right, y);
    sheet.text("tick", field.left - 6, y + 4, TextAnchor::end, tick_text(tick));
  }
  sheet.upright_text("axis", 11, (field.top + field.bottom) / 2,
                     axis.title + (axis.is_logarithmic ? ", log scale" : ""));
}

double room_for_ticks(const ChartScale& scale) {
  double room = 0;
  for (const double tick : scale.ticks())
    room = std::max(room, label_width(tick_text(tick)));
  return room + 26;
}

std::string spoken(std::string_view title, std::string_view text) {
  return std::string(title) + ". " + std::string(text);
}

template <class Chart>
std::string both_widths(const Chart& chart,
                        std::string (*draw)(const Chart& chart, ChartWidth width)) {
  return draw(chart, ChartWidth::wide) + draw(chart, ChartWidth::narrow);
}

// ---- intervals

std::vector<double> numbers_of(const IntervalChart& chart) {
  std::vector<double> numbers;
  for (const IntervalRow& row : chart.rows) {
    if (row.value) numbers.push_back(*row.value);
    if (row.interval) numbers.insert(numbers.end(), {row.interval->low, row.interval->high});
    numbers.insert(numbers.end(), row.dots.begin(), row.dots.end());
  }
  if (chart.reference) numbers.push_back(chart.reference->value);
  return numbers;
}

// Where a row's parts go: beside each other on a wide screen, the words above the line on a narrow
// one.
struct RowLayout {
  Box field;
  double step{30};
  double words_up{0};  // how far the words stand above the row's line
  double label_room{0};
  double note_left{0};
};

RowLayout layout_of(const IntervalChart& chart, ChartWidth width) {
  const double pixels = pixels_of(width);
  RowLayout layout;
  const double top = chart.reference ? 20 : 6;
  if (width == ChartWidth::narrow) {
    layout.step = 44;
    layout.words_up = 14;
    layout.field = {8, top, pixels - 12, 0};
    layout.label_room = pixels;
  } else {
    double notes = 0;
    for (const IntervalRow& row : chart.rows) {
      layout.label_room = std::max(layout.label_room, fitting(row.label, 230));
      notes = std::max(notes, fitting(row.note, 235));
    }
    layout.note_left = pixels - notes;
    layout.field = {layout.label_room + 16, top, layout.note_left - 16, 0};
  }
  layout.field.bottom = top + layout.step * static_cast<double>(chart.rows.size());
  return layout;
}

void draw_row_words(ChartSheet& sheet, const IntervalRow& row, const RowLayout& layout, double y,
                    ChartWidth width) {
  const std::string css = format("label {}", tone_class(row.tone));
  if (width == ChartWidth::wide) {
    sheet.text(css, 0, y + 4, TextAnchor::start, fitted(row.label, layout.label_room));
    sheet.text("note", layout.note_left, y + 4, TextAnchor::start, fitted(row.note, 235));
    return;
  }
  const double pixels = pixels_of(width);
  const double note = fitting(row.note, pixels / 2);
  sheet.text(css, 8, y - layout.words_up, TextAnchor::start, fitted(row.label, pixels - note - 28));
  sheet.text("note", pixels - 12, y - layout.words_up, TextAnchor::end,
             fitted(row.note, pixels / 2));
}

void draw_row(ChartSheet& sheet, const IntervalRow& row, const ChartScale& scale, double y) {
  const std::string_view tone = tone_class(row.tone);
  for (const double dot : row.dots) {
    if (scale.takes(dot)) sheet.mark(format("dot {}", tone), 0, scale.at(dot), y + 7, 2);
  }
  if (row.interval && scale.takes(row.interval->low) && scale.takes(row.interval->high)) {
    const double low = scale.at(row.interval->low);
    const double high = scale.at(row.interval->high);
    sheet.line(format("interval {}", tone), low, y, high, y);
    sheet.line(format("interval {}", tone), low, y - 4, low, y + 4);
    sheet.line(format("interval {}", tone), high, y - 4, high, y + 4);
  }
  if (row.value && scale.takes(*row.value)) {
    const std::size_t shape = row.tone == ChartTone::chosen ? 2 : 0;
    sheet.mark(format("point {}", tone), shape, scale.at(*row.value), y, 5,
               row.label + ": " + row.note);
  }
}

std::string draw(const IntervalChart& chart, ChartWidth width) {
  const RowLayout layout = layout_of(chart, width);
  const auto scale = ChartScale::over(chart.axis, numbers_of(chart), layout.field.left,
                                      layout.field.right, step_across);
  ChartSheet sheet;
  double y = layout.field.top + layout.step / 2 + layout.words_up / 2;
  for (std::size_t i = 0; i < chart.rows.size(); i += 2) {
    const double top = layout.field.top + layout.step * static_cast<double>(i);
    sheet.box("stripe", {0, top, pixels_of(width), top + layout.step});
  }
  draw_axis_across(sheet, scale, chart.axis, layout.field);
  if (chart.reference && scale.takes(chart.reference->value)) {
    const double x = scale.at(chart.reference->value);
    const double half = label_width(chart.reference->label) / 2;
    sheet.line("reference", x, layout.field.top - 4, x, layout.field.bottom);
    sheet.text("tick", std::clamp(x, half, std::max(half, pixels_of(width) - half)),
               layout.field.top - 8, TextAnchor::middle, chart.reference->label);
  }
  for (const IntervalRow& row : chart.rows) {
    draw_row_words(sheet, row, layout, y, width);
    draw_row(sheet, row, scale, y);
    y += layout.step;
  }
  return sheet.svg(width, layout.field.bottom + tick_room + title_room,
                   spoken(chart.title, chart.text));
}

// ---- scatter

// Labels beside their points, none over another, over a point, or over the edge.
class LabelPlacer {
 public:
  explicit LabelPlacer(const Box& field) : field_(field) {}

  void occupy(const Box& box) { taken_.push_back(box); }

  /// @return whether all of them found a place
  bool place(std::span<const std::string> labels, std::span<const LinePoint> points) {
    for (std::size_t i = 0; i < labels.size(); ++i) {
      if (!place_one(labels[i], points[i])) return false;
    }
    return true;
  }
  [[nodiscard]] const std::vector<Box>& boxes() const { return boxes_; }

 private:
  bool place_one(std::string_view label, const LinePoint& point) {
    const double width = label_width(label);
    for (double away = 12; away <= 60; away += 8) {
      for (const Box& box : around(point, width, away)) {
        const bool is_free = field_.holds(box) &&
                             std::none_of(taken_.begin(), taken_.end(),
                                          [&](const Box& other) { return box.overlaps(other); });
        if (!is_free) continue;
        taken_.push_back(box);
        boxes_.push_back(box);
        return true;
      }
    }
    return false;
  }

  static std::array<Box, 8> around(const LinePoint& point, double width, double away) {
    const double half = letter_height / 2 + 1;
    const auto box = [&](double left, double middle) {
      return Box{left, middle - half, left + width, middle + half};
    };
    const double right = point.x + away;
    const double left = point.x - away - width;
    const double centre = point.x - width / 2;
    const double low = point.y + away + half;
    const double high = point.y - away - half;
    return {box(right, point.y), box(left, point.y), box(centre, high), box(centre, low),
            box(right, high),    box(right, low),    box(left, high),   box(left, low)};
  }

  Box field_;
  std::vector<Box> taken_;
  std::vector<Box> boxes_;
};

struct ScatterField {
  Box field;
  ChartScale x;
  ChartScale y;
  double height{0};
};

ScatterField field_of(const ScatterChart& chart, ChartWidth width) {
  std::vector<double> across;
  std::vector<double> up;
  for (const ScatterPoint& point : chart.points) {
    across.push_back(point.x);
    up.push_back(point.y);
    if (point.x_interval)
      across.insert(across.end(), {point.x_interval->low, point.x_interval->high});
    if (point.y_interval) up.insert(up.end(), {point.y_interval->low, point.y_interval->high});
  }
  ScatterField result;
  result.height = width == ChartWidth::wide ? 420 : 360;
  result.field = {0, 10, pixels_of(width) - 14, result.height - tick_room - title_room};
  result.y = ChartScale::over(chart.y, up, result.field.bottom, result.field.top, step_down);
  result.field.left = room_for_ticks(result.y);
  result.x = ChartScale::over(chart.x, across, result.field.left, result.field.right, step_across);
  return result;
}

// The points that have a place, those first whose label matters most.
std::vector<std::size_t> order_of(const ScatterChart& chart, const ScatterField& on) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < chart.points.size(); ++i) {
    if (on.x.takes(chart.points[i].x) && on.y.takes(chart.points[i].y)) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return (chart.points[a].tone == ChartTone::chosen) >
           (chart.points[b].tone == ChartTone::chosen);
  });
  return order;
}

// A point that got no label on the drawing has a number there and its label in the key.
struct ScatterLabels {
  std::vector<std::string> texts;
  std::vector<Box> boxes;
  bool is_key{false};
};

ScatterLabels labels_of(const ScatterChart& chart, const ScatterField& on,
                        std::span<const std::size_t> order) {
  std::vector<LinePoint> places;
  for (const std::size_t i : order)
    places.push_back({on.x.at(chart.points[i].x), on.y.at(chart.points[i].y)});
  for (const bool is_key : {false, true}) {
    ScatterLabels labels{{}, {}, is_key};
    for (const std::size_t i : order)
      labels.texts.push_back(is_key ? std::to_string(i + 1) : shortened(chart.points[i].label, 34));
    LabelPlacer placer(on.field);
    for (std::size_t i = 0; i < places.size(); ++i) {
      const double room = chart.points[order[i]].tone == ChartTone::chosen ? 11 : 6;
      placer.occupy({places[i].x - room, places[i].y - room, places[i].x + room, places[i].y + room});
    }
    const bool fits = placer.place(labels.texts, places);
    labels.boxes = placer.boxes();
    if (fits || is_key) return labels;
  }
  return {};
}

void draw_point(ChartSheet& sheet, const ScatterPoint& point, const ScatterField& on) {
  const double x = on.x.at(point.x);
  const double y = on.y.at(point.y);
  const std::string css = point.tone == ChartTone::plain
                              ? series_class(point.series)
                              : format("{} {}", series_class(point.series), tone_class(point.tone));
  if (point.x_interval && on.x.takes(point.x_interval->low) && on.x.takes(point.x_interval->high))
    sheet.line("whisker " + css, on.x.at(point.x_interval->low), y, on.x.at(point.x_interval->high),
               y);
  if (point.y_interval && on.y.takes(point.y_interval->low) && on.y.takes(point.y_interval->high))
    sheet.line("whisker " + css, x, on.y.at(point.y_interval->low), x,
               on.y.at(point.y_interval->high));
  if (point.tone == ChartTone::chosen) sheet.mark("halo", 0, x, y, 10);
  sheet.mark("point fill " + css, point.series, x, y, 5.5,
             format("{}: {}, {}", point.label, tick_text(point.x), tick_text(point.y)));
}

void draw_label(ChartSheet& sheet, const std::string& text, const Box& box, double x, double y,
                ChartTone tone) {
  const double near_x = std::clamp(x, box.left, box.right);
  const double near_y = std::clamp(y, box.top, box.bottom);
  if (std::hypot(near_x - x, near_y - y) > 14) sheet.line("leader", x, y, near_x, near_y);
  sheet.text(format("label {}", tone_class(tone)), box.left, box.bottom - 4, TextAnchor::start,
             text);
}

void draw_front(ChartSheet& sheet, const ScatterChart& chart, const ScatterField& on) {
  std::vector<LinePoint> steps;
  for (const std::size_t place : chart.front) {
    if (place >= chart.points.size()) continue;
    const ScatterPoint& point = chart.points[place];
    if (!on.x.takes(point.x) || !on.y.takes(point.y)) continue;
    const LinePoint at{on.x.at(point.x), on.y.at(point.y)};
    if (!steps.empty()) steps.push_back({at.x, steps.back().y});
    steps.push_back(at);
  }
  if (steps.size() > 1) sheet.path("front", steps);
}

std::string key_of(const ScatterChart& chart, ChartWidth width) {
  std::string key = format("<ol class=\"key {}\">", width == ChartWidth::wide ? "wide" : "narrow");
  for (const ScatterPoint& point : chart.points)
    key += "<li>" + escaped(point.label) + "</li>";
  return key + "</ol>\n";
}

std::string draw(const ScatterChart& chart, ChartWidth width) {
  const ScatterField on = field_of(chart, width);
  const auto order = order_of(chart, on);
  const ScatterLabels labels = labels_of(chart, on, order);
  ChartSheet sheet;
  draw_axis_across(sheet, on.x, chart.x, on.field);
  draw_axis_up(sheet, on.y, chart.y, on.field);
  draw_front(sheet, chart, on);
  for (auto i = order.rbegin(); i != order.rend(); ++i)
    draw_point(sheet, chart.points[*i], on);
  for (std::size_t i = 0; i < labels.boxes.size(); ++i) {
    const ScatterPoint& point = chart.points[order[i]];
    draw_label(sheet, labels.texts[i], labels.boxes[i], on.x.at(point.x), on.y.at(point.y),
               point.tone);
  }
  return sheet.svg(width, on.height, spoken(chart.title, chart.text)) +
         (labels.is_key ? key_of(chart, width) : "");
}

// ---- lines

std::string draw(const LineChart& chart, ChartWidth width) {
  std::vector<double> across;
  std::vector<double> up;
  for (const LineSeries& series : chart.series) {
    for (const LinePoint& point : series.points) {
      across.push_back(point.x);
      up.push_back(point.y);
    }
  }
  for (const LineBand& band : chart.bands)
    across.insert(across.end(), {band.from, band.to});
  const double height = width == ChartWidth::wide ? 320 : 280;
  Box field{0, chart.bands.empty() ? 10.0 : 24.0, pixels_of(width) - 14,
            height - tick_room - title_room};
  const auto y = ChartScale::over(chart.y, up, field.bottom, field.top, step_down);
  field.left = room_for_ticks(y);
  const auto x = ChartScale::over(chart.x, across, field.left, field.right, step_across);

  ChartSheet sheet;
  bool is_shaded = true;
  for (const LineBand& band : chart.bands) {
    if (!x.takes(band.from) || !x.takes(band.to)) continue;
    const Box box{x.at(band.from), field.top, x.at(band.to), field.bottom};
    if (is_shaded) sheet.box("band", box, band.label);
    is_shaded = !is_shaded;
    const double room = box.right - box.left - 4;
    if (room > 30)
      sheet.text("tick", (box.left + box.right) / 2, field.top - 8, TextAnchor::middle,
                 fitted(band.label, room));
  }
  draw_axis_across(sheet, x, chart.x, field);
  draw_axis_up(sheet, y, chart.y, field);
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const LineSeries& series = chart.series[i];
    std::vector<LinePoint> places;
    for (const LinePoint& point : series.points) {
      if (x.takes(point.x) && y.takes(point.y)) places.push_back({x.at(point.x), y.at(point.y)});
    }
    const std::string css = format("{} {}", series_class(i), tone_class(series.tone));
    sheet.path("series " + css, places);
    if (!series.has_marks) continue;
    for (const LinePoint& at : places)
      sheet.mark("point fill " + css, i, at.x, at.y, 3, series.label);
  }
  return sheet.svg(width, height, spoken(chart.title, chart.text));
}

// ---- bars

std::vector<double> numbers_of(const BarChart& chart) {
  std::vector<double> numbers;
  for (const BarGroup& group : chart.groups) {
    for (const auto& bar : group.bars) {
      if (!bar) continue;
      numbers.push_back(bar->value);
      if (bar->whisker) numbers.insert(numbers.end(), {bar->whisker->low, bar->whisker->high});
    }
  }
  return numbers;
}

void draw_bar(ChartSheet& sheet, const Bar& bar, const ChartScale& scale, const Box& room,
              std::size_t series, const std::string& tip) {
  const std::string note = bar.note.empty() ? tick_text(bar.value) : bar.note;
  if (!scale.takes(bar.value)) return;
  const double start = scale.takes(0) ? scale.at(0) : scale.at(scale.low());
  const double end = scale.at(bar.value);
  const double middle = (room.top + room.bottom) / 2;
  sheet.box("fill bar " + series_class(series),
            {std::min(start, end), room.top, std::max(start, end), room.bottom}, tip + ": " + note);
  double note_left = std::max(start, end) + 6;
  if (bar.whisker && scale.takes(bar.whisker->low) && scale.takes(bar.whisker->high)) {
    const double low = scale.at(bar.whisker->low);
    const double high = scale.at(bar.whisker->high);
    sheet.line("error", low, middle, high, middle);
    sheet.line("error", low, middle - 3, low, middle + 3);
    sheet.line("error", high, middle - 3, high, middle + 3);
    note_left = std::max(note_left, high + 6);
  }
  sheet.text("note", note_left, middle + 4, TextAnchor::start, note);
}

std::string draw(const BarChart& chart, ChartWidth width) {
  const double pixels = pixels_of(width);
  const double bar_step = 17;
  const double words = width == ChartWidth::narrow ? 20 : 0;  // the group's label, above its bars
  double label_room = 0;
  double note_room = 0;
  for (const BarGroup& group : chart.groups) {
    if (width == ChartWidth::wide)
      label_room = std::max(label_room, fitting(group.label, 230) + 14);
    for (const auto& bar : group.bars)
      if (bar)
        note_room = std::max(
            note_room, fitting(bar->note.empty() ? tick_text(bar->value) : bar->note, 160) + 8);
  }
  const double group_step =
      words + bar_step * static_cast<double>(std::max<std::size_t>(1, chart.series.size())) + 12;
  Box field{std::max(label_room, 8.0), 6, pixels - std::max(note_room, 12.0),
            6 + group_step * static_cast<double>(chart.groups.size())};
  ChartAxis axis = chart.axis;
  axis.from_zero = true;
  const auto scale =
      ChartScale::over(axis, numbers_of(chart), field.left, field.right, step_across);

  ChartSheet sheet;
  draw_axis_across(sheet, scale, axis, field);
  double top = field.top;
  for (const BarGroup& group : chart.groups) {
    if (width == ChartWidth::wide) {
      sheet.text("label plain", 0, top + group_step / 2 + 4, TextAnchor::start,
                 fitted(group.label, label_room - 14));
    } else {
      sheet.text("label plain", field.left, top + 14, TextAnchor::start,
                 fitted(group.label, pixels - 16));
    }
    const std::size_t bars = std::min(group.bars.size(), chart.series.size());
    for (std::size_t i = 0; i < bars; ++i) {
      const double bar_top = top + words + 6 + bar_step * static_cast<double>(i);
      if (group.bars[i])
        draw_bar(sheet, *group.bars[i], scale,
                 {field.left, bar_top, field.right, bar_top + bar_step - 4}, i,
                 group.label + ", " + chart.series[i]);
    }
    top += group_step;
  }
  return sheet.svg(width, field.bottom + tick_room + title_room, spoken(chart.title, chart.text));
}

std::vector<LegendEntry> entries_of(std::span<const std::string> labels) {
  std::vector<LegendEntry> entries;
  for (std::size_t i = 0; i < labels.size(); ++i)
    entries.push_back({i, labels[i], false});
  return entries;
}

}  // namespace

std::string figure_of(const IntervalChart& chart) {
  return figure_around(chart.title, chart.text, both_widths<IntervalChart>(chart, draw));
}

std::string figure_of(const ScatterChart& chart) {
  return figure_around(
      chart.title, chart.text,
      legend_of(entries_of(chart.series)) + both_widths<ScatterChart>(chart, draw));
}

std::string figure_of(const LineChart& chart) {
  std::vector<LegendEntry> entries;
  for (std::size_t i = 0; i < chart.series.size(); ++i)
    entries.push_back({i, chart.series[i].label, true});
  return figure_around(chart.title, chart.text,
                       legend_of(entries) + both_widths<LineChart>(chart, draw));
}

std::string figure_of(const BarChart& chart) {
  const auto entries =
      chart.series.size() > 1 ? entries_of(chart.series) : std::vector<LegendEntry>{};
  return figure_around(chart.title, chart.text,
                       legend_of(entries) + both_widths<BarChart>(chart, draw));
}

std::string_view chart_style() {
  return R"css(
:root {
  color-scheme: light dark;
  --ground: #ffffff; --raised: #f6f7f9; --ink: #16202c; --soft: #566473; --grid: #e2e6eb; --edge: #cfd6de;
  --good: #00785a; --bad: #b3261e; --halo: #0072b233;
  --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #aa4499; --c4: #b07c00; --c5: #3a9fd4; --c6: #7a5230; --c7: #5b6770;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12171d; --raised: #1b222b; --ink: #e8edf3; --soft: #9eacba; --grid: #2a333e; --edge: #3a4653;
    --good: #3ddbac; --bad: #ff8a80; --halo: #56b4e944;
    --c0: #56b4e9; --c1: #ff9248; --c2: #3ddbac; --c3: #e69fd0; --c4: #f2c14e; --c5: #a7d8f5; --c6: #cfa683; --c7: #b3bec8;
  }
}
figure { margin: 1.6rem 0; }
figcaption { color: var(--soft); margin-bottom: .6rem; }
figcaption strong { color: var(--ink); display: block; font-size: 1.05rem; }
.drawing { display: block; width: 100%; height: auto; font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
.drawing.wide { max-width: 60rem; }
.drawing.narrow, .key.narrow { display: none; }
@media (max-width: 640px) {
  .drawing.wide, .key.wide { display: none; }
  .drawing.narrow { display: block; max-width: 480px; }
  .key.narrow { display: block; }
}
.drawing text { fill: var(--ink); }
.drawing .tick, .drawing .axis, .drawing .note { fill: var(--soft); }
.drawing .tick, .drawing .note { font-variant-numeric: tabular-nums; }
.drawing .grid { stroke: var(--grid); stroke-width: 1; }
.drawing .stripe { fill: var(--raised); }
.drawing .band { fill: var(--raised); }
.drawing .reference { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 4 3; }
.drawing .leader { stroke: var(--soft); stroke-width: .75; }
.drawing .front { fill: none; stroke: var(--good); stroke-width: 2; stroke-dasharray: 6 4; }
.drawing .halo { fill: var(--halo); stroke: var(--c0); stroke-width: 1.5; }
.drawing .label.chosen { font-weight: 700; }
.drawing .label.muted { fill: var(--soft); }
.drawing .label.bad { fill: var(--bad); }
.drawing .interval { stroke: var(--c0); stroke-width: 2; }
.drawing .interval.chosen { stroke: var(--good); stroke-width: 2.5; }
.drawing .interval.muted { stroke: var(--c7); }
.drawing .interval.bad { stroke: var(--bad); }
.drawing .point { fill: var(--c0); stroke: var(--ground); stroke-width: 1; vector-effect: non-scaling-stroke; }
.drawing .point.chosen { fill: var(--good); }
.drawing .point.muted { fill: var(--c7); }
.drawing .point.bad { fill: var(--bad); }
.drawing .dot { fill: var(--c0); opacity: .45; }
.drawing .dot.chosen { fill: var(--good); }
.drawing .dot.muted { fill: var(--c7); }
.drawing .dot.bad { fill: var(--bad); }
.drawing .whisker { stroke-width: 1.5; opacity: .55; }
.drawing .error { stroke: var(--ink); stroke-width: 1.2; }
.series { fill: none; stroke-width: 2; stroke-linejoin: round; }
.series.muted { opacity: .7; stroke-width: 1.5; }
.fill.s0 { fill: var(--c0); } .fill.s1 { fill: var(--c1); } .fill.s2 { fill: var(--c2); } .fill.s3 { fill: var(--c3); }
.fill.s4 { fill: var(--c4); } .fill.s5 { fill: var(--c5); } .fill.s6 { fill: var(--c6); } .fill.s7 { fill: var(--c7); }
.series.s0, .whisker.s0 { stroke: var(--c0); } .series.s1, .whisker.s1 { stroke: var(--c1); }
.series.s2, .whisker.s2 { stroke: var(--c2); } .series.s3, .whisker.s3 { stroke: var(--c3); }
.series.s4, .whisker.s4 { stroke: var(--c4); } .series.s5, .whisker.s5 { stroke: var(--c5); }
.series.s6, .whisker.s6 { stroke: var(--c6); } .series.s7, .whisker.s7 { stroke: var(--c7); }
.series.d1 { stroke-dasharray: 7 3; } .series.d2 { stroke-dasharray: 2 3; } .series.d3 { stroke-dasharray: 9 3 2 3; } .series.d4 { stroke-dasharray: 12 4; }
.legend { list-style: none; margin: 0 0 .5rem; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; font-size: .9rem; }
.legend .swatch { height: 12px; width: auto; margin-right: .4rem; vertical-align: -1px; }
.key { font-size: .9rem; margin: .4rem 0; padding-left: 2rem; columns: 18rem; }
)css";
}

}  // namespace lt::tuner

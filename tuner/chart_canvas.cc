#include "tuner/chart_canvas.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/format.h"
#include "tuner/markup.h"

namespace lt::tuner {

namespace {

constexpr std::size_t colours = 8;
constexpr std::size_t dashes = 5;
constexpr double ticks_max = 12;
constexpr double largest_shown = 1e15;  // beyond it a scale cannot step by whole ticks in a double

std::string place(double value) {
  // No "-0.0": the same drawing, the same bytes.
  const double rounded = std::round(value * 10) / 10;
  return format("{:g}", rounded == 0 ? 0 : rounded);
}

// 1, 2 or 5 times a power of ten, not below `value`. @pre value > 0
double round_step(double value) {
  const double power = std::pow(10, std::floor(std::log10(value)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (power * factor >= value * (1 - 1e-9)) return power * factor;
  }
  return power * 10;
}

struct Span {
  double low{0};
  double high{0};
};

std::vector<double> linear_ticks(Span& span, double count) {
  if (span.high - span.low <= 0) {
    const double room = std::max(std::abs(span.high) * 0.1, 1e-6);
    span = {span.low - room, span.high + room};
  }
  const double step = round_step((span.high - span.low) / count);
  span.low = std::floor(span.low / step + 1e-9) * step;
  span.high = std::ceil(span.high / step - 1e-9) * step;
  std::vector<double> ticks;
  const auto steps = static_cast<int>(std::lround((span.high - span.low) / step));
  for (int i = 0; i <= steps; ++i)
    ticks.push_back(span.low + i * step);
  return ticks;
}

std::vector<double> logarithmic_ticks(Span& span, double count) {
  const double decades = std::log10(span.high / span.low);
  const bool is_fine = decades * 3 <= count;
  const int first = static_cast<int>(std::floor(std::log10(span.low) + 1e-9));
  const int last = static_cast<int>(std::ceil(std::log10(span.high) - 1e-9));
  const int stride = std::max(1, static_cast<int>(std::ceil((last - first) / count)));
  std::vector<double> all;
  for (int decade = first; decade <= last; decade += stride) {
    const double power = std::pow(10, decade);
    all.push_back(power);
    if (is_fine && decade < last) all.insert(all.end(), {2 * power, 5 * power});
  }
  // From the last tick not above the lowest value to the first not below the highest.
  while (all.size() > 2 && all[1] <= span.low)
    all.erase(all.begin());
  while (all.size() > 2 && all[all.size() - 2] >= span.high)
    all.pop_back();
  span = {std::min(all.front(), span.low), std::max(all.back(), span.high)};
  if (span.high <= span.low) span.high = span.low * 10;
  return all;
}

}  // namespace

double label_width(std::string_view text) {
  return text_width_em(text) * letter_height;
}

double pixels_of(ChartWidth width) {
  return width == ChartWidth::wide ? 760 : 340;
}

ChartScale ChartScale::over(const ChartAxis& axis, std::span<const double> values, double from,
                            double to, double step) {
  ChartScale scale;
  scale.is_logarithmic_ = axis.is_logarithmic;
  scale.from_ = from;
  scale.to_ = to;
  Span span{axis.is_logarithmic ? 1.0 : 0.0, 1};
  bool is_first = true;
  for (const double value : values) {
    if (!scale.takes(value)) continue;
    span =
        is_first ? Span{value, value} : Span{std::min(span.low, value), std::max(span.high, value)};
    is_first = false;
  }
  if (axis.from_zero && !axis.is_logarithmic)
    span = {std::min(span.low, 0.0), std::max(span.high, 0.0)};
  const double count = std::clamp(std::abs(to - from) / step, 2.0, ticks_max);
  scale.ticks_ = axis.is_logarithmic ? logarithmic_ticks(span, count) : linear_ticks(span, count);
  scale.low_ = span.low;
  scale.high_ = span.high;
  return scale;
}

bool ChartScale::takes(double value) const {
  if (!std::isfinite(value) || std::abs(value) > largest_shown) return false;
  return !is_logarithmic_ || value > 1 / largest_shown;
}

double ChartScale::at(double value) const {
  const double share = is_logarithmic_ ? std::log(value / low_) / std::log(high_ / low_)
                                       : (value - low_) / (high_ - low_);
  return from_ + std::clamp(share, 0.0, 1.0) * (to_ - from_);
}

std::string tick_text(double value) {
  const double size = std::abs(value);
  if (size < 1e-12) return "0";
  if (size >= 1e9) return format("{:.4g}G", value / 1e9);
  if (size >= 1e6) return format("{:.4g}M", value / 1e6);
  if (size >= 1e5) return format("{:.4g}k", value / 1e3);
  if (size >= 1000) return format("{:.0f}", value);
  return format("{:.4g}", value);
}

void ChartSheet::line(std::string_view css, double x1, double y1, double x2, double y2) {
  body_ += format("<line class=\"{}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>", css, place(x1),
                  place(y1), place(x2), place(y2));
}

void ChartSheet::box(std::string_view css, const Box& box, std::string_view tip) {
  body_ += format("<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"", css,
                  place(box.left), place(box.top), place(std::max(0.0, box.right - box.left)),
                  place(std::max(0.0, box.bottom - box.top)));
  body_ += tip.empty() ? "/>" : "><title>" + escaped(tip) + "</title></rect>";
}

void ChartSheet::path(std::string_view css, std::span<const LinePoint> points) {
  if (points.empty()) return;
  body_ += format("<path class=\"{}\" d=\"", css);
  char letter = 'M';
  for (const LinePoint& point : points) {
    body_ += format("{}{} {}", letter, place(point.x), place(point.y));
    letter = 'L';
  }
  body_ += "\"/>";
}

void ChartSheet::text(std::string_view css, double x, double y, TextAnchor anchor,
                      std::string_view text) {
  constexpr std::array<std::string_view, 3> anchors{"start", "middle", "end"};
  body_ += format("<text class=\"{}\" x=\"{}\" y=\"{}\" text-anchor=\"{}\">{}</text>", css,
                  place(x), place(y), anchors[static_cast<std::size_t>(anchor)], escaped(text));
}

void ChartSheet::upright_text(std::string_view css, double x, double y, std::string_view text) {
  body_ += format(
      "<text class=\"{}\" transform=\"translate({} {}) rotate(-90)\" "
      "text-anchor=\"middle\">{}</text>",
      css, place(x), place(y), escaped(text));
}

void ChartSheet::mark(std::string_view css, std::size_t series, double x, double y, double radius,
                      std::string_view tip) {
  const double r = radius;
  std::string shape;
  switch (series % 6) {
    case 0:
      shape = format("<circle class=\"{}\" cx=\"{}\" cy=\"{}\" r=\"{}\"", css, place(x), place(y),
                     place(r));
      break;
    case 1:
      shape = format("<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"", css,
                     place(x - 0.9 * r), place(y - 0.9 * r), place(1.8 * r), place(1.8 * r));
      break;
    default: {
      // Corners, as shares of the radius.
      static constexpr std::array<std::string_view, 4> corners{
          "0 -1.25 1.25 0 0 1.25 -1.25 0",  // diamond
          "0 -1.2 1.15 0.9 -1.15 0.9",      // triangle
          "0 1.2 1.15 -0.9 -1.15 -0.9",     // hanging triangle
          "-1.2 -0.4 -0.4 -0.4 -0.4 -1.2 0.4 -1.2 0.4 -0.4 1.2 -0.4 1.2 0.4 0.4 0.4 0.4 1.2 -0.4 "
          "1.2 -0.4 0.4 -1.2 0.4",  // cross
      };
      shape = format("<polygon class=\"{}\" transform=\"translate({} {}) scale({})\" points=\"{}\"",
                     css, place(x), place(y), place(r), corners[series % 6 - 2]);
    }
  }
  body_ += shape + (tip.empty() ? "/>"
                                : "><title>" + escaped(tip) + "</title></" +
                                      shape.substr(1, shape.find(' ') - 1) + ">");
}

std::string ChartSheet::svg(ChartWidth width, double height, std::string_view what) const {
  return format(
      "<svg class=\"drawing {}\" role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {} {}\">{}</svg>\n",
      width == ChartWidth::wide ? "wide" : "narrow", escaped(what), place(pixels_of(width)),
      place(height), body_);
}

std::string series_class(std::size_t series) {
  return format("s{} d{}", series % colours, series % dashes);
}

std::string_view tone_class(ChartTone tone) {
  switch (tone) {
    case ChartTone::plain:
      return "plain";
    case ChartTone::chosen:
      return "chosen";
    case ChartTone::muted:
      return "muted";
    case ChartTone::bad:
      return "bad";
  }
  return {};
}

std::string legend_of(std::span<const LegendEntry> entries) {
  if (entries.empty()) return {};
  std::string list = "<ul class=\"legend\">";
  for (const LegendEntry& entry : entries) {
    ChartSheet swatch;
    const std::string css = series_class(entry.series);
    if (entry.is_line) {
      list += format(
          "<li><svg class=\"swatch\" aria-hidden=\"true\" viewBox=\"0 0 26 12\">"
          "<line class=\"series {}\" x1=\"1\" y1=\"6\" x2=\"25\" y2=\"6\"/></svg>",
          css);
    } else {
      list += format(
          "<li><svg class=\"swatch\" aria-hidden=\"true\" viewBox=\"0 0 14 12\">"
          "<rect class=\"fill {}\" x=\"1\" y=\"1\" width=\"11\" height=\"10\" rx=\"2\"/></svg>",
          css);
    }
    list += escaped(entry.label) + "</li>";
  }
  return list + "</ul>\n";
}

std::string figure_around(std::string_view title, std::string_view text, const std::string& drawn) {
  return "<figure>\n<figcaption><strong>" + escaped(title) + "</strong> " + escaped(text) +
         "</figcaption>\n" + drawn + "</figure>\n";
}

}  // namespace lt::tuner

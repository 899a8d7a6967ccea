// What all charts are drawn with: a sheet that collects SVG text, a scale from values to places on
// it, and the words that stand around a drawing.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tuner/chart.h"

namespace lt::tuner {

inline constexpr double letter_height = 12;  // of all text in a drawing (unit: px)

/// The width of a label in a drawing. (unit: px)
[[nodiscard]] double label_width(std::string_view text);

enum class ChartWidth : std::uint8_t { wide, narrow };
/// (unit: px)
[[nodiscard]] double pixels_of(ChartWidth width);

struct Box {
  double left{0};
  double top{0};
  double right{0};
  double bottom{0};

  [[nodiscard]] bool overlaps(const Box& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
  [[nodiscard]] bool holds(const Box& other) const {
    return left <= other.left && other.right <= right && top <= other.top && other.bottom <= bottom;
  }
};

/// From values to places: linear or logarithmic, its ends at round numbers.
class ChartScale {
 public:
  /// @param values   what has to be on it; those that cannot be are left out
  /// @param from,to  the places of its ends (unit: px); `to` may be the smaller one
  /// @param step     about how far ticks should stand from each other (unit: px)
  [[nodiscard]] static ChartScale over(const ChartAxis& axis, std::span<const double> values,
                                       double from, double to, double step);

  /// Whether a value has a place: finite, and positive where the scale is logarithmic.
  [[nodiscard]] bool takes(double value) const;
  /// @pre takes(value). Values beyond its ends are put at the end.
  [[nodiscard]] double at(double value) const;
  [[nodiscard]] const std::vector<double>& ticks() const { return ticks_; }
  [[nodiscard]] double low() const { return low_; }

 private:
  bool is_logarithmic_{false};
  double low_{0};
  double high_{1};
  double from_{0};
  double to_{1};
  std::vector<double> ticks_;
};

/// A number as it stands at a tick: short, no more digits than the eye wants.
[[nodiscard]] std::string tick_text(double value);

enum class TextAnchor : std::uint8_t { start, middle, end };

/// Collects the elements of one drawing. Classes are ours, texts are escaped here.
class ChartSheet {
 public:
  void line(std::string_view css, double x1, double y1, double x2, double y2);
  void box(std::string_view css, const Box& box, std::string_view tip = {});
  void path(std::string_view css, std::span<const LinePoint> points);
  void text(std::string_view css, double x, double y, TextAnchor anchor, std::string_view text);
  void upright_text(std::string_view css, double x, double y, std::string_view text);
  /// The mark of a series (circle, square, diamond, ...) of about `radius` px.
  void mark(std::string_view css, std::size_t series, double x, double y, double radius,
            std::string_view tip = {});

  /// The whole <svg>. `what` is what it shows, for those who do not see it.
  [[nodiscard]] std::string svg(ChartWidth width, double height, std::string_view what) const;

 private:
  std::string body_;
};

/// "s0".."s7" for colour and "d0".."d4" for dash: 40 series before a pair repeats.
[[nodiscard]] std::string series_class(std::size_t series);
[[nodiscard]] std::string_view tone_class(ChartTone tone);

struct LegendEntry {
  std::size_t series{0};
  std::string label;
  bool is_line{false};
};
/// A list that wraps; empty for no entries.
[[nodiscard]] std::string legend_of(std::span<const LegendEntry> entries);

/// <figure> round title, text and what is drawn.
[[nodiscard]] std::string figure_around(std::string_view title, std::string_view text,
                                        const std::string& drawn);

}  // namespace lt::tuner

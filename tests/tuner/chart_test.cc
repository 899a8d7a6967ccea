// Charts: every text escaped, nothing overlaps, nothing that is no number, the same bytes each
// time.
#include "tuner/chart.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <regex>

#include "base/format.h"
#include "tuner/chart_canvas.h"
#include "tuner/markup.h"
#include "tuner/random.h"

using namespace lt;
using namespace lt::tuner;

namespace {

constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();
constexpr double infinite = std::numeric_limits<double>::infinity();
const std::string hostile = "</title><script>alert(1)</script>\" onload='x' & \xE2\x80\xAE";

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// What is in an attribute or between tags, never a tag of its own; all numbers are numbers.
void check_sound(const std::string& figure) {
  CHECK_FALSE(has(figure, "<script"));
  CHECK_FALSE(has(figure, "onload='"));
  CHECK_FALSE(has(figure, "\xE2\x80\xAE"));
  CHECK_FALSE(has(figure, "nan"));
  CHECK_FALSE(has(figure, "inf\""));
  CHECK_FALSE(has(figure, "=\"-0\""));
  // As many tags open as close.
  std::vector<std::string> open;
  const std::regex tag("<(/?)([a-z]+)([^>]*?)(/?)>");
  for (std::sregex_iterator i(figure.begin(), figure.end(), tag), end; i != end; ++i) {
    if ((*i)[4].length() > 0) continue;
    if ((*i)[1].length() == 0) {
      open.push_back((*i)[2]);
    } else {
      REQUIRE_FALSE(open.empty());
      CHECK(open.back() == (*i)[2]);
      open.pop_back();
    }
  }
  CHECK(open.empty());
}

IntervalChart some_intervals() {
  return {.title = "Goodput",
          .text = "Higher is better.",
          .axis = {.title = "Mbit/s"},
          .rows = {{"native",
                    "912 (905\u2013920)",
                    912.0,
                    Interval{905, 920},
                    {910, 911, 915},
                    ChartTone::chosen},
                   {"openvpn", "210", 210.0, Interval{190, 230}, {}, ChartTone::plain}},
          .reference = ChartReference{941, "the line's bound"}};
}

ScatterChart crowded(std::size_t points) {
  ScatterChart chart{.title = "Goodput and latency",
                     .text = "",
                     .x = {.title = "ms", .is_logarithmic = true},
                     .y = {.title = "Mbit/s"}};
  Random random(5);
  for (std::size_t i = 0; i < points; ++i)
    chart.points.push_back({.label = format("native mtu={} lanes={}", 1000 + i, i),
                            .x = 10 + 5 * random.unit(),
                            .y = 900 + 20 * random.unit()});
  return chart;
}

// The labels of one drawing, as boxes of their estimated width.
std::vector<Box> label_boxes(const std::string& svg) {
  std::vector<Box> boxes;
  const std::regex label(
      "<text class=\"label [a-z]+\" x=\"([0-9.-]+)\" y=\"([0-9.-]+)\" "
      "text-anchor=\"start\">([^<]*)</text>");
  for (std::sregex_iterator i(svg.begin(), svg.end(), label), end; i != end; ++i) {
    const double x = std::stod((*i)[1]);
    const double y = std::stod((*i)[2]);
    boxes.push_back({x, y - letter_height + 2, x + label_width((*i)[3].str()), y + 2});
  }
  return boxes;
}

std::string drawing(const std::string& figure, const std::string& width) {
  const auto start = figure.find("<svg class=\"drawing " + width);
  return figure.substr(start, figure.find("</svg>", start) - start);
}

}  // namespace

TEST_CASE("text becomes markup never", "[tuner][chart]") {
  CHECK(escaped("a<b>&\"'") == "a&lt;b&gt;&amp;&quot;&#39;");
  CHECK(escaped("gr\xC3\xBC\xC3\x9F") == "gr\xC3\xBC\xC3\x9F");
  CHECK(escaped(std::string_view("\0\x07\x1b[31m", 7)) == "\uFFFD\uFFFD\uFFFD[31m");
  CHECK(escaped("\xE2\x80\xAE") == "\uFFFD");  // turns the direction of writing
  CHECK(escaped("\u00A0\n\t") == "\u00A0\n\t");
}

TEST_CASE("bytes that are not UTF-8 become one mark each", "[tuner][chart]") {
  const std::string mark = "\uFFFD";
  CHECK(escaped("\xFF"
                "a") == mark + "a");
  CHECK(escaped("\xC0\xAF") == mark + mark);  // an overlong slash
  CHECK(escaped("\xE0\x80\xAF") == mark + mark + mark);
  CHECK(escaped("\xED\xA0\x80") == mark + mark + mark);  // half of a surrogate pair
  CHECK(escaped("\xF4\x90\x80\x80") == mark + mark + mark + mark);
  const std::string whole = "\U0001F600";
  for (std::size_t cut = 1; cut < whole.size(); ++cut) {
    const std::string text = escaped(whole.substr(0, cut));
    CHECK(text.size() == cut * mark.size());
  }
  CHECK(escaped(whole) == whole);
}

TEST_CASE("a shortened text keeps whole letters and says that it was cut", "[tuner][chart]") {
  CHECK(shortened("abc", 3) == "abc");
  CHECK(shortened("abcd", 3) == "ab\u2026");
  CHECK(shortened("\u00FC\u00FC\u00FC", 2) == "\u00FC\u2026");
  CHECK(shortened("", 3).empty());
}

TEST_CASE("a chart with hostile texts is sound markup", "[tuner][chart]") {
  const std::vector<std::string> figures{
      figure_of(IntervalChart{hostile,
                              hostile,
                              {hostile},
                              {{hostile, hostile, 1.0, Interval{0, 2}, {1}, ChartTone::bad}},
                              ChartReference{1, hostile}}),
      figure_of(ScatterChart{hostile,
                             hostile,
                             {hostile},
                             {hostile},
                             {{.label = hostile, .x = 1, .y = 2, .x_interval = Interval{0, 3}}},
                             {hostile},
                             {0},
                             hostile}),
      figure_of(LineChart{hostile,
                          hostile,
                          {hostile},
                          {hostile},
                          {{hostile, {{0, 1}, {1, 2}}, true, ChartTone::plain}},
                          {{0, 1, hostile}}}),
      figure_of(BarChart{hostile,
                         hostile,
                         {hostile},
                         {hostile, hostile},
                         {{hostile, {Bar{3, Interval{2, 4}, hostile}, std::nullopt}}}})};
  for (const std::string& figure : figures) {
    CAPTURE(figure);
    check_sound(figure);
    CHECK(has(figure, "&lt;script&gt;"));
  }
}

TEST_CASE("numbers that no sheet has a place for are left out", "[tuner][chart]") {
  for (const double odd : {nan_value, infinite, -infinite, 1e300, -1e300}) {
    for (const bool is_logarithmic : {false, true}) {
      const ChartAxis axis{.title = "x", .is_logarithmic = is_logarithmic};
      CAPTURE(odd, is_logarithmic);
      check_sound(figure_of(IntervalChart{
          "t",
          "",
          axis,
          {{"a", "", odd, Interval{odd, odd}, {odd}}, {"b", "", 5.0, Interval{4, odd}}},
          ChartReference{odd, "r"}}));
      check_sound(figure_of(
          ScatterChart{.title = "t",
                       .x = axis,
                       .y = axis,
                       .points = {{.label = "a", .x = odd, .y = 1},
                                  {.label = "b", .x = 1, .y = 2, .y_interval = Interval{odd, 3}}},
                       .front = {0, 1, 7}}));
      check_sound(figure_of(LineChart{.title = "t",
                                      .x = axis,
                                      .y = axis,
                                      .series = {{"a", {{1, odd}, {odd, 2}, {3, 4}}}},
                                      .bands = {{odd, 4, "b"}}}));
      check_sound(figure_of(BarChart{.title = "t",
                                     .axis = axis,
                                     .series = {"s"},
                                     .groups = {{"g", {Bar{odd, Interval{1, odd}, {}}}}}}));
    }
  }
}

TEST_CASE("a chart of nothing, of one number and of equal numbers is drawn", "[tuner][chart]") {
  check_sound(figure_of(IntervalChart{}));
  check_sound(figure_of(ScatterChart{}));
  check_sound(figure_of(LineChart{}));
  check_sound(figure_of(BarChart{}));
  for (const double value : {0.0, 1.0, -3.0, 1e-9, 1e12}) {
    CAPTURE(value);
    check_sound(figure_of(IntervalChart{"t", "", {}, {{"a", "", value, Interval{value, value}}}}));
    check_sound(figure_of(ScatterChart{.title = "t",
                                       .x = {.is_logarithmic = true},
                                       .points = {{.label = "a", .x = value, .y = value},
                                                  {.label = "b", .x = value, .y = value}}}));
    check_sound(figure_of(
        BarChart{.title = "t", .series = {"s"}, .groups = {{"g", {Bar{value, {}, {}}}}}}));
  }
}

TEST_CASE("a scale ends at round numbers, holds its values and has few ticks", "[tuner][chart]") {
  Random random(11);
  for (int round = 0; round < 2000; ++round) {
    const bool is_logarithmic = random.unit() < 0.5;
    const double size = std::pow(10, 12 * random.unit() - 6);
    std::vector<double> values;
    for (int i = 0; i < 5; ++i)
      values.push_back(is_logarithmic ? size * std::pow(10, 4 * random.unit())
                                      : size * (random.unit() - 0.3));
    CAPTURE(round, is_logarithmic, values);
    const auto scale = ChartScale::over({.is_logarithmic = is_logarithmic}, values, 100, 700, 75);
    CHECK(scale.ticks().size() >= 2);
    CHECK(scale.ticks().size() <= 26);
    for (const double value : values) {
      REQUIRE(scale.takes(value));
      CHECK(scale.at(value) >= 100);
      CHECK(scale.at(value) <= 700);
    }
    for (std::size_t i = 1; i < scale.ticks().size(); ++i)
      CHECK(scale.at(scale.ticks()[i]) - scale.at(scale.ticks()[i - 1]) >= 15);
    // Larger is further: no value is folded onto the end.
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    if (*high > *low * 1.5) CHECK(scale.at(*high) > scale.at(*low));
  }
}

TEST_CASE("ticks read like numbers people write", "[tuner][chart]") {
  CHECK(tick_text(0) == "0");
  CHECK(tick_text(0.1 + 0.2) == "0.3");
  CHECK(tick_text(940) == "940");
  CHECK(tick_text(25'000) == "25000");
  CHECK(tick_text(250'000) == "250k");
  CHECK(tick_text(1.5e6) == "1.5M");
  CHECK(tick_text(2e9) == "2G");
}

TEST_CASE("labels of a scatter never overlap", "[tuner][chart]") {
  for (const std::size_t points : {2U, 6U, 14U, 40U}) {
    const std::string figure = figure_of(crowded(points));
    for (const std::string width : {"wide", "narrow"}) {
      const auto boxes = label_boxes(drawing(figure, width));
      CAPTURE(points, width, boxes.size());
      CHECK_FALSE(boxes.empty());
      for (std::size_t a = 0; a < boxes.size(); ++a) {
        for (std::size_t b = a + 1; b < boxes.size(); ++b)
          CHECK_FALSE(boxes[a].overlaps(boxes[b]));
      }
    }
  }
}

TEST_CASE("labels that do not fit a scatter become numbers with a key", "[tuner][chart]") {
  const std::string few = figure_of(crowded(2));
  CHECK_FALSE(has(few, "<ol class=\"key wide\">"));
  const std::string many = figure_of(crowded(40));
  CHECK(has(many, "<ol class=\"key wide\">"));
  CHECK(has(many, "<ol class=\"key narrow\">"));
  CHECK(has(many, "<li>native mtu=1039 lanes=39</li>"));
}

TEST_CASE("the interval of the chosen row is drawn where the scale says", "[tuner][chart]") {
  const std::string figure = figure_of(some_intervals());
  CHECK(has(figure, "the line&#39;s bound"));
  CHECK(has(figure, "class=\"interval chosen\""));
  CHECK(has(figure, "912 (905\u2013920)"));
  // The reference is to the right of both values.
  const std::string wide = drawing(figure, "wide");
  std::smatch reference;
  REQUIRE(std::regex_search(wide, reference, std::regex("class=\"reference\" x1=\"([0-9.]+)\"")));
  std::smatch chosen;
  REQUIRE(std::regex_search(wide, chosen,
                            std::regex("translate\\(([0-9.]+) [0-9.]+\\)[^>]*><title>native")));
  CHECK(std::stod(reference[1]) > std::stod(chosen[1]));
}

TEST_CASE("the same chart gives the same bytes, in two widths", "[tuner][chart]") {
  const std::string figure = figure_of(some_intervals());
  CHECK(figure == figure_of(some_intervals()));
  CHECK(has(figure, "class=\"drawing wide\""));
  CHECK(has(figure, "class=\"drawing narrow\""));
  CHECK(has(figure, "aria-label=\"Goodput. Higher is better.\""));
}

TEST_CASE("the style of charts asks for nothing from anywhere", "[tuner][chart]") {
  const std::string style(chart_style());
  CHECK_FALSE(has(style, "url("));
  CHECK_FALSE(has(style, "@import"));
  CHECK(has(style, "prefers-color-scheme: dark"));
}

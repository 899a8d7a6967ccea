// The page in headless Chromium: no error on its console, nothing loaded, light and dark, no
// sideways scrolling on a narrow screen.
//
// The page itself runs nothing, so a page around it asks: it holds the sweep's page in frames of
// the width of a phone and of a desk, reads what the browser made of them and writes that as its
// own text, which --dump-dom prints.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "base/fd.h"
#include "base/json.h"
#include "base/process.h"
#include "tests/tuner/page_sample.h"
#include "tuner/page.h"

using namespace lt;
using namespace lt::tuner;

namespace {

constexpr int phone_width = 360;
constexpr int desk_width = 1280;
constexpr double contrast_min = 4.5;  // WCAG 2.1, 1.4.3: of text this size

class Folder {
 public:
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "linktune-page-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// For each frame: how wide its content is, what it loaded, which drawings are shown, its colours.
constexpr std::string_view asking = R"js(
const contrast = (a, b) => {
  const light = (text) => {
    const [r, g, b] = text.match(/[0-9.]+/g).map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [x, y] = [light(a), light(b)];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
};
const shown = (document_, selector) =>
  [...document_.querySelectorAll(selector)].filter((one) => one.getBoundingClientRect().width > 0).length;
window.addEventListener("load", () => {
  const facts = [...document.querySelectorAll("iframe")].map((frame) => {
    const inner = frame.contentDocument;
    const view = frame.contentWindow;
    const style = view.getComputedStyle(inner.body);
    const softest = ["h1", ".lead", "th", "figcaption", "tr.bad td", "a", ".badge"].map((selector) => {
      const one = inner.querySelector(selector);
      return one ? contrast(view.getComputedStyle(one).color, style.backgroundColor) : 21;
    });
    const letters = [...inner.querySelectorAll("svg.drawing text")]
      .filter((one) => one.getBoundingClientRect().width > 0)
      .map((one) => one.getScreenCTM())
      .map((map) => Math.hypot(map.a, map.b) * 12);  // of turned ones, too
    return {width: frame.clientWidth, scrolls: inner.documentElement.scrollWidth, loaded: view.performance.getEntriesByType("resource").length,
            wide: shown(inner, ".drawing.wide"), narrow: shown(inner, ".drawing.narrow"), ground: style.backgroundColor,
            contrast: Math.min(...softest), letters: Math.min(...letters),
            unnamed: [...inner.querySelectorAll("svg.drawing")].filter((one) => !one.getAttribute("aria-label")).length,
            cut: [...inner.querySelectorAll(".scroll")].filter((one) => one.clientWidth > 0 && one.scrollWidth > one.clientWidth).length,
            hits: [...inner.querySelectorAll("script, img, iframe, link, object")].length};
  });
  document.body.textContent = "FACTS" + JSON.stringify(facts) + "END";
});
)js";

struct Seen {
  Json frames;
  std::string console;
};

// What Chromium complains of by itself on a machine without a desktop is no concern of ours: its
// console lines say CONSOLE.
std::string console_of(const std::string& log) {
  std::string console;
  std::size_t from = 0;
  while (from < log.size()) {
    const auto end = std::min(log.find('\n', from), log.size());
    const std::string line = log.substr(from, end - from);
    if (line.find("CONSOLE") != std::string::npos) console += line + "\n";
    from = end + 1;
  }
  return console;
}

Seen look(const std::string& page, bool is_dark) {
  const Folder folder;
  REQUIRE(write_file(folder / "page.html", page, 0644));
  std::string around = "<!DOCTYPE html><meta charset=\"utf-8\"><body>";
  for (const int width : {phone_width, desk_width})
    around +=
        "<iframe src=\"page.html\" style=\"border:0;height:900px;width:" + std::to_string(width) +
        "px\"></iframe>";
  around += "<script>" + std::string(asking) + "</script>";
  REQUIRE(write_file(folder / "around.html", around, 0644));
  const auto output = run_process(
      {"chromium", "--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu", "--disable-dev-shm-usage",
       "--disable-background-networking", "--disable-component-update", "--no-first-run",
       "--allow-file-access-from-files", "--enable-logging=stderr", "--log-level=0",
       "--user-data-dir=" + folder / "profile", "--window-size=1400,1000",
       std::string("--blink-settings=preferredColorScheme=") + (is_dark ? "0" : "1"),
       "--virtual-time-budget=5000", "--dump-dom", "file://" + folder / "around.html"},
      {.deadline = std::chrono::seconds(60)});
  if (!output) FAIL(output.error().text());
  INFO(output->err);
  const auto begin = output->out.find("FACTS");
  const auto end = output->out.find("END", begin);
  REQUIRE(begin != std::string::npos);
  REQUIRE(end != std::string::npos);
  const auto frames = parse_json(output->out.substr(begin + 5, end - begin - 5), "the browser");
  REQUIRE(frames);
  return {*frames, console_of(output->err)};
}

Report hostile_sample() {
  Report report = page_sample(true);
  report.result.header.arms[4].label = "<img src=x onerror=alert(1)><script>alert(2)</script>";
  report.result.header.arms[5].label = std::string(300, 'W');  // nothing to break a line at
  report.doubts.push_back({DoubtReason::few_blocks, "</li><iframe src=x>", std::string(400, 'x')});
  return report;
}

}  // namespace

TEST_CASE(
    "a browser shows the page without an error, a request or sideways scrolling, light and dark",
    "[tuner][page][browser]") {
  if (!find_program("chromium")) {
    WARN("SKIPPED: chromium is not installed; apt-get install chromium");
    return;
  }
  const std::string page = page_of(hostile_sample());
  std::string ground_light;
  for (const bool is_dark : {false, true}) {
    const Seen seen = look(page, is_dark);
    CAPTURE(is_dark, seen.frames.dump(), seen.console);
    CHECK(seen.console.empty());
    REQUIRE(seen.frames.size() == 2);
    for (const Json& frame : seen.frames) {
      CHECK(frame["scrolls"] == frame["width"]);
      CHECK(frame["loaded"] == 0);
      CHECK(frame["hits"] == 0);
      CHECK(frame["unnamed"] == 0);
      CHECK(frame["contrast"] >= contrast_min);
      CHECK(frame["letters"] >= 10);  // px on the screen
    }
    CHECK(seen.frames[0]["cut"] == 0);  // no table is wider than a phone
    CHECK(seen.frames[0]["wide"] == 0);
    CHECK(seen.frames[0]["narrow"] >= 5);
    CHECK(seen.frames[1]["narrow"] == 0);
    CHECK(seen.frames[1]["wide"] >= 5);
    const auto ground = seen.frames[0]["ground"].get<std::string>();
    if (is_dark) {
      CHECK(ground != ground_light);
    } else {
      ground_light = ground;
    }
  }
}

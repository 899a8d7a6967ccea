// The page: the same bytes each time, everything escaped, sound without a decision and with one.
#include "tuner/page.h"

#include <catch2/catch.hpp>

#include "tests/tuner/page_sample.h"
#include "tuner/page_frame.h"

using namespace lt;
using namespace lt::tuner;

namespace {

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::size_t count(const std::string& text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++found;
  return found;
}

// What could load, run, send or jump.
void check_harmless(const std::string& page) {
  for (const std::string part : {"<script", "<img", "<iframe", "<link", "<object", "<form",
                                 "src=", "http://", "https://", "url(", "@import", "javascript:"}) {
    CAPTURE(part);
    CHECK_FALSE(has(page, part));
  }
  CHECK(has(page, "default-src 'none'"));
  CHECK(count(page, "<section") == count(page, "</section>"));
  CHECK(count(page, "<table") == count(page, "</table>"));
  CHECK(count(page, "<svg") == count(page, "</svg>"));
  CHECK(count(page, "<figure") == count(page, "</figure>"));
  CHECK_FALSE(has(page, "\"nan\""));
}

}  // namespace

TEST_CASE("the same report gives the same page, and it loads nothing", "[tuner][page]") {
  for (const bool is_staged : {false, true}) {
    const Report report = page_sample(is_staged);
    const std::string page = page_of(report);
    CHECK(page == page_of(page_sample(is_staged)));
    check_harmless(page);
    CHECK(has(page, "<!DOCTYPE html>"));
  }
}

TEST_CASE("the verdict comes first, then the settings to copy", "[tuner][page]") {
  const Report report = page_sample(true);
  const std::string page = page_of(report);
  const auto verdict = page.find("<h1>");
  REQUIRE(verdict != std::string::npos);
  CHECK(page.substr(verdict).starts_with("<h1>native mtu=9000 is better"));
  CHECK(verdict < page.find("id=\"use\""));
  CHECK(page.find("id=\"use\"") < page.find("id=\"results\""));
  CHECK(has(page, "BETTER"));
  CHECK(has(page, "[native]\nmtu = 9000\n"));
}

TEST_CASE("a page says who was dropped when, and why", "[tuner][page]") {
  const std::string page = page_of(page_sample(true));
  CHECK(has(page, "search, round 1"));
  CHECK(has(page, "<b>out</b> behind"));
  CHECK(has(page, "the setting carries nothing"));
  CHECK(has(page, "over the limit"));
}

TEST_CASE("an OpenVPN choice comes as lines for both files", "[tuner][page]") {
  Report report = page_sample(true);
  report.decision->choice = 3;
  report.result.header.facts.push_back({"openvpn", "2.6.14"});
  const std::string page = page_of(report);
  CHECK(has(page, "tun-mtu 9000"));
  CHECK(has(page, "linktune openvpn export"));
  CHECK(count(page, "proto tcp-server") == 1);
  CHECK(count(page, "proto tcp-client") == 1);
}

TEST_CASE("what anybody called anything is text on the page, never markup", "[tuner][page]") {
  const std::string hostile = "</title><script>alert(1)</script><img src=x onerror='y'>";
  Report report = page_sample(true);
  for (Arm& arm : report.result.header.arms) {
    arm.label = hostile;
    arm.why = hostile;
  }
  report.result.header.facts = {{hostile, hostile}};
  report.result.header.id = report.result.header.started = hostile;
  report.result.journal_path = hostile;
  report.decision->sentence = report.decision->choice_reason = hostile;
  report.decision->calibration.sentence = report.decision->restart.sentence = hostile;
  report.decision->limit.sentence = hostile;
  report.decision->price->sentence = hostile;
  for (PathStep& step : report.decision->path)
    for (Placing& placing : step.placings)
      placing.reason = hostile;
  for (KnobEffect& effect : report.decision->knobs)
    effect.knob = effect.from = effect.to = hostile;
  for (ArmSummary& row : report.verdict.rows)
    row.failure = hostile;
  for (Doubt& doubt : report.doubts)
    doubt.text = doubt.advice = hostile;
  report.verdict.sentence = hostile;
  const std::string page = page_of(report);
  CHECK_FALSE(has(page, "<script"));
  CHECK_FALSE(has(page, "<img"));
  CHECK_FALSE(has(page, "onerror='"));
  CHECK(count(page, "<title>linktune") == 1);
}

TEST_CASE("a sweep that measured nothing still has a page", "[tuner][page]") {
  Report report;
  report.verdict.sentence = "nothing was measured";
  check_harmless(page_of(report));
  report.decision = Decision{};
  report.result.header.arms = {*parse_arm("bare")};
  check_harmless(page_of(report));
  CHECK_FALSE(has(page_of(report), "NOTHING WORKS"));  // it may only have been cut off
  report.result.is_finished = true;
  CHECK(has(page_of(report), "NOTHING WORKS"));
}

TEST_CASE("a table keeps text apart from numbers and escapes both", "[tuner][page]") {
  PageTable table({"a", "b"});
  CHECK(table.is_empty());
  table.add({"<x>", "1"}, "bad");
  const std::string html = table.html("c & d");
  CHECK(has(html, "<caption>c &amp; d</caption>"));
  CHECK(has(html, "<tr class=\"bad\"><td class=\"text\">&lt;x&gt;</td><td data-head=\"b\">1</td></tr>"));
}

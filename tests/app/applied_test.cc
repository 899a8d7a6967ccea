// Settings on trial: which step is due when, and a config that is changed nowhere but in its knobs.
#include "app/applied.h"

#include <catch2/catch.hpp>

#include "app/cmd_apply.h"
#include "app/scratch_folder.h"
#include "base/fd.h"
#include "base/json.h"
#include "configs/knob.h"
#include "configs/toml_reader.h"
#include "configs/toml_writer.h"
#include "tests/require.h"
#include "tuner/report.h"

using namespace lt;
using namespace lt::app;

TEST_CASE("what is due follows from stage, time and boot alone", "[app][apply]") {
  struct Row {
    AppliedStage stage;
    const char* boot;
    std::int64_t now;
    AppliedStep step;
  };
  const Row row = GENERATE(values<Row>({
      {AppliedStage::prepared, "a", 999, AppliedStep::none},
      {AppliedStage::prepared, "a", 1'000, AppliedStep::install},
      {AppliedStage::prepared, "a", 21'000, AppliedStep::install},
      {AppliedStage::prepared, "a", 21'001, AppliedStep::give_up},
      {AppliedStage::prepared, "b", 1'000, AppliedStep::give_up},
      {AppliedStage::installed, "a", 60'999, AppliedStep::none},
      {AppliedStage::installed, "a", 61'000, AppliedStep::roll_back},
      {AppliedStage::installed, "b", 5, AppliedStep::roll_back},  // the clock has begun again: power was lost
      {AppliedStage::confirmed, "a", 99'999'999, AppliedStep::none},
      {AppliedStage::confirmed, "b", 0, AppliedStep::none},
      {AppliedStage::rolled_back, "b", 99'999'999, AppliedStep::none},
  }));
  const Applied applied{.stage = row.stage, .arm = "native", .before = "x", .boot = "a", .install_at_ms = 1'000, .deadline_ms = 61'000};
  INFO(name_of(row.stage) << " " << row.boot << " " << row.now);
  CHECK(due_step(applied, row.boot, row.now) == row.step);
}

TEST_CASE("a state comes back from its file, and one that makes no sense does not", "[app][apply]") {
  const Applied applied{.stage = AppliedStage::installed, .arm = "native mtu=9000", .before = "/x", .boot = "b", .install_at_ms = 5, .deadline_ms = 6, .expected_bps = 7e8};
  const Json json = to_json(applied);
  const auto read = applied_from_json(json);
  REQUIRE(read);
  CHECK(to_line(to_json(*read)) == to_line(json));
  for (const auto& [key, value] : json.items()) {
    if (key == "schema") continue;
    Json lacking = json;
    lacking.erase(key);
    INFO(key);
    CHECK_FALSE(applied_from_json(lacking));
  }
  Json odd = json;
  odd["stage"] = "half";
  CHECK_FALSE(applied_from_json(odd));
}

TEST_CASE("a config with other knobs keeps every other line of its owner", "[configs][apply]") {
  const std::string text = "# mine\nsite = \"office\"\n[identity]\nkey = \"office.key\"  # do not lose\n"
                           "peer_public_key = \"ltpub-BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\"\n"
                           "[native]\nmtu = 1400\n# a word about lanes\nlanes = 2\n[link]\nlisten = \"0.0.0.0:5198\"\n"
                           "[tunnel]\naddresses = [\"10.77.0.1/30\"]\n[sweep]\nallow = true\n[[mirror.job]]\nname = \"x\"\n";
  const auto before = configs::parse_link_config(text, "office.toml");
  REQUIRE(before);
  configs::NativeKnobs knobs;
  knobs.mtu = 9000;
  const std::string changed = configs::with_knobs(text, knobs);
  INFO(changed);
  const auto after = configs::parse_link_config(changed, "office.toml");
  REQUIRE(after);
  CHECK(after->knobs == knobs);
  auto expected = *before;
  expected.knobs = knobs;
  CHECK(*after == expected);
  for (const char* line : {"# mine\n", "key = \"office.key\"  # do not lose\n", "[[mirror.job]]\nname = \"x\"\n", "allow = true\n"}) CHECK(changed.find(line) != std::string::npos);
  CHECK(changed.find("mtu = 1400") == std::string::npos);
  CHECK(configs::with_knobs(changed, knobs) == changed);
}

TEST_CASE("a sweep that came to no decision is not applied, though it names what it would stay with", "[app][apply]") {
  const auto folder = require(ScratchFolder::create("apply"));
  const std::string report = folder.path() + "/sweep.json";
  const auto with_verdict = [&](const char* verdict) {
    Json value = {{"schema", std::string(tuner::report_schema)},
                  {"arms", Json::array()},
                  {"decision", {{"verdict", verdict}, {"choice", "0123456789abcdef"}}}};
    require(write_file(report, value.dump(), 0600));
    return run_apply({.result = report}, std::stop_token());
  };
  const auto undecided = with_verdict("inconclusive");
  REQUIRE_FALSE(undecided);
  CHECK(undecided.error().code == Errc::rejected);
  CHECK(undecided.error().text().find("came to no decision") != std::string::npos);
  // One that did is read on: here, to the setting that it does not hold.
  const auto decided = with_verdict("better");
  REQUIRE_FALSE(decided);
  CHECK(decided.error().text().find("does not hold") != std::string::npos);
}

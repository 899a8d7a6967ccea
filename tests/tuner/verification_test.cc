// What verify says of a choice, on simulated lines that have or have not changed.
#include "tuner/verification.h"

#include <catch2/catch.hpp>

#include "tests/tuner/simulated_line.h"
#include "tuner/report.h"

using namespace lt;
using namespace lt::tuner;

namespace {

LineOptions a_line() {
  LineOptions line;
  line.noise = 0.01;
  line.restart = 0.01;
  line.drift = 0.01;
  line.bad_restarts = 0;
  line.arms["native"] = {600e6, 5'000, 1.5};
  line.arms["native mtu=9000"] = {800e6, 5'000, 1.5};
  return line;
}

Json a_report() {
  ManualClock clock;
  SweepOptions options;
  options.arms = {*parse_arm("bare"), *parse_arm("native"), *parse_arm("native mtu=9000")};
  options.seed = 3;
  options.question = Question{};
  options.question->incumbent = *parse_arm("native");
  options.now = [&] { return clock.now(); };
  options.wall_now = [] { return std::string("2026-01-31T12:00:00Z"); };
  SimulatedLine bench(a_line(), clock);
  auto result = run_sweep(bench, options, bench);
  REQUIRE(result);
  return json_of(make_report(std::move(*result)));
}

Verification verify_on(const LineOptions& line) {
  const auto recorded = recorded_choice(a_report());
  REQUIRE(recorded);
  CHECK(canonical_text(recorded->choice.arm) == "native mtu=9000");
  ManualClock clock;
  SweepOptions options;
  options.arms = verify_arms(*recorded);
  options.plan = verify_plan(recorded->plan);
  options.blocks = verify_blocks(options.plan, options.arms.size());
  options.seed = 4;
  options.now = [&] { return clock.now(); };
  options.wall_now = [] { return std::string("2026-02-28T12:00:00Z"); };
  SimulatedLine bench(line, clock);
  const auto result = run_sweep(bench, options, bench);
  REQUIRE(result);
  CHECK(result->elapsed() <= verify_time + 30s);
  return verify_against(*recorded, *result);
}

}  // namespace

TEST_CASE("a choice holds on the line that it was made on", "[tuner][verify]") {
  const Verification verification = verify_on(a_line());
  CHECK(verification.state == VerifyState::holds);
  CHECK(verification.bare_ratio == Approx(1).margin(0.05));
}

TEST_CASE("another line, a choice that fell, one that fell behind and one that fails are each named",
          "[tuner][verify]") {
  LineOptions slower = a_line();
  slower.shift = -0.4;
  CHECK(verify_on(slower).state == VerifyState::line_changed);
  LineOptions fell = a_line();
  fell.arms["native mtu=9000"].rate = 650e6;
  CHECK(verify_on(fell).state == VerifyState::choice_changed);
  LineOptions behind = a_line();
  behind.arms["native mtu=9000"].rate = 400e6;
  CHECK(verify_on(behind).state == VerifyState::choice_behind);
  LineOptions dead = a_line();
  dead.is_black_hole = [](const Arm& arm, std::size_t) { return !arm.settings.empty(); };
  CHECK(verify_on(dead).state == VerifyState::failed);
}

TEST_CASE("a line that is too unsteady to say anything is said to hold on hardly a day", "[tuner][verify]") {
  constexpr std::uint64_t days = 40;
  unsigned noisy = 0;
  unsigned holds = 0;
  for (std::uint64_t seed = 1; seed <= days; ++seed) {
    INFO("seed " << seed);
    LineOptions wild = a_line();
    wild.noise = 0.6;
    wild.seed = seed;
    const VerifyState state = verify_on(wild).state;
    if (state == VerifyState::holds) ++holds;
    if (state == VerifyState::noisy) ++noisy;
  }
  CHECK(holds <= days / 20);  // two blocks may agree by chance
  CHECK(noisy >= days * 8 / 10);  // each of three comparisons is wrong on one day of twenty
}

// A bare connection with cubic on a line that loses packets: its rate is chance, the choice's is not.
TEST_CASE("beside a bare line that wavers a choice that stands still holds, and one that fell is told",
          "[tuner][verify]") {
  constexpr std::uint64_t days = 40;
  unsigned holds = 0;
  unsigned said_so = 0;
  unsigned told = 0;
  for (std::uint64_t seed = 1; seed <= days; ++seed) {
    LineOptions line = a_line();
    line.bare_noise = 0.6;
    line.seed = seed;
    const Verification still = verify_on(line);
    if (still.state == VerifyState::holds) ++holds;
    if (still.sentence.find("wavers too much to be compared") != std::string::npos) ++said_so;
    line.arms["native mtu=9000"].rate = 650e6;
    const Verification fell = verify_on(line);
    if (fell.state == VerifyState::choice_changed) ++told;
    INFO(fell.sentence << " blocks " << fell.blocks);
    CHECK(fell.state != VerifyState::holds);
    CHECK(fell.sentence.find("is what it was") == std::string::npos);
  }
  // The bare line's own interval misses it on one day of twenty.
  CHECK(holds >= days * 8 / 10);
  CHECK(said_so >= days * 7 / 10);
  CHECK(told >= days * 8 / 10);
}

TEST_CASE("a report of no staged sweep, or of one that chose nothing, is refused", "[tuner][verify]") {
  const Json good = a_report();
  REQUIRE(recorded_choice(good));
  const auto refused = [&](auto change) {
    Json report = good;
    change(report);
    const auto recorded = recorded_choice(report);
    return !recorded && recorded.error().code == Errc::invalid;
  };
  CHECK(refused([](Json& r) { r["schema"] = "linktune.sweep/9"; }));
  CHECK(refused([](Json& r) { r.erase("decision"); }));
  CHECK(refused([](Json& r) { r["decision"]["choice"] = nullptr; }));
  CHECK(refused([](Json& r) { r["decision"]["choice"] = "ffffffffffffffff"; }));
  CHECK(refused([](Json& r) { r["arms"] = Json::array(); }));
  CHECK(refused([](Json& r) { r["arms"][0]["score_bits_per_second"] = "fast"; }));
  CHECK_FALSE(recorded_choice(Json::object()));
}

// The engine on a simulated bench and a clock that the bench moves: whole sweeps in milliseconds.
#include "tuner/sweep.h"

#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "base/fd.h"
#include "tests/tuner/simulated_bench.h"
#include "tuner/report.h"
#include "tuner/schedule.h"
#include "tuner/space.h"

using namespace lt;
using namespace lt::tuner;
using Kind = Fault::Kind;

namespace {

std::vector<Arm> some_arms() {
  return {*parse_arm("bare"), *parse_arm("native"), *parse_arm("native mtu=9000"),
          *parse_arm("openvpn proto=tcp")};
}

const std::map<std::string, double> some_rates{
    {"bare", 900e6}, {"native", 800e6}, {"native mtu=9000", 600e6}, {"openvpn proto=tcp", 200e6}};

std::string fresh_path(const std::string& name) {
  const std::string path = std::string(LINKTUNE_BINARY_DIR) + "/" + name;
  ::unlink(path.c_str());
  return path;
}

struct Scene {
  ManualClock clock;
  Progress silent;
  SweepOptions options;

  Scene() {
    options.arms = some_arms();
    options.seed = 42;
    options.blocks = 4;
    options.now = [this] { return clock.now(); };
    options.wall_now = [] { return std::string("2026-01-31T12:00:00Z"); };
  }
  Result<SweepResult> run(SimulatedBench& bench) { return run_sweep(bench, options, silent); }
};

Fault only(std::size_t unit, std::size_t wanted, Kind kind) {
  return {unit == wanted ? kind : Kind::none};
}

std::size_t place(const Verdict& verdict, const SweepHeader& header, const std::string& text) {
  for (std::size_t i = 0; i < verdict.rows.size(); ++i) {
    if (canonical_text(header.arms[verdict.rows[i].arm]) == text) return i;
  }
  return verdict.rows.size();
}

}  // namespace

TEST_CASE("a sweep starts every arm once a block, in the seeded order, and takes each down",
          "[tuner][sweep]") {
  Scene stage;
  SimulatedBench bench({.rates = some_rates}, stage.clock);
  const auto result = stage.run(bench);
  REQUIRE(result);
  CHECK(result->is_complete());
  CHECK(result->units.size() == 16);
  CHECK(bench.dismantles == 16);
  CHECK_FALSE(bench.is_up());
  for (std::size_t block = 0; block < 4; ++block) {
    const auto order = block_order(42, block, 4);
    for (std::size_t position = 0; position < 4; ++position) {
      CHECK(bench.starts[4 * block + position] == canonical_text(some_arms()[order[position]]));
    }
  }
}

TEST_CASE("the same seed gives the same order, another seed another", "[tuner][sweep]") {
  const auto starts_of = [](std::uint64_t seed) {
    Scene stage;
    stage.options.seed = seed;
    SimulatedBench bench({.rates = some_rates}, stage.clock);
    REQUIRE(stage.run(bench));
    return bench.starts;
  };
  CHECK(starts_of(7) == starts_of(7));
  CHECK(starts_of(7) != starts_of(8));
}

TEST_CASE("arms are ranked by the median of the slower way, the bare line apart",
          "[tuner][sweep][verdict]") {
  Scene stage;
  SimulatedBench bench({.rates = some_rates, .start_deviation = 0.02}, stage.clock);
  const auto result = stage.run(bench);
  REQUIRE(result);
  const Verdict verdict = judge(*result);
  CHECK(verdict.rows[0].standing == Standing::control);
  CHECK(place(verdict, result->header, "native") == 1);
  CHECK(place(verdict, result->header, "native mtu=9000") == 2);
  CHECK(place(verdict, result->header, "openvpn proto=tcp") == 3);
  CHECK(verdict.rows[1].standing == Standing::ahead);
  CHECK(verdict.rows[2].standing == Standing::behind);
  CHECK(verdict.rows[3].standing == Standing::behind);
  CHECK(verdict.rows[3].ratio->high < 0.3);
  CHECK_FALSE(verdict.is_decision);
  CHECK(verdict.sentence.find("not a decision") != std::string::npos);
  CHECK(verdict.best_of(ArmCarrier::openvpn, result->header) == 3);
  CHECK(verdict.best_of(ArmCarrier::native, result->header) == 1);
}

TEST_CASE("equal arms are not told apart, whatever the drift", "[tuner][sweep][verdict]") {
  int behind = 0;
  constexpr int sweeps = 200;
  for (int i = 0; i < sweeps; ++i) {
    Scene stage;
    stage.options.seed = static_cast<std::uint64_t>(i);
    stage.options.blocks = 6;
    SimulatedBench bench({.seed = static_cast<std::uint64_t>(1000 + i),
                          .rates = {{"bare", 100e6}},
                          .start_deviation = 0.05,
                          .drift_deviation = 0.03},
                         stage.clock);
    const auto result = stage.run(bench);
    REQUIRE(result);
    const Verdict verdict = judge(*result);
    for (const ArmSummary& row : verdict.rows) {
      if (row.standing == Standing::behind) {
        ++behind;
        break;
      }
    }
  }
  // At most 5 % by design; 22 of 200 would be more than 4 standard errors above it.
  INFO(behind << " of " << sweeps);
  CHECK(behind < 22);
}

TEST_CASE("one block gives a ranking without any claim", "[tuner][sweep][verdict]") {
  Scene stage;
  stage.options.blocks = 1;
  SimulatedBench bench({.rates = some_rates}, stage.clock);
  const auto result = stage.run(bench);
  REQUIRE(result);
  const Verdict verdict = judge(*result);
  CHECK(verdict.rows[1].standing == Standing::ahead);
  CHECK(verdict.rows[2].standing == Standing::undecided);
  CHECK(verdict.blocks_needed == 0);
}

TEST_CASE("an arm that fails counts as failed, cannot win, and the sweep goes on",
          "[tuner][sweep]") {
  for (const Kind kind : {Kind::arm_start, Kind::arm_measure}) {
    Scene stage;
    bool has_failed = false;
    SimulatedBench bench({.rates = some_rates,
                          .fault =
                              [&](std::size_t, const Arm& arm) {
                                if (has_failed || canonical_text(arm) != "native") return Fault{};
                                has_failed = true;
                                return Fault{kind};
                              }},
                         stage.clock);
    const auto result = stage.run(bench);
    REQUIRE(result);
    CHECK(result->is_complete());
    CHECK(bench.dismantles == 17);  // the bare line was asked whether it was down
    const Verdict verdict = judge(*result);
    const ArmSummary& row = verdict.rows.back();
    CHECK(canonical_text(result->header.arms[row.arm]) == "native");
    CHECK(row.standing == Standing::failed);
    CHECK(row.failures == 1);
    CHECK(row.units == 3);
    CHECK(row.harness_failures == 0);
    CHECK(*verdict.ahead == 2);
    CHECK(text_of(make_report(*result)).find("failed: native: the arm") != std::string::npos);
  }
}

TEST_CASE("a failure of the bench is tried once more and not counted against the arm",
          "[tuner][sweep]") {
  for (const Kind kind : {Kind::bench_start, Kind::bench_measure, Kind::bench_dismantle}) {
    Scene stage;
    SimulatedBench bench(
        {.rates = some_rates,
         .fault = [&](std::size_t unit, const Arm&) { return only(unit, 5, kind); }},
        stage.clock);
    const auto result = stage.run(bench);
    REQUIRE(result);
    CHECK(result->is_complete());
    CHECK(bench.starts.size() == 17);
    CHECK(bench.dismantles == 17);
    const Verdict verdict = judge(*result);
    std::size_t harness = 0;
    for (const ArmSummary& row : verdict.rows) {
      CHECK(row.failures == 0);
      CHECK(row.units == 4);
      harness += row.harness_failures;
    }
    CHECK(harness == 1);
  }
}

TEST_CASE("a bench that keeps failing stops the sweep, which says how to go on", "[tuner][sweep]") {
  Scene stage;
  stage.options.journal_path = fresh_path("sweep_broken.jsonl");
  SimulatedBench bench(
      {.rates = some_rates,
       .fault = [](std::size_t unit,
                   const Arm&) { return Fault{unit >= 6 ? Kind::bench_start : Kind::none}; }},
      stage.clock);
  const auto result = stage.run(bench);
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Errc::io);
  CHECK(result.error().what.find("3 times in a row") != std::string::npos);
  CHECK(bench.starts.size() == 6 + 3 * 2);  // each of the three was tried once more
  CHECK(result.error().what.find("--resume") != std::string::npos);
  CHECK_FALSE(bench.is_up());
}

TEST_CASE("a stop request undoes the unit under way, and the sweep says how to go on",
          "[tuner][sweep]") {
  Scene stage;
  stage.options.journal_path = fresh_path("sweep_stopped.jsonl");
  std::stop_source stop;
  stage.options.stop = stop.get_token();
  SimulatedBench bench({.rates = some_rates,
                        .fault =
                            [&](std::size_t unit, const Arm&) {
                              if (unit == 6) stop.request_stop();
                              return Fault{unit == 6 ? Kind::stop : Kind::none};
                            }},
                       stage.clock);
  const auto result = stage.run(bench);
  REQUIRE(result);
  CHECK(result->is_stopped);
  CHECK(result->blocks_done == 1);
  CHECK(result->units.size() == 4);
  CHECK_FALSE(bench.is_up());
  CHECK(bench.dismantles == 7);
  CHECK(result->how_to_resume() == "linktune sweep --resume " + stage.options.journal_path);
}

TEST_CASE("killed anywhere and resumed, a sweep ends in the same report",
          "[tuner][sweep][journal]") {
  const auto bench_options = [] {
    return SimulatedBench::Options{
        .rates = some_rates, .start_deviation = 0.05, .is_repeatable = true};
  };
  const std::string whole_path = fresh_path("sweep_whole.jsonl");
  std::string expected;
  std::string journal;
  {
    Scene stage;
    stage.options.journal_path = whole_path;
    SimulatedBench bench(bench_options(), stage.clock);
    const auto result = stage.run(bench);
    REQUIRE(result);
    expected = text_of(make_report(*result));
    journal = *read_file(whole_path, 1 << 20);
    CHECK(text_of(make_report(*replay_sweep(whole_path, Objective::slower_way))) == expected);
  }
  // A kill leaves a prefix of the journal. The arms' later starts must give what they gave in the
  // whole run, so the bench is moved on by the starts that the journal keeps.
  const std::size_t header_length = journal.find('\n') + 1;
  for (std::size_t length = header_length; length < journal.size(); length += 997) {
    REQUIRE(write_file(whole_path, journal.substr(0, length), 0600));
    const auto kept = read_journal(whole_path);
    REQUIRE(kept);
    Scene stage;
    stage.options.journal_path = whole_path;
    stage.options.resume = true;
    stage.options.arms.clear();  // all comes from the journal
    stage.options.seed = 0;
    stage.options.blocks = 0;
    SimulatedBench bench(bench_options(), stage.clock);
    for (const Unit& unit : kept->units) {
      REQUIRE(bench.prepare(kept->header.arms[unit.arm], {}));
      REQUIRE(bench.measure({}, {}));
      REQUIRE(bench.dismantle());
    }
    const auto result = stage.run(bench);
    REQUIRE(result);
    CHECK(text_of(make_report(*result)) == expected);
  }
}

TEST_CASE("a sweep is not resumed with another kernel or version", "[tuner][sweep][journal]") {
  Scene stage;
  stage.options.journal_path = fresh_path("sweep_facts.jsonl");
  SimulatedBench bench({.rates = some_rates}, stage.clock);
  REQUIRE(stage.run(bench));
  stage.options.resume = true;
  SimulatedBench other({.rates = some_rates, .facts = {{"kernel", "Simulated 2.0"}}}, stage.clock);
  const auto result = stage.run(other);
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Errc::rejected);
  CHECK(result.error().what.find("Simulated 2.0") != std::string::npos);
}

TEST_CASE("no block begins that would not end within the budget", "[tuner][sweep]") {
  Scene stage;
  // One unit takes 3 s to start, 13 s to measure, 1 s to end; a block of four 68 s.
  stage.options.blocks = 100;
  stage.options.budget = 300s;
  SimulatedBench bench({.rates = some_rates}, stage.clock);
  const auto result = stage.run(bench);
  REQUIRE(result);
  CHECK(result->is_out_of_time);
  CHECK(result->blocks_done == 4);

  Scene hasty;
  hasty.options.budget = 30s;
  SimulatedBench idle({.rates = some_rates}, hasty.clock);
  const auto refused = hasty.run(idle);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::limit);
  CHECK(idle.starts.empty());
}

TEST_CASE("arms that are wrong, twice there, or none are refused before anything starts",
          "[tuner][sweep]") {
  const auto refused = [](std::vector<Arm> arms) {
    Scene stage;
    stage.options.arms = std::move(arms);
    SimulatedBench bench({}, stage.clock);
    const auto result = stage.run(bench);
    return !result && result.error().code == Errc::invalid && bench.starts.empty();
  };
  CHECK(refused({}));
  CHECK(refused({*parse_arm("native"), *parse_arm("native")}));
  CHECK(refused({Arm{"x", ArmCarrier::bare, {{"mtu", "9000"}}, ""}}));
}

TEST_CASE("progress counts units, and the time left falls to zero", "[tuner][sweep]") {
  struct Recorder final : Progress {
    void unit_starts(const SweepProgress& now) override { starts.push_back(now); }
    void unit_ended(const SweepProgress& now, const Unit&) override { ends.push_back(now); }
    std::vector<SweepProgress> starts;
    std::vector<SweepProgress> ends;
  };
  Scene stage;
  SimulatedBench bench({.rates = some_rates}, stage.clock);
  Recorder recorder;
  REQUIRE(run_sweep(bench, stage.options, recorder));
  REQUIRE(recorder.ends.size() == 16);
  CHECK(recorder.starts.front().units_total == 16);
  CHECK(recorder.starts.front().left == 16 * (13s + start_time_guess));
  CHECK(recorder.ends[7].left == 8 * 17s);
  CHECK(recorder.ends.back().left == 0s);
  CHECK(recorder.ends.back().best_label == "native");
}

TEST_CASE("each reason for doubt is found where it is, and not where it is not", "[tuner][doubt]") {
  const auto reasons = [](const SweepResult& result) {
    std::set<DoubtReason> found;
    for (const Doubt& doubt : make_report(result).doubts) {
      CHECK_FALSE(doubt.advice.empty());
      found.insert(doubt.reason);
    }
    return found;
  };
  Scene stage;
  stage.options.blocks = 10;
  SimulatedBench bench({.rates = some_rates}, stage.clock);
  const auto clean = stage.run(bench);
  REQUIRE(clean);
  CHECK(reasons(*clean).empty());

  const auto with = [&](auto change) {
    SweepResult result = *clean;
    change(result);
    return reasons(result);
  };
  const auto each = [](SweepResult& r, auto change) {
    for (Unit& unit : r.units)
      change(*unit.sample);
  };
  CHECK(with([](SweepResult& r) { 
          r.blocks_done = 3;
          r.is_finished = false;
        }) ==
        std::set{DoubtReason::few_blocks, DoubtReason::unfinished});
  CHECK(with([&](SweepResult& r) { each(r, [](Sample& s) { s.steal_share = 0.03; }); }) ==
        std::set{DoubtReason::stolen_time});
  CHECK(with([&](SweepResult& r) { each(r, [](Sample& s) { s.cpu_share = 0.95; }); }) ==
        std::set{DoubtReason::cpu_bound});
  CHECK(with([&](SweepResult& r) { each(r, [](Sample& s) { s.congestion_pinned = false; }); }) ==
        std::set{DoubtReason::congestion_not_pinned});
  CHECK(with([&](SweepResult& r) { each(r, [](Sample& s) { s.variation = 0.06; }); }) ==
        std::set{DoubtReason::unsteady_series});
  CHECK(with([&](SweepResult& r) { each(r, [](Sample& s) { s.loaded = {}; }); }) ==
        std::set{DoubtReason::echo_lost});
  CHECK(with([](SweepResult& r) { r.units[3].attempts = 2; }) ==
        std::set{DoubtReason::harness_failures});
  CHECK(with([](SweepResult& r) {
          std::uint64_t extra = 0;
          for (Unit& unit : r.units) {
            if (unit.arm == 0) unit.sample->up = BitsPerSecond{900'000'000 + 10'000'000 * extra++};
          }
        }) == std::set{DoubtReason::bare_line_drifts});
  CHECK(with([](SweepResult& r) {
          std::uint64_t wobble = 0;
          for (Unit& unit : r.units) {
            if (unit.arm == 1)
              unit.sample->up = BitsPerSecond{800'000'000 + 1'000'000 * (wobble++ % 3)};
          }
          const auto one = std::find_if(r.units.begin(), r.units.end(),
                                        [](const Unit& u) { return u.arm == 1; });
          one->sample->up = BitsPerSecond{100'000'000};
        }) == std::set{DoubtReason::wild_starts});
  CHECK(with([](SweepResult& r) {
          r.header.arms[0] = *parse_arm("native mtu=1400");
        }).contains(DoubtReason::no_bare_line));
}

TEST_CASE(
    "the report names seed, evidence and standing, and its JSON and CSV hold every arm and unit",
    "[tuner][report]") {
  Scene stage;
  stage.options.journal_path = fresh_path("sweep_report.jsonl");
  SimulatedBench bench({.rates = some_rates}, stage.clock);
  const auto result = stage.run(bench);
  REQUIRE(result);
  const Report report = make_report(*result);
  const std::string text = text_of(report);
  CHECK(text.find("seed 42") != std::string::npos);
  CHECK(text.find("sweep --seed 42") != std::string::npos);
  CHECK(text.find("replay " + stage.options.journal_path) != std::string::npos);
  CHECK(text.find("bare") < text.find("native"));
  const Json json = json_of(report);
  CHECK(json["schema"] == "linktune.sweep/1");
  CHECK(json["arms"].size() == 4);
  CHECK(json["arms"][1]["standing"] == "ahead");
  CHECK(json["ahead"] == hash_of(some_arms()[1]));
  const std::string csv = csv_of(report);
  CHECK(std::count(csv.begin(), csv.end(), '\n') == 17);
  const auto columns = [](std::string_view row) { return std::count(row.begin(), row.end(), ','); };
  const std::string_view head = std::string_view(csv).substr(0, csv.find('\n'));
  const std::string_view first = std::string_view(csv).substr(
      head.size() + 1, csv.find('\n', head.size() + 1) - head.size() - 1);
  CHECK(columns(head) == columns(first));
}

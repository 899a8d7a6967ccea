// Staged sweeps against a simulated line: the walk through the stages, who may win, and that a sweep
// which was killed ends as one that was not.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <set>

#include "base/defer.h"
#include "base/fd.h"
#include "tests/tuner/simulated_line.h"
#include "tuner/halving.h"
#include "tuner/report.h"

using namespace lt;
using namespace lt::tuner;

namespace {

std::string fresh_path(const std::string& name) {
  const std::string path = std::string(LINKTUNE_BINARY_DIR) + "/" + name;
  ::unlink(path.c_str());
  return path;
}

// In memory: thousands of lines, each synced.
std::string memory_path(const std::string& name) {
  const std::string path = "/dev/shm/linktune_" + std::to_string(::getpid()) + "_" + name;
  ::unlink(path.c_str());
  return path;
}

Arm arm_of(std::size_t number) {
  return *parse_arm("native mtu=" + std::to_string(1400 + number));
}

// The bare line, the incumbent (which is the default) and eight more; variants of the first two.
struct Scene {
  ManualClock clock;
  SweepOptions options;
  LineOptions line;

  Scene() {
    options.arms = {*parse_arm("bare"), *parse_arm("native")};
    for (std::size_t i = 0; i < 8; ++i)
      options.arms.push_back(arm_of(i));
    options.seed = 42;
    options.plan.idle = 500ms;
    options.question = Question{};
    options.question->budget = std::chrono::minutes(40);
    options.question->incumbent = *parse_arm("native");
    options.question->defaults = {*parse_arm("native")};
    options.sources.variants = [](const Arm& base, const Physics&) {
      Arm variant = base;
      variant.settings.push_back({"tun_queue", "64"});
      variant.label = canonical_text(variant).substr(0, label_length_max);
      return std::vector{variant};
    };
    options.now = [this] { return clock.now(); };
    options.wall_now = [] { return std::string("2026-01-31T12:00:00Z"); };
  }

  Result<SweepResult> run() {
    SimulatedLine bench(line, clock);
    auto result = run_sweep(bench, options, bench);
    CHECK_FALSE(bench.is_up());
    notes = bench.notes;
    gated = bench.gated;
    left = bench.left;
    return result;
  }
  Decision decision() {
    const auto result = run();
    REQUIRE(result);
    return decide(*result);
  }

  std::vector<std::string> notes;
  std::vector<std::string> gated;
  std::vector<Milliseconds> left;
};

std::vector<Stage> stages_of(const Evidence& evidence) {
  std::vector<Stage> stages;
  for (const Block& block : evidence.blocks) {
    if (stages.empty() || stages.back() != block.stage) stages.push_back(block.stage);
  }
  return stages;
}

bool any_note(const Scene& scene, const std::string& part) {
  return std::any_of(scene.notes.begin(), scene.notes.end(), [&](const std::string& note) {
    return note.find(part) != std::string::npos;
  });
}

}  // namespace

TEST_CASE("a staged sweep walks from calibration to confirmation, controls in each block",
          "[tuner][staged]") {
  Scene scene;
  const auto result = scene.run();
  REQUIRE(result);
  using enum Stage;
  CHECK(stages_of(*result) == std::vector{calibration, search, screen, confirmation});
  CHECK(result->is_complete());
  CHECK(result->physics.has_value());
  CHECK(result->elapsed() <= scene.options.question->budget);
  CHECK(result->blocks_of(confirmation) >= 10);
  for (const Block& block : result->blocks) {
    std::set<std::size_t> arms;
    for (const PlannedUnit& unit : block.units)
      arms.insert(unit.arm);
    CHECK(arms.contains(0));
    CHECK(arms.contains(1));
  }
  CHECK(any_note(scene, "blocks of confirmation fit the budget"));
  CHECK(any_note(scene, "80 % power"));
  CHECK(scene.left.back() < scene.left.front());
}

TEST_CASE("half of the arms go on after each round, and whoever goes on has met the gate",
          "[tuner][staged]") {
  Scene scene;
  const auto result = scene.run();
  REQUIRE(result);
  const Decision decision = decide(*result);
  REQUIRE(decision.path.size() == 3);  // 9 -> 5 -> 3, then the screen
  const auto kept = [](const PathStep& step) {
    return std::count_if(step.placings.begin(), step.placings.end(),
                         [](const Placing& p) { return p.is_kept; });
  };
  CHECK(decision.path[0].placings.size() == 9);
  CHECK(kept(decision.path[0]) == 5);
  CHECK(kept(decision.path[1]) == 3);
  CHECK(decision.path[2].stage == Stage::screen);
  for (const std::size_t arm : decision.confirmed)
    CHECK(result->gate_of(arm) != nullptr);
  CHECK(kept_of(1) == 1);
  CHECK(kept_of(3) == 3);
  CHECK(kept_of(4) == 3);
  CHECK(kept_of(24) == 12);
  CHECK(rounds_of(3) == 0);
  CHECK(rounds_of(24) == 3);
}

TEST_CASE("an arm that is a third faster is found, confirmed and BETTER", "[tuner][staged]") {
  Scene scene;
  scene.line.arms[canonical_text(arm_of(5))] = {1'060e6, 5'000, 1.5};
  const auto result = scene.run();
  REQUIRE(result);
  const Decision decision = decide(*result);
  CHECK(decision.claim == Claim::better);
  REQUIRE(decision.choice);
  const Arm& choice = result->header.arms[*decision.choice];
  CHECK(choice.settings.front().value == "1405");
  const auto pair = decision.between(*decision.choice, decision.incumbent);
  REQUIRE(pair);
  CHECK(pair->interval->contains(1'060.0 / 800));
  CHECK(pair->checks_agree);
  CHECK(decision.sentence.find("BETTER") == 0);
}

TEST_CASE("the fastest arm cannot win when it black-holes once, or fails the gate",
          "[tuner][staged]") {
  const std::string fastest = canonical_text(arm_of(3));
  for (const bool by_gate : {false, true}) {
    Scene scene;
    scene.line.arms[fastest] = {2'000e6, 5'000, 1.5};
    if (by_gate) {
      scene.line.is_gated = [&](const Arm& arm) { return canonical_text(arm).find("1403") != std::string::npos; };
    } else {
      scene.line.is_black_hole = [](const Arm& arm, std::size_t unit) {
        return canonical_text(arm).find("1403") != std::string::npos && unit > 60;
      };
    }
    const auto result = scene.run();
    REQUIRE(result);
    const Decision decision = decide(*result);
    CHECK((!decision.choice || result->header.arms[*decision.choice].settings.empty() ||
           result->header.arms[*decision.choice].settings.front().value != "1403"));
  }
}

TEST_CASE("whoever fails the gate behind the last round makes way for the next one", "[tuner][staged]") {
  Scene scene;
  scene.line.arms[canonical_text(arm_of(3))] = {2'000e6, 5'000, 1.5};
  scene.line.is_gated = [](const Arm& arm) { return canonical_text(arm).find("1403") != std::string::npos; };
  const auto result = scene.run();
  REQUIRE(result);
  const Decision decision = decide(*result);
  REQUIRE(decision.path.size() == 3);
  const auto& last = decision.path[1].placings;
  CHECK(std::count_if(last.begin(), last.end(), [](const Placing& p) { return p.is_kept; }) == 3);
  CHECK_FALSE(last.front().is_kept);
  CHECK(last.front().reason.find("the gate: ") == 0);
}

TEST_CASE("what fails while the bare line is down too is no failure of the arm", "[tuner][staged]") {
  for (const bool is_line_down : {false, true}) {
    Scene scene;
    scene.line.is_black_hole = [&](const Arm& arm, std::size_t unit) {
      if (unit != 20 && unit != 21) return false;
      return is_line_down || arm.carrier != ArmCarrier::bare;
    };
    const auto result = scene.run();
    REQUIRE(result);
    const auto failures = std::count_if(result->units.begin(), result->units.end(), [](const Unit& unit) {
      return unit.status == UnitStatus::arm_failed;
    });
    const auto harness = std::count_if(result->units.begin(), result->units.end(), [](const Unit& unit) {
      return unit.status == UnitStatus::harness_failed;
    });
    CAPTURE(is_line_down);
    CHECK((failures > 0) == !is_line_down);
    CHECK((harness > 0) == is_line_down);
    CHECK(result->is_complete());
  }
}

TEST_CASE("ten minutes are enough where the sweep may fit its trials to them", "[tuner][staged]") {
  for (const bool fits : {false, true}) {
    Scene scene;
    scene.options.question->budget = std::chrono::minutes(8);
    scene.options.question->fits_times = fits;
    scene.line.arms[canonical_text(arm_of(5))] = {1'600e6, 5'000, 1.5};
    const auto result = scene.run();
    REQUIRE(result);
    const Decision decision = decide(*result);
    INFO(decision.blocks << " blocks: " << decision.sentence);
    CHECK(result->elapsed() <= scene.options.question->budget);
    CHECK((decision.claim == Claim::better) == fits);
  }
}

TEST_CASE("what the line rules out is in the journal and in the report, with its reason", "[tuner][staged][journal]") {
  const std::string path = fresh_path("staged_ruled_out.jsonl");
  Scene scene;
  scene.options.journal_path = path;
  scene.options.sources.ruled_out = [](const Physics&) { return std::vector<std::string>{"jumbo: the line drops fragments"}; };
  REQUIRE(scene.run());
  const auto replayed = replay_sweep(path, Objective::slower_way);
  REQUIRE(replayed);
  const Report report = make_report(*replayed);
  CHECK(ruled_out_of(report.result) == std::vector<std::string>{"jumbo: the line drops fragments"});
  CHECK(text_of(report).find("Ruled out by the line:\n  jumbo: the line drops fragments") != std::string::npos);
  CHECK(any_note(scene, "ruled out: jumbo"));
}

TEST_CASE("the largest MTU that works joins the search, and one more is told not to work", "[tuner][staged][journal]") {
  const std::string path = fresh_path("staged_largest.jsonl");
  Scene scene;
  scene.options.journal_path = path;
  scene.options.sources.largest_mtu = FindLargestMtu{{"native largest", ArmCarrier::native, {}, "tried"}, 8'900, 9'000};
  scene.line.is_gated = [](const Arm& arm) {
    return std::any_of(arm.settings.begin(), arm.settings.end(), [](const Setting& setting) {
      return setting.name == "mtu" && std::stoul(setting.value) > 8'950;
    });
  };
  REQUIRE(scene.run());
  const auto replayed = replay_sweep(path, Objective::slower_way);
  REQUIRE(replayed);
  REQUIRE(replayed->largest_mtu);
  CHECK(replayed->largest_mtu->largest == 8'950);
  CHECK(replayed->largest_mtu->too_large == 8'951);
  CHECK(replayed->header.place_of(*parse_arm("native mtu=8950")));
  const std::string text = text_of(make_report(*replayed));
  CHECK(text.find("The largest MTU of \"native largest\" is 8950, found by sending") != std::string::npos);
  CHECK(replayed->elapsed() <= scene.options.question->budget);
}

TEST_CASE("a report says the whole command that measures it again", "[tuner][staged][report]") {
  const std::string path = fresh_path("staged_command.jsonl");
  Scene scene;
  scene.options.journal_path = path;
  scene.options.command = {"linktune", "sweep", "--lab", "lan", "--arm", "native mtu=9000"};
  REQUIRE(scene.run());
  const auto replayed = replay_sweep(path, Objective::slower_way);
  REQUIRE(replayed);
  CHECK(replayed->how_to_repeat() ==
        "linktune sweep --lab lan --arm 'native mtu=9000' --seed 42 --goal balanced --within 5% --confidence 95 --budget 40m");
  CHECK(text_of(make_report(*replayed)).find(replayed->how_to_repeat()) != std::string::npos);
  CHECK(replayed->how_to_resume().empty());
}

TEST_CASE("where time is up, the advice is a larger budget and not a second look", "[tuner][staged][report]") {
  Scene scene;
  scene.options.question->budget = std::chrono::minutes(3);
  scene.options.journal_path = fresh_path("staged_short.jsonl");
  const auto result = scene.run();
  REQUIRE(result);
  const Report report = make_report(*result);
  REQUIRE(report.decision->claim == Claim::inconclusive);
  const std::string advice = how_to_settle(report);
  CHECK(advice.find("--budget ") != std::string::npos);
  CHECK(advice.find("--budget 3m") == std::string::npos);
  CHECK(advice.find("--resume") == std::string::npos);
}

TEST_CASE("between two sites the way to go on names this site's config again", "[tuner][staged][report]") {
  SweepResult result;
  result.journal_path = "j.jsonl";
  result.header.question = Question{};
  result.header.command = {"linktune", "sweep", "--config", "/etc/link tune.toml"};
  CHECK(result.how_to_resume() == "linktune sweep --resume j.jsonl --config '/etc/link tune.toml'");
}

TEST_CASE("present settings that do not carry the line are beaten by those that do",
          "[tuner][staged]") {
  Scene scene;
  scene.line.is_black_hole = [](const Arm& arm, std::size_t) {
    return arm.carrier == ArmCarrier::native && arm.settings.empty();
  };
  const Decision decision = scene.decision();
  CHECK(decision.claim == Claim::better);
  CHECK(decision.choice != decision.incumbent);
}

TEST_CASE("balanced refuses a wait that throughput takes, and says its limit", "[tuner][staged]") {
  const auto chosen = [](Goal goal) {
    Scene scene;
    scene.options.question->goal = goal;
    scene.line.arms["bare"] = {1'500e6, 12'000, 0.3};
    scene.line.arms[canonical_text(arm_of(2))] = {1'100e6, 125'000, 1.5};
    const auto result = scene.run();
    REQUIRE(result);
    const Decision decision = decide(*result);
    REQUIRE(decision.choice);
    return std::pair(canonical_text(result->header.arms[*decision.choice]), decision);
  };
  const auto [fast, of_throughput] = chosen(Goal::throughput);
  CHECK(fast.find("1402") != std::string::npos);
  REQUIRE(of_throughput.price == std::nullopt);  // nothing within 4 % of it is calmer
  const auto [calm, of_balance] = chosen(Goal::balanced);
  CHECK(calm.find("1402") == std::string::npos);
  CHECK(of_balance.limit.wait_us_max == Approx(40'000));
  CHECK(of_balance.limit.sentence.find("40 ms") != std::string::npos);
}

TEST_CASE("of arms that carry as much, the one that waits less is chosen",
          "[tuner][staged]") {
  Scene scene;
  scene.options.sources = {};
  scene.options.question->goal = Goal::throughput;
  scene.line.restart = 0.007;
  scene.line.noise = 0.007;
  scene.line.bad_restarts = 0;
  scene.line.arms["native"] = {800e6, 60'000, 1.5};
  scene.line.arms[canonical_text(arm_of(1))] = {798e6, 20'000, 1.5};
  for (const std::size_t i : {0U, 2U, 3U, 4U, 5U, 6U, 7U})
    scene.line.arms[canonical_text(arm_of(i))] = {500e6, 60'000, 1.5};
  const auto result = scene.run();
  REQUIRE(result);
  const Decision decision = decide(*result);
  INFO(text_of(make_report(*result)));
  CHECK(decision.claim == Claim::equivalent);
  REQUIRE(decision.choice);
  CHECK(result->header.arms[*decision.choice].settings.front().value == "1401");
  CHECK(decision.choice_reason.find("waits least") == 0);
  CHECK(std::find(decision.pareto.begin(), decision.pareto.end(), *decision.choice) !=
        decision.pareto.end());
}

TEST_CASE("a difference within the owner's tolerance is EQUIVALENT however sure it is, and BETTER to who tolerates less",
          "[tuner][staged]") {
  const auto decision_within = [](double within) {
    Scene scene;
    scene.options.sources = {};
    scene.options.question->within = within;
    scene.options.arms = {*parse_arm("bare"), *parse_arm("native"), arm_of(1)};
    scene.line.restart = 0.004;
    scene.line.noise = 0.004;
    scene.line.drift = 0.01;
    scene.line.bad_restarts = 0;
    scene.line.arms["native"] = {800e6, 20'000, 1.5};
    scene.line.arms[canonical_text(arm_of(1))] = {824e6, 20'000, 1.5};
    return scene.decision();
  };
  const Decision tolerant = decision_within(0.05);
  const Decision strict = decision_within(0.01);
  for (const Decision* decision : {&tolerant, &strict}) {
    INFO(decision->sentence);
    REQUIRE(decision->comparisons.size() == 1);
    const Comparison pair = *decision->between(2, 1);
    REQUIRE(pair.interval);
    CHECK(pair.interval->low > 1);  // both are sure of it
  }
  CHECK(tolerant.claim == Claim::equivalent);
  CHECK(tolerant.choice == tolerant.incumbent);
  CHECK(tolerant.comparisons.front().claim == Claim::equivalent);
  CHECK(tolerant.sentence == "EQUIVALENT: the present settings are fine; nothing that was confirmed beats them by more than 5 %.");
  CHECK(strict.claim == Claim::better);
  CHECK(strict.choice == 2);
}

TEST_CASE("what the last of the goodput costs in waiting is told", "[tuner][staged]") {
  Scene scene;
  scene.options.sources = {};
  scene.options.arms.resize(5);
  scene.line.restart = 0.005;
  scene.line.noise = 0.005;
  scene.line.bad_restarts = 0;
  scene.line.arms["native"] = {800e6, 60'000, 1.5};
  scene.line.arms[canonical_text(arm_of(0))] = {780e6, 20'000, 1.5};
  scene.line.arms[canonical_text(arm_of(1))] = {600e6, 1'000, 1.5};
  scene.line.arms[canonical_text(arm_of(2))] = {790e6, 180'000, 1.5};  // a long queue, for nothing
  const Decision decision = scene.decision();
  REQUIRE(decision.price);
  CHECK(decision.price->longest == 4);
  CHECK(decision.price->longest_wait_us > 8 * decision.price->calmer_wait_us);
  CHECK(decision.price->sentence.find("carries no more and waits") != std::string::npos);
  CHECK(decision.price->fastest == 1);
  CHECK(decision.price->calmer == 2);
  CHECK(decision.price->goodput_share == Approx(0.025).margin(0.01));
  CHECK(decision.price->fastest_wait_us > 2 * decision.price->calmer_wait_us);
  CHECK(decision.price->sentence.find("of waiting under load") != std::string::npos);
}

TEST_CASE("an arm that is slower, waits longer and costs more is outside the Pareto set",
          "[tuner][staged]") {
  Scene scene;
  scene.options.arms = {*parse_arm("bare"), *parse_arm("native"), arm_of(0)};
  scene.options.sources = {};
  scene.line.arms["native"] = {800e6, 5'000, 1.5};
  scene.line.arms[canonical_text(arm_of(0))] = {500e6, 9'000, 2.5};
  const Decision decision = scene.decision();
  CHECK(decision.pareto == std::vector<std::size_t>{1});
  CHECK(decision.choice == 1);
  CHECK(decision.claim == Claim::equivalent);
}

TEST_CASE("each knob is said to do what it does, or not to be told apart", "[tuner][staged]") {
  Scene scene;
  scene.options.sources = {};
  scene.options.arms = {*parse_arm("bare"), *parse_arm("native"), *parse_arm("native mtu=9000"),
                        *parse_arm("native tun_queue=64")};
  scene.line.arms["native mtu=9000"] = {1'200e6, 5'000, 1.5};
  const Decision decision = scene.decision();
  REQUIRE(decision.knobs.size() == 2);
  for (const KnobEffect& effect : decision.knobs) {
    CHECK(effect.from == "default");
    REQUIRE(effect.goodput);
    if (effect.knob == "mtu") {
      CHECK(effect.goodput->low > 1.3);
      CHECK(effect.sentence.find("mtu from default to 9000: goodput +") == 0);
    } else {
      CHECK(effect.goodput->contains(1.0));
      CHECK(effect.sentence.find("not told apart") != std::string::npos);
    }
  }
}

TEST_CASE("a budget too small for ten blocks shows only what few can show, and is kept", "[tuner][staged]") {
  for (const int minutes : {1, 3, 6, 10}) {
    Scene scene;
    scene.options.question->budget = std::chrono::minutes(minutes);
    scene.line.arms[canonical_text(arm_of(5))] = {2'000e6, 5'000, 1.5};
    const auto result = scene.run();
    REQUIRE(result);
    const Decision decision = decide(*result);
    INFO(minutes << " min, " << decision.blocks << " blocks: " << decision.sentence);
    if (decision.blocks < 6) CHECK(decision.claim == Claim::inconclusive);
    if (decision.blocks < 10) CHECK(decision.claim != Claim::equivalent);
    // A calibration is always made; all else keeps the budget.
    if (minutes > 3) CHECK(result->elapsed() <= scene.options.question->budget);
  }
}

TEST_CASE("a failing bench is not the arm's fault, and a sham without its start is no measurement",
          "[tuner][staged]") {
  Scene scene;
  scene.line.is_harness_failure = [](std::size_t unit) { return unit % 17 == 5; };
  const auto result = scene.run();
  REQUIRE(result);
  for (const Unit& unit : result->units) {
    CHECK(unit.status != UnitStatus::arm_failed);
    if (unit.is_sham && unit.sample)
      CHECK(result->units[static_cast<std::size_t>(&unit - result->units.data()) - 1].sample.has_value());
  }
  CHECK(decide(*result).blocks >= 10);
}

TEST_CASE("restarts are blamed only when they differ by more than shams and drift",
          "[tuner][staged]") {
  const auto shown = [](double restart, double drift) {
    int count = 0;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
      Scene scene;
      scene.options.arms.resize(3);
      scene.options.sources = {};
      scene.line.seed = seed;
      scene.line.restart = restart;
      scene.line.drift = drift;
      scene.line.bad_restarts = 0;
      const Decision decision = scene.decision();
      CHECK(decision.restart.shams >= 10);
      CHECK(decision.restart.sentence.find("the bare line") != std::string::npos);
      count += decision.restart.is_shown ? 1 : 0;
    }
    return count;
  };
  CHECK(shown(0.00, 0.20) <= 4);
  CHECK(shown(0.15, 0.05) >= 36);
}

// What was measured before the cut, so that the simulated world goes on where it was.
static std::size_t units_that_count(const Evidence& evidence) {
  return static_cast<std::size_t>(
      std::count_if(evidence.units.begin(), evidence.units.end(), [&](const Unit& unit) {
        return evidence.blocks[unit.block].stage != Stage::recheck;
      }));
}

static std::string verdict_text(const SweepResult& result) {
  Json json = json_of(make_report(result));
  return to_line(json["decision"]) + to_line(json["arms"]);
}

TEST_CASE("a sweep killed at any line of its journal, or within one, resumes to the same verdict",
          "[tuner][staged][journal]") {
  const std::string path = memory_path("staged_killed.jsonl");
  LT_DEFER(::unlink(path.c_str()));
  Scene whole;
  whole.options.question->budget = std::chrono::minutes(25);
  whole.options.journal_path = path;
  whole.line.arms[canonical_text(arm_of(5))] = {900e6, 5'000, 1.5};
  const auto unbroken = whole.run();
  REQUIRE(unbroken);
  const std::string expected = verdict_text(*unbroken);
  const std::string journal = *read_file(path, 64 << 20);
  std::vector<std::size_t> cuts;
  for (std::size_t at = journal.find('\n'); at != std::string::npos; at = journal.find('\n', at + 1)) {
    cuts.push_back(at + 1);
    cuts.push_back(std::min(journal.size(), at + 1 + (at * 7919) % 300));  // within the next line
  }
  std::size_t differing = 0;
  for (const std::size_t cut : cuts) {
    REQUIRE(write_file(path, journal.substr(0, cut), 0600));
    const auto kept = read_journal(path);
    REQUIRE(kept);
    Scene scene;
    scene.options.journal_path = path;
    scene.options.resume = true;
    scene.options.arms.clear();
    scene.options.question.reset();
    scene.line = whole.line;
    scene.line.units_before = units_that_count(*kept);
    const auto resumed = scene.run();
    REQUIRE(resumed);
    CHECK(resumed->epochs.empty());
    const std::string after = verdict_text(*resumed);
    differing += after == expected ? 0U : 1U;
    if (after != expected) {
      INFO("cut at " << cut << " of " << journal.size());
      CHECK(to_line(json_of(make_report(*resumed))["decision"]["verdict"]) ==
            to_line(json_of(make_report(*unbroken))["decision"]["verdict"]));
    }
  }
  CHECK(differing == 0);
  CHECK(cuts.size() > 200);
}

TEST_CASE("a stop request ends a sweep cleanly, and it goes on to the same verdict",
          "[tuner][staged][journal]") {
  const std::string path = fresh_path("staged_stopped.jsonl");
  Scene whole;
  const std::string expected = verdict_text(*whole.run());
  Scene first;
  first.options.journal_path = path;
  first.line.stop_at = 40;
  const auto stopped = first.run();
  REQUIRE(stopped);
  CHECK(stopped->is_stopped);
  CHECK_FALSE(stopped->is_complete());
  CHECK(stopped->how_to_resume() == "linktune sweep --resume " + path);
  Scene second;
  second.options.journal_path = path;
  second.options.resume = true;
  second.line.units_before = units_that_count(*stopped);
  const auto resumed = second.run();
  REQUIRE(resumed);
  CHECK(verdict_text(*resumed) == expected);
}

TEST_CASE("a report from the journal is the report of the run, byte for byte",
          "[tuner][staged][report]") {
  const std::string path = fresh_path("staged_replay.jsonl");
  Scene scene;
  scene.options.journal_path = path;
  const auto result = scene.run();
  REQUIRE(result);
  const auto again = replay_sweep(path, Objective::slower_way);
  REQUIRE(again);
  CHECK(text_of(make_report(*again)) == text_of(make_report(*result)));
  CHECK(to_pretty(json_of(make_report(*again))) == to_pretty(json_of(make_report(*result))));
  // Not a property of any text: another result reads otherwise.
  SweepResult other = *again;
  other.units.back().sample->up = BitsPerSecond{1};
  CHECK(text_of(make_report(other)) != text_of(make_report(*result)));
}

TEST_CASE("another kernel, or another line, begins a new epoch when a sweep is resumed",
          "[tuner][staged][journal]") {
  for (const bool by_kernel : {true, false}) {
    const std::string path = fresh_path("staged_epoch.jsonl");
    Scene first;
    first.options.journal_path = path;
    first.line.drift = 0.01;
    first.line.noise = 0.01;
    first.line.stop_at = 110;
    const auto stopped = first.run();
    REQUIRE(stopped);
    REQUIRE(stopped->is_stopped);
    Scene second;
    second.options.journal_path = path;
    second.options.resume = true;
    second.line = first.line;
    second.line.stop_at = SIZE_MAX;
    second.line.units_before = units_that_count(*stopped);
    if (by_kernel) {
      second.line.facts = {{"kernel", "Simulated 2.0"}};
    } else {
      second.line.shift = 0.5;
    }
    const auto resumed = second.run();
    REQUIRE(resumed);
    REQUIRE(resumed->epochs.size() == 1);
    CHECK(resumed->blocks.back().epoch == 1);
    CHECK(resumed->blocks.front().epoch == 0);
    CHECK(any_note(second, "a new epoch begins"));
  }
}

TEST_CASE("a full disk ends a sweep with how to go on, and it does go on",
          "[tuner][staged][journal]") {
  const std::string path = fresh_path("staged_full.jsonl");
  Scene whole;
  const std::string expected = verdict_text(*whole.run());
  struct rlimit old {};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
  {
    std::signal(SIGXFSZ, SIG_IGN);
    struct rlimit small = old;
    small.rlim_cur = 40'000;
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
    LT_DEFER(::setrlimit(RLIMIT_FSIZE, &old));
    Scene scene;
    scene.options.journal_path = path;
    const auto result = scene.run();
    REQUIRE_FALSE(result);
    CHECK(result.error().what.find("--resume " + path) != std::string::npos);
  }
  const auto kept = read_journal(path);
  REQUIRE(kept);
  Scene scene;
  scene.options.journal_path = path;
  scene.options.resume = true;
  scene.line.units_before = units_that_count(*kept);
  const auto result = scene.run();
  REQUIRE(result);
  CHECK(verdict_text(*result) == expected);
}

TEST_CASE("a question without bare line, or about an arm that is not there, is refused",
          "[tuner][staged]") {
  Scene scene;
  scene.options.arms.erase(scene.options.arms.begin());
  CHECK(scene.run().error().code == Errc::invalid);
  Scene other;
  other.options.question->incumbent = *parse_arm("native mtu=1234");
  CHECK(other.run().error().code == Errc::invalid);
  Scene bare;
  bare.options.question->incumbent = *parse_arm("bare");
  CHECK(bare.run().error().code == Errc::invalid);
}

#include "app/cmd_grid.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "app/cmd_openvpn.h"
#include "app/cmd_sweep.h"
#include "app/lab_bench.h"
#include "app/progress.h"
#include "app/text_table.h"
#include "base/fd.h"
#include "base/format.h"
#include "base/text.h"
#include "tuner/fields.h"
#include "tuner/grid.h"
#include "tuner/journal.h"
#include "tuner/random.h"

namespace lt::app {

namespace {

constexpr std::string_view grid_schema = "linktune.grid/1";
constexpr std::size_t result_bytes_max = 1U << 20;
constexpr std::size_t text_length_max = 1024;
constexpr std::size_t profiles_max = 256;
constexpr std::size_t grid_blocks_as_sure = tuner::blocks_for_decision;

// What came of one profile.
struct GridFinding {
  std::string name;
  std::string line;
  std::string goal;
  std::string choice;          // canonical text of the sweep's; empty: it chose nothing
  std::string best;            // of the grid's; empty: none passed
  std::vector<std::string> gated_out;  // arms ahead of the best that the gate refused
  double ratio{0};             // of the choice to the best; 1 when they are the same
  tuner::Interval interval{};
  std::uint64_t duel_blocks{0};  // 0: they are the same arm
  std::uint64_t arms{0};         // of the grid
  std::uint64_t blocks{0};
  std::uint64_t arms_whole{0};   // of the space, and one knob away from it
  double sweep_seconds{0};
  double grid_seconds{0};        // of the trials that were run, without gates

  // The grid with as many fresh starts of each arm as a decision takes.
  [[nodiscard]] double sure_seconds() const {
    return blocks == 0 ? 0 : grid_seconds * static_cast<double>(grid_blocks_as_sure) / static_cast<double>(blocks);
  }
  [[nodiscard]] double whole_seconds() const {
    return arms == 0 ? 0 : grid_seconds * static_cast<double>(arms_whole) / static_cast<double>(arms);
  }
  [[nodiscard]] bool is_near() const { return !choice.empty() && ratio >= tuner::near_the_best; }
};

Json to_json(const GridFinding& finding) {
  return {{"schema", grid_schema},
          {"name", finding.name},
          {"line", finding.line},
          {"goal", finding.goal},
          {"choice", finding.choice},
          {"best", finding.best},
          {"gated_out", finding.gated_out},
          {"ratio", finding.ratio},
          {"ratio_low", finding.interval.low},
          {"ratio_high", finding.interval.high},
          {"duel_blocks", finding.duel_blocks},
          {"arms", finding.arms},
          {"blocks", finding.blocks},
          {"arms_whole", finding.arms_whole},
          {"sweep_seconds", finding.sweep_seconds},
          {"grid_seconds", finding.grid_seconds}};
}

Result<GridFinding> finding_from_json(const Json& value) {
  using tuner::number_field;
  using tuner::text_field;
  using tuner::whole_field;
  LT_TRY(const std::string schema, text_field(value, "schema", text_length_max));
  if (schema != grid_schema) return fail(Errc::invalid, "`schema` must be " + std::string(grid_schema));
  GridFinding finding;
  LT_TRY(finding.name, text_field(value, "name", text_length_max));
  LT_TRY(finding.line, text_field(value, "line", text_length_max));
  LT_TRY(finding.goal, text_field(value, "goal", text_length_max));
  LT_TRY(finding.choice, text_field(value, "choice", text_length_max));
  LT_TRY(finding.best, text_field(value, "best", text_length_max));
  LT_TRY(const Json gated, tuner::list_field(value, "gated_out", tuner::arms_max));
  for (const Json& arm : gated) {
    if (!arm.is_string()) return fail(Errc::invalid, "`gated_out` must hold arms");
    finding.gated_out.push_back(arm.get<std::string>());
  }
  LT_TRY(finding.ratio, number_field(value, "ratio"));
  LT_TRY(finding.interval.low, number_field(value, "ratio_low"));
  LT_TRY(finding.interval.high, number_field(value, "ratio_high"));
  LT_TRY(finding.duel_blocks, whole_field(value, "duel_blocks", {0, tuner::sweep_blocks_max}));
  LT_TRY(finding.arms, whole_field(value, "arms", {0, 100'000}));
  LT_TRY(finding.blocks, whole_field(value, "blocks", {0, tuner::sweep_blocks_max}));
  LT_TRY(finding.arms_whole, whole_field(value, "arms_whole", {0, 100'000}));
  LT_TRY(finding.sweep_seconds, number_field(value, "sweep_seconds"));
  LT_TRY(finding.grid_seconds, number_field(value, "grid_seconds"));
  return finding;
}

Result<GridFinding> read_finding(const std::string& path) {
  LT_TRY(const std::string text, read_file(path, result_bytes_max));
  LT_TRY(const Json value, parse_json(text, path));
  auto finding = finding_from_json(value);
  if (!finding) return fail(with_context(finding.error(), path));
  return finding;
}

double seconds_of(Milliseconds time) { return static_cast<double>(time.count()) / 1000; }

Status interrupted() { return fail(Errc::interrupted, "interrupted; nothing is left behind, and the same command goes on"); }

// One profile, part by part.
class Walk {
 public:
  Walk(const GridCommand& command, const std::stop_token& stop) : command_(command), stop_(stop) {}

  Result<GridFinding> run() {
    if (std::filesystem::exists(path("json"))) return read_finding(path("json"));
    const lab::SandboxOptions stage{.name = "grid-" + name(),
                                    .profile = command_.profile,
                                    .settings = command_.lab_words,
                                    .seed = command_.seed};
    LT_TRY(sandbox_, lab::Sandbox::build(stage));
    LT_TRY(bench_, LabBench::create(*sandbox_, line(), command_.with_openvpn));
    LT_CHECK(sweep());
    LT_CHECK(grid());
    LT_CHECK(find_best());
    LT_CHECK(duel());
    LT_CHECK(write_file(path("json"), to_pretty(to_json(finding_)), 0644));
    return finding_;
  }

 private:
  [[nodiscard]] std::string name() const { return command_.name.empty() ? command_.profile : command_.name; }
  [[nodiscard]] std::string line() const {
    return command_.lab_words.empty() ? command_.profile : command_.profile + " " + join(command_.lab_words, " ");
  }
  [[nodiscard]] std::string path(std::string_view what) const {
    return command_.folder + "/" + name() + "." + std::string(what);
  }
  [[nodiscard]] tuner::Goal goal() const { return *tuner::goal_from_name(command_.goal); }

  [[nodiscard]] SweepCommand as_sweep() const {
    SweepCommand sweep;
    sweep.lab_profile = command_.profile;
    sweep.lab_words = command_.lab_words;
    sweep.goal = command_.goal;
    sweep.with_native = command_.with_native;
    sweep.with_openvpn = command_.with_openvpn;
    sweep.seed = command_.seed;
    sweep.seconds = command_.seconds;
    sweep.omit_seconds = command_.omit_seconds;
    sweep.budget = command_.budget;
    sweep.journal = path("sweep.jsonl");
    return sweep;
  }

  // Runs what is left of a part; of one that is complete, nothing.
  Result<tuner::SweepResult> carried_out(tuner::SweepOptions options) {
    options.stop = stop_;
    if (std::filesystem::exists(options.journal_path)) {
      LT_TRY(auto so_far, tuner::replay_sweep(options.journal_path, options.objective));
      if (so_far.is_finished || so_far.is_out_of_time) return so_far;
      options.resume = true;
    }
    TerminalProgress progress;
    LT_TRY(auto result, tuner::run_sweep(*bench_, options, progress));
    if (result.is_stopped) return fail(interrupted().error());
    return result;
  }

  Status sweep() {
    const SweepCommand asked = as_sweep();
    LT_TRY(auto options, sweep_options_of(asked));
    LT_TRY(auto result, carried_out(std::move(options)));
    if (!result.physics) return fail(Errc::invalid, path("sweep.jsonl") + " says nothing of the line");
    space_ = {.with_native = command_.with_native, .with_openvpn = command_.with_openvpn, .physics = result.physics->physics};
    if (const auto version = installed_openvpn_version(); command_.with_openvpn && version) space_.openvpn_version = *version;
    finding_.name = name();
    finding_.line = line();
    finding_.goal = command_.goal;
    finding_.sweep_seconds = seconds_of(result.elapsed());
    const auto report = tuner::make_report(std::move(result));
    if (report.decision && report.decision->choice) choice_ = report.result.header.arms[*report.decision->choice];
    if (choice_) finding_.choice = tuner::canonical_text(*choice_);
    return {};
  }

  [[nodiscard]] tuner::SweepOptions ranking(std::vector<tuner::Arm> arms, std::size_t blocks, std::string_view what) const {
    tuner::SweepOptions options;
    options.arms = std::move(arms);
    options.blocks = blocks;
    options.seed = tuner::derive_seed(command_.seed, what.size());
    options.plan.duration = std::chrono::seconds(command_.seconds);
    options.plan.omit = std::chrono::seconds(command_.omit_seconds);
    options.journal_path = path(std::string(what) + ".jsonl");
    return options;
  }

  Status grid() {
    LT_TRY(grid_, carried_out(ranking(tuner::grid_arms(space_, command_.is_whole), command_.blocks, "grid")));
    finding_.arms = grid_.header.arms.size();
    finding_.blocks = grid_.blocks.size();
    finding_.arms_whole = tuner::grid_arms(space_, true).size();
    finding_.grid_seconds = seconds_of(grid_.elapsed());
    return {};
  }

  // The first that passes the gate; the sweep's choice has passed it.
  Status find_best() {
    for (const tuner::GridPlace& place : tuner::grid_order(grid_, goal())) {
      if (!place.out_because.empty()) break;
      const tuner::Arm& arm = grid_.header.arms[place.arm];
      LT_TRY(const bool is_right, passes_gate(arm));
      if (is_right) {
        best_ = arm;
        finding_.best = tuner::canonical_text(arm);
        return {};
      }
      finding_.gated_out.push_back(tuner::canonical_text(arm));
    }
    return {};
  }

  Result<bool> passes_gate(const tuner::Arm& arm) {
    if (choice_ && tuner::canonical_text(arm) == finding_.choice) return true;
    if (stop_.stop_requested()) return fail(interrupted().error());
    LT_TRY(const tuner::Started started, bench_->prepare(arm, stop_));
    if (started.failure) {
      LT_CHECK(bench_->dismantle());
      return false;
    }
    const auto outcome = bench_->gate(stop_);
    LT_CHECK(bench_->dismantle());
    if (!outcome) return fail(outcome.error());
    return !outcome->failure;
  }

  Status duel() {
    if (!choice_ || !best_) return {};
    if (finding_.choice == finding_.best) {
      finding_.ratio = 1;
      finding_.interval = {1, 1};
      return {};
    }
    LT_TRY(const auto result, carried_out(ranking({*choice_, *best_}, command_.duel_blocks, "duel")));
    const auto choice = result.header.place_of(*choice_);
    const auto best = result.header.place_of(*best_);
    if (!choice || !best) return fail(Errc::invalid, path("duel.jsonl") + " is of other arms: remove it");
    const tuner::Duel duel = tuner::duel_of(result, *choice, *best, goal());
    finding_.ratio = duel.ratio;
    finding_.interval = duel.interval.value_or(tuner::Interval{});
    finding_.duel_blocks = duel.blocks;
    return {};
  }

  const GridCommand& command_;
  const std::stop_token& stop_;
  std::optional<lab::Sandbox> sandbox_;
  std::unique_ptr<LabBench> bench_;
  tuner::SpaceOptions space_{};
  tuner::SweepResult grid_{};
  std::optional<tuner::Arm> choice_;
  std::optional<tuner::Arm> best_;
  GridFinding finding_;
};

Result<std::vector<GridFinding>> read_folder(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".json" && paths.size() < profiles_max) paths.push_back(entry.path().string());
  }
  if (error) return fail(Errc::not_found, "cannot read the folder " + folder + ": " + error.message());
  std::sort(paths.begin(), paths.end());
  std::vector<GridFinding> findings;
  for (const std::string& path : paths) {
    LT_TRY(auto finding, read_finding(path));
    findings.push_back(std::move(finding));
  }
  return findings;
}

std::string percent(double share) { return format("{:.1f} %", 100 * share); }

double share(double part, double whole) { return whole > 0 ? part / whole : 0; }

TextTable table_of(const std::vector<GridFinding>& findings) {
  TextTable table{{"line", "choice of the sweep", "best of the grid", "ratio", "95 %", "sweep s", "grid s", "of it", "of one as sure", "of the whole"}};
  for (const GridFinding& each : findings) {
    table.rows.push_back({each.line + " (" + each.goal + ")",
                          each.choice.empty() ? "none" : each.choice,
                          each.best.empty() ? "none" : each.best == each.choice ? "the same" : each.best,
                          percent(each.ratio),
                          each.duel_blocks == 0 ? "-" : percent(each.interval.low) + " .. " + percent(each.interval.high),
                          format("{:.0f}", each.sweep_seconds),
                          format("{:.0f}", each.grid_seconds),
                          percent(share(each.sweep_seconds, each.grid_seconds)),
                          percent(share(each.sweep_seconds, each.sure_seconds())),
                          percent(share(each.sweep_seconds, each.whole_seconds()))});
  }
  return table;
}

Outcome outcome_of(const std::vector<GridFinding>& findings) {
  const auto near = std::count_if(findings.begin(), findings.end(), [](const GridFinding& each) { return each.is_near(); });
  const auto quick = std::count_if(findings.begin(), findings.end(), [](const GridFinding& each) {
    return each.sweep_seconds <= tuner::time_share_allowed * each.sure_seconds();
  });
  Json list = Json::array();
  for (const GridFinding& each : findings) list.push_back(to_json(each));
  Outcome outcome;
  outcome.json = {{"schema", "linktune.grid-report/1"}, {"near", near}, {"quick", quick}, {"lines", list}};
  outcome.text = table_of(findings).text() +
                 format("\nwithin 5 % of the best: {} of {} lines; in a fifth of the time of a grid with {} starts of each arm: {}\n"
                        "\"grid s\": the starts that were measured. \"the whole\": every arm that is one knob away as well, as often started.\n",
                        near, findings.size(), grid_blocks_as_sure, quick);
  const bool is_good = !findings.empty() && static_cast<double>(near) >= tuner::near_the_best * static_cast<double>(findings.size());
  outcome.exit_code = is_good ? exit_done : exit_failed;
  return outcome;
}

}  // namespace

Result<Outcome> run_grid(const GridCommand& command, const std::stop_token& stop) {
  if (!command.profile.empty()) {
    if (::mkdir(command.folder.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno(errno, "cannot make " + command.folder);
    LT_TRY(const GridFinding finding, Walk(command, stop).run());
    return outcome_of({finding});
  }
  LT_TRY(const auto findings, read_folder(command.folder));
  if (findings.empty()) return fail(Errc::not_found, command.folder + " holds no result yet: name a profile with --profile");
  return outcome_of(findings);
}

}  // namespace lt::app

#include "app/cmd_sweep.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "app/lab_bench.h"
#include "base/format.h"
#include "tuner/random.h"
#include "tuner/space.h"

namespace lt::app {

namespace {

// One line a unit, with what is left; on a terminal the running unit shows as well.
class TerminalProgress final : public tuner::Progress {
 public:
  void unit_starts(const tuner::SweepProgress& progress) override {
    if (!is_terminal_) return;
    std::fprintf(stderr, "\r\033[K  %s  %s", position(progress).c_str(), progress.arm->label.c_str());
  }
  void unit_ended(const tuner::SweepProgress& progress, const tuner::Unit& unit) override {
    if (is_terminal_) std::fputs("\r\033[K", stderr);
    std::fprintf(stderr, "  %s  %-32s %s\n", position(progress).c_str(), progress.arm->label.c_str(), outcome(unit).c_str());
  }
  void note(std::string_view sentence) override {
    std::fprintf(stderr, "%s  %.*s\n", is_terminal_ ? "\r\033[K" : "", static_cast<int>(sentence.size()), sentence.data());
  }

 private:
  static std::string position(const tuner::SweepProgress& progress) {
    const auto left = std::chrono::ceil<std::chrono::seconds>(progress.left).count();
    return format("[{:>3}/{}] {}:{:02} left", progress.units_done, progress.units_total,
                  left / 60, left % 60);
  }
  static std::string outcome(const tuner::Unit& unit) {
    if (!unit.sample) return "failed: " + (unit.error ? unit.error->text() : "not measured");
    const tuner::Sample& sample = *unit.sample;
    if (sample.failure) return "failed: " + sample.failure->text();
    const auto rate = [](const std::optional<BitsPerSecond>& value) {
      return value ? format("{:.0f}", static_cast<double>(value->value) / 1e6) : std::string("-");
    };
    return format("up {} down {} Mbit/s, {:.1f} ms loaded", rate(sample.up), rate(sample.down),
                  sample.loaded.us_p50 / 1000);
  }

  bool is_terminal_{::isatty(STDERR_FILENO) == 1};
};

Result<std::vector<tuner::Arm>> arms_of(const SweepCommand& command) {
  if (command.arms.empty()) {
    return tuner::default_arms({.quick = command.quick, .with_native = command.with_native, .with_openvpn = command.with_openvpn});
  }
  // The bare line and the defaults are always in: without them no number means anything.
  std::vector<tuner::Arm> arms{{"bare line", tuner::ArmCarrier::bare, {}, "the line without a tunnel"}};
  for (const std::string& text : command.arms) {
    LT_TRY(auto arm, tuner::parse_arm(text));
    arms.push_back(std::move(arm));
  }
  return arms;
}

// A value that no knob takes is a usage error now, not a failed trial in ten minutes.
Status check_arms(const std::vector<tuner::Arm>& arms) {
  for (const tuner::Arm& arm : arms) {
    Status checked;
    if (arm.carrier == tuner::ArmCarrier::native) {
      if (const auto knobs = native_knobs_of(arm); !knobs) checked = fail(knobs.error());
    } else if (arm.carrier == tuner::ArmCarrier::openvpn) {
      if (const auto knobs = openvpn_knobs_of(arm); !knobs) checked = fail(knobs.error());
    }
    if (!checked) return fail(with_context(checked.error(), "--arm \"" + arm.label + "\""));
  }
  return {};
}

bool needs_openvpn(const std::vector<tuner::Arm>& arms) {
  return std::any_of(arms.begin(), arms.end(), [](const tuner::Arm& arm) { return arm.carrier == tuner::ArmCarrier::openvpn; });
}

Outcome outcome_of(const tuner::Report& report) {
  const bool has_winner = report.verdict.ahead.has_value();
  return {tuner::json_of(report), tuner::text_of(report), has_winner ? exit_done : exit_inconclusive};
}

}  // namespace

Result<tuner::Report> sweep_lab(const lab::Sandbox& sandbox, const tuner::SweepOptions& options) {
  LT_TRY(const auto bench, LabBench::create(sandbox, needs_openvpn(options.arms)));
  TerminalProgress progress;
  LT_TRY(auto result, tuner::run_sweep(*bench, options, progress));
  return tuner::make_report(std::move(result));
}

Result<Outcome> run_sweep_command(const SweepCommand& command, const std::stop_token& stop) {
  if (command.lab_profile.empty()) {
    return fail(Errc::unsupported,
                "a sweep between two machines is not built yet; measure in a lab: linktune sweep --lab wan");
  }
  LT_TRY(auto arms, arms_of(command));
  LT_CHECK(check_arms(arms));
  const std::uint64_t seed = command.seed.value_or(tuner::fresh_seed());
  tuner::SweepOptions options;
  options.arms = std::move(arms);
  options.plan.duration = std::chrono::seconds(command.seconds);
  options.plan.omit = std::chrono::seconds(command.omit_seconds);
  options.plan.congestion = command.congestion;
  LT_CHECK(tuner::validate(options.plan));
  options.seed = seed;
  options.blocks = command.blocks;
  if (command.budget_minutes) options.budget = std::chrono::minutes(*command.budget_minutes);
  options.journal_path = command.journal.empty() ? format("linktune-sweep-{}.jsonl", seed) : command.journal;
  options.resume = command.resume;
  options.stop = stop;

  LT_TRY(const auto sandbox, lab::Sandbox::build({.name = "sweep", .profile = command.lab_profile,
                                                  .settings = command.lab_words, .seed = seed}));
  LT_TRY(const auto report, sweep_lab(sandbox, options));
  if (report.result.is_stopped) {
    return fail(Errc::interrupted, "interrupted; nothing is left behind. Go on with: " + report.result.how_to_resume());
  }
  if (!command.csv_path.empty()) LT_CHECK(write_file(command.csv_path, tuner::csv_of(report), 0644));
  return outcome_of(report);
}

Result<Outcome> run_replay(const std::string& journal) {
  LT_TRY(auto result, tuner::replay_sweep(journal, tuner::Objective::slower_way));
  return outcome_of(tuner::make_report(std::move(result)));
}

}  // namespace lt::app

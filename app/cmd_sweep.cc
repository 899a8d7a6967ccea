#include "app/cmd_sweep.h"

#include <algorithm>

#include "app/lab_bench.h"
#include "app/progress.h"
#include "base/format.h"
#include "base/text.h"
#include "tuner/journal.h"
#include "tuner/random.h"
#include "tuner/space.h"

namespace lt::app {

namespace {

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

Result<tuner::Report> sweep_lab(const lab::Sandbox& sandbox, const std::string& line, const tuner::SweepOptions& options) {
  LT_TRY(const auto bench, LabBench::create(sandbox, line, needs_openvpn(options.arms)));
  TerminalProgress progress;
  LT_TRY(auto result, tuner::run_sweep(*bench, options, progress));
  return tuner::make_report(std::move(result));
}

namespace {

// What is measured, and on which line.
struct Job {
  tuner::SweepOptions options;
  std::string profile;
  std::vector<std::string> words;

  [[nodiscard]] std::string line() const {
    return words.empty() ? profile : profile + " " + join(words, " ");
  }
};

Result<Job> new_job(const SweepCommand& command) {
  if (command.lab_profile.empty()) {
    return fail(Errc::unsupported,
                "a sweep between two machines is not built yet; measure in a lab: linktune sweep --lab wan");
  }
  Job job{{}, command.lab_profile, command.lab_words};
  LT_TRY(job.options.arms, arms_of(command));
  LT_CHECK(check_arms(job.options.arms));
  job.options.plan.duration = std::chrono::seconds(command.seconds);
  job.options.plan.omit = std::chrono::seconds(command.omit_seconds);
  job.options.plan.congestion = command.congestion;
  LT_CHECK(tuner::validate(job.options.plan));
  job.options.seed = command.seed.value_or(tuner::fresh_seed());
  job.options.blocks = command.blocks;
  job.options.journal_path = command.journal.empty() ? format("linktune-sweep-{}.jsonl", job.options.seed) : command.journal;
  return job;
}

// Arms, plan, seed, blocks and line are the journal's.
Result<Job> resumed_job(const SweepCommand& command) {
  LT_TRY(const auto contents, tuner::read_journal(command.resume));
  const auto& facts = contents.header.facts;
  const auto line = std::find_if(facts.begin(), facts.end(), [](const tuner::Fact& fact) { return fact.name == line_fact; });
  if (line == facts.end()) return fail(Errc::invalid, command.resume + " was not measured in a lab");
  Job job;
  for (const std::string_view word : split(line->value, ' ')) {
    (job.profile.empty() ? job.profile : job.words.emplace_back()) = word;
  }
  job.options.arms = contents.header.arms;
  job.options.plan = contents.header.plan;
  job.options.seed = contents.header.seed;
  job.options.blocks = contents.header.blocks;
  job.options.journal_path = command.resume;
  job.options.resume = true;
  return job;
}

}  // namespace

Result<Outcome> run_sweep_command(const SweepCommand& command, const std::stop_token& stop) {
  LT_TRY(Job job, command.resume.empty() ? new_job(command) : resumed_job(command));
  if (command.budget_minutes) job.options.budget = std::chrono::minutes(*command.budget_minutes);
  job.options.stop = stop;
  LT_TRY(const auto sandbox, lab::Sandbox::build({.name = "sweep", .profile = job.profile,
                                                  .settings = job.words, .seed = job.options.seed}));
  LT_TRY(const auto report, sweep_lab(sandbox, job.line(), job.options));
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

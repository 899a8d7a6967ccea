#include "app/cmd_verify.h"

#include "app/cmd_sweep.h"
#include "app/lab_bench.h"
#include "app/link_bench.h"
#include "base/text.h"
#include "tuner/decision_report.h"
#include "tuner/random.h"
#include "tuner/verification.h"

namespace lt::app {

namespace {

ExitCode exit_code_of(tuner::VerifyState state) {
  switch (state) {
    case tuner::VerifyState::holds: return exit_done;
    case tuner::VerifyState::line_changed:
    case tuner::VerifyState::choice_changed:
    case tuner::VerifyState::choice_behind:
    case tuner::VerifyState::failed: return exit_failed;
    case tuner::VerifyState::noisy: return exit_inconclusive;
  }
  return exit_inconclusive;
}

// The lab that the sweep was measured in: its profile, and the words over it.
Result<std::vector<std::string>> line_words(const VerifyChoiceCommand& command, const tuner::RecordedChoice& recorded) {
  if (!command.lab_profile.empty()) return std::vector{command.lab_profile};
  std::vector<std::string> words;
  for (const tuner::Fact& fact : recorded.facts) {
    if (fact.name == sites_fact) {
      return fail(Errc::invalid, command.result + " was measured between two sites, " + printable(fact.value, 80) + ": name this site's config with --config");
    }
    if (fact.name != line_fact) continue;
    for (const std::string_view word : split(fact.value, ' ')) words.emplace_back(word);
  }
  if (words.empty()) return fail(Errc::invalid, command.result + " does not say which line it was measured on: name it with --lab");
  return words;
}

tuner::SweepOptions options_for(const tuner::RecordedChoice& recorded, const std::stop_token& stop) {
  tuner::SweepOptions options;
  options.arms = tuner::verify_arms(recorded);
  options.plan = tuner::verify_plan(recorded.plan);
  options.blocks = tuner::verify_blocks(options.plan, options.arms.size());
  options.seed = tuner::fresh_seed();
  options.stop = stop;
  return options;
}

Result<tuner::Report> measured_now(const VerifyChoiceCommand& command, const tuner::RecordedChoice& recorded, const tuner::SweepOptions& options) {
  if (!command.config_path.empty()) return sweep_link(command.config_path, command.run_directory, options);
  LT_TRY(const auto words, line_words(command, recorded));
  LT_TRY(const auto sandbox, lab::Sandbox::build({.name = "verify", .profile = words.front(),
                                                  .settings = {words.begin() + 1, words.end()}, .seed = options.seed}));
  return sweep_lab(sandbox, join(words, " "), options);
}

}  // namespace

Result<Json> read_sweep_report(const std::string& path) {
  LT_TRY(const std::string text, read_file(path, tuner::journal_bytes_max));
  if (auto report = parse_json(text, path); report && report->is_object() && report->value("schema", "") == tuner::report_schema) return report;
  LT_TRY(auto result, tuner::replay_sweep(path, tuner::Objective::slower_way));
  return tuner::json_of(tuner::make_report(std::move(result)));
}

Result<Outcome> run_verify(const VerifyChoiceCommand& command, const std::stop_token& stop) {
  if (!command.config_path.empty() && !command.lab_profile.empty()) {
    return fail(Errc::invalid, "say where to measure: --config FILE for the link of that site, or --lab PROFILE for a lab");
  }
  LT_TRY(const Json report, read_sweep_report(command.result));
  auto recorded = tuner::recorded_choice(report);
  if (!recorded) return fail(with_context(recorded.error(), command.result));
  LT_TRY(const auto measured, measured_now(command, *recorded, options_for(*recorded, stop)));
  if (measured.result.is_stopped) return fail(Errc::interrupted, "interrupted; nothing is left behind");
  const auto verification = tuner::verify_against(*recorded, measured.result);
  return Outcome{to_json(verification), verification.sentence + "\n", exit_code_of(verification.state)};
}

Result<Outcome> run_explain(const std::string& path) {
  LT_TRY(const Json report, read_sweep_report(path));
  auto sentences = tuner::explain_json(report);
  if (!sentences) return fail(with_context(sentences.error(), path));
  const Json& decision = report["decision"];
  return Outcome{{{"schema", "linktune.explain.1"}, {"sentence", decision["sentence"]}, {"knobs", decision["knobs"]}}, *sentences};
}

}  // namespace lt::app

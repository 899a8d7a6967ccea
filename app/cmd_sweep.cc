#include "app/cmd_sweep.h"

#include <algorithm>
#include <map>

#include "app/cmd_openvpn.h"
#include "app/daemon.h"
#include "app/lab_bench.h"
#include "app/link_bench.h"
#include "app/openvpn_dco.h"
#include "app/progress.h"
#include "base/fd.h"
#include "base/format.h"
#include "base/text.h"
#include "configs/calendar.h"
#include "configs/knob.h"
#include "configs/toml_reader.h"
#include "tuner/journal.h"
#include "tuner/page.h"
#include "tuner/probe_host.h"
#include "tuner/probe_socket.h"
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
    } else if (arm.carrier == tuner::ArmCarrier::wireguard) {
      if (const auto mtu = wireguard_mtu_of(arm); !mtu) checked = fail(mtu.error());
    }
    if (!checked) return fail(with_context(checked.error(), "--arm \"" + arm.label + "\""));
  }
  return {};
}

bool needs_openvpn(const std::vector<tuner::Arm>& arms) {
  return std::any_of(arms.begin(), arms.end(), [](const tuner::Arm& arm) { return arm.carrier == tuner::ArmCarrier::openvpn; });
}

Outcome outcome_of(const tuner::Report& report) {
  const bool has_winner = report.decision ? report.decision->claim != tuner::Claim::inconclusive
                                          : report.verdict.ahead.has_value();
  return {tuner::json_of(report), tuner::text_of(report), has_winner ? exit_done : exit_inconclusive};
}

}  // namespace

Result<tuner::Report> sweep_lab(const lab::Sandbox& sandbox, const std::string& line, const tuner::SweepOptions& options) {
  LT_TRY(const auto bench, LabBench::create(sandbox, line, needs_openvpn(options.arms)));
  TerminalProgress progress;
  LT_TRY(auto result, tuner::run_sweep(*bench, options, progress));
  return tuner::make_report(std::move(result));
}

Result<tuner::Report> sweep_link(const std::string& config_path, const std::string& run_directory, const tuner::SweepOptions& options) {
  const auto planned = options.question ? options.question->budget : options.budget.value_or(static_cast<Milliseconds::rep>(options.blocks * options.arms.size()) *
                                               (options.plan.measuring_time() + tuner::start_time_guess));
  LT_TRY(const auto bench, LinkBench::create({.config_path = config_path,
                                              .run_directory = run_directory,
                                              .planned = std::chrono::ceil<Seconds>(planned),
                                              .with_openvpn = needs_openvpn(options.arms)}));
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

bool is_ranking(const SweepCommand& command) { return command.quick || command.blocks.has_value(); }

// "5%" as 0.05.
Result<double> share_of(const std::string& text) {
  const auto digits = trim(text).substr(0, trim(text).find('%'));
  const auto percent = parse_u64(trim(digits));
  if (percent && *percent >= 1 && *percent <= 50) return static_cast<double>(*percent) / 100;
  return fail(Errc::invalid, "--within " + printable(text, 40) + ": write a whole per cent from 1% to 50%, for example 5%");
}

void add_arm(std::vector<tuner::Arm>& arms, const tuner::Arm& arm) {
  const std::string text = tuner::canonical_text(arm);
  const bool is_known = std::any_of(arms.begin(), arms.end(), [&](const tuner::Arm& other) { return tuner::canonical_text(other) == text; });
  if (!is_known) arms.push_back(arm);
}

// Each carrier as it comes: in every block, so that a gain over what nobody has tuned is seen too.
Result<std::vector<tuner::Arm>> carrier_defaults(const SweepCommand& command) {
  std::vector<tuner::Arm> defaults;
  if (command.with_native) {
    LT_TRY(defaults.emplace_back(), tuner::parse_arm("native"));
    defaults.back().label = "native defaults";
  }
  if (command.with_openvpn) {
    LT_TRY(defaults.emplace_back(), tuner::parse_arm("openvpn proto=udp"));
    defaults.back().label = "openvpn udp defaults";
  }
  if (defaults.empty()) return fail(Errc::invalid, "--no-native and --no-openvpn together leave nothing to try");
  return defaults;
}

// The short list first, then all else, the carriers in turns: a budget that does not hold all of them drops the last.
std::vector<tuner::Arm> by_promise(tuner::SpaceOptions options) {
  options.quick = true;
  std::vector<tuner::Arm> arms = tuner::default_arms(options);
  options.quick = false;
  std::map<tuner::ArmCarrier, std::vector<tuner::Arm>> rest;
  std::size_t longest = 0;
  for (const tuner::Arm& arm : tuner::default_arms(options)) {
    rest[arm.carrier].push_back(arm);
    longest = std::max(longest, rest[arm.carrier].size());
  }
  for (std::size_t place = 0; place < longest; ++place) {
    for (const auto& [carrier, of_carrier] : rest) {
      if (place < of_carrier.size()) add_arm(arms, of_carrier[place]);
    }
  }
  return arms;
}

// Up to what the knob table allows, from what the search tries anyhow; as those arms, with a short queue.
tuner::FindLargestMtu largest_openvpn_mtu() {
  return {.arm = {"openvpn tcp largest",
                  tuner::ArmCarrier::openvpn,
                  {{"proto", "tcp"}, {"mssfix", "0"}, {"txqueuelen", "100"}, {"tcp_queue_limit", "1024"}, {"tcp_nodelay", "on"}},
                  "the largest packet that was found to work, by sending"},
          .low = 65'000,
          .high = static_cast<std::uint32_t>(configs::find_knob(configs::Carrier::openvpn, "tun_mtu")->max)};
}

// Where arms come from that nobody has named. Whoever names arms gets those and no others.
tuner::ArmSources sources_of(bool with_native, bool with_openvpn, bool is_lab, const tuner::Arm& incumbent) {
  tuner::SpaceOptions space{.with_native = with_native, .with_openvpn = with_openvpn, .incumbent = incumbent};
  space.with_wireguard = is_lab && find_wireguard_go().has_value();  // between two hosts nobody starts it
  space.has_dco = with_openvpn && is_lab && installed_openvpn_dco().is_there;
  // Where it cannot be told, the bench says so.
  if (const auto version = installed_openvpn_version(); with_openvpn && version) space.openvpn_version = *version;
  const auto on_line = [space](const tuner::Physics& physics) {
    tuner::SpaceOptions known = space;
    known.physics = physics;
    return known;
  };
  return {.space = [on_line](const tuner::Physics& physics) { return by_promise(on_line(physics)); },
          .variants = [on_line](const tuner::Arm& arm, const tuner::Physics& physics) {
            return tuner::neighbours_of(arm, on_line(physics));
          },
          .largest_mtu = with_openvpn ? std::optional(largest_openvpn_mtu()) : std::nullopt,
          .ruled_out = [on_line](const tuner::Physics& physics) { return tuner::ruled_out_arms(on_line(physics)); }};
}

// What the link of that config runs with.
Result<tuner::Arm> present_settings(const std::string& config_path) {
  LT_TRY(const auto config, configs::load_link_config(config_path));
  tuner::Arm arm{"present settings", tuner::ArmCarrier::native, {}, "what " + config_path + " says"};
  for (const auto& [name, value] : configs::describe_changes(config.knobs)) arm.settings.push_back({name, value});
  LT_CHECK(tuner::validate(arm));
  return arm;
}

// The question of a staged sweep, and the arms that it begins with.
Status ask(const SweepCommand& command, tuner::SweepOptions& options) {
  tuner::Question question;
  question.goal = tuner::goal_from_name(command.goal).value_or(tuner::Goal::balanced);
  if (!command.budget.empty()) {
    LT_TRY(const auto budget, configs::parse_duration(command.budget));
    if (budget < std::chrono::minutes(1)) return fail(Errc::invalid, "--budget " + command.budget + ": a sweep needs a minute at least");
    question.budget = budget;
  }
  LT_TRY(question.within, share_of(command.within));
  question.confidence = command.confidence / 100;
  question.fits_times = !command.seconds && !command.omit_seconds;
  LT_TRY(question.defaults, carrier_defaults(command));
  question.incumbent = question.defaults.front();
  if (!command.config_path.empty()) {
    LT_TRY(question.incumbent, present_settings(command.config_path));
  }
  if (!command.incumbent.empty()) {
    LT_TRY(question.incumbent, tuner::parse_arm(command.incumbent));
    question.incumbent.label = "present settings";
  }
  std::vector<tuner::Arm> arms{{"bare line", tuner::ArmCarrier::bare, {}, "the line without a tunnel"}};
  add_arm(arms, question.incumbent);
  for (const tuner::Arm& arm : question.defaults) add_arm(arms, arm);
  if (command.arms.empty()) {
    options.sources = sources_of(command.with_native, command.with_openvpn, command.config_path.empty(), question.incumbent);
  } else {
    for (const tuner::Arm& arm : options.arms) add_arm(arms, arm);
  }
  options.arms = std::move(arms);
  options.question = std::move(question);
  return {};
}

// The words that ask for the same again; seed, goal and time are the report's to add.
std::vector<std::string> words_of(const SweepCommand& command) {
  std::vector<std::string> words{"linktune", "sweep"};
  const auto add = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) words.insert(words.end(), {name, value});
  };
  add("--config", command.config_path);
  if (!command.config_path.empty() && command.run_directory != default_run_directory) add("--run-dir", command.run_directory);
  add("--lab", command.lab_profile);
  for (const std::string& word : command.lab_words) add("--line", word);
  if (command.quick) words.emplace_back("--quick");
  add("--incumbent", command.incumbent);
  if (!command.with_native) words.emplace_back("--no-native");
  if (!command.with_openvpn) words.emplace_back("--no-openvpn");
  for (const std::string& arm : command.arms) add("--arm", arm);
  if (command.seconds) add("--seconds", std::to_string(*command.seconds));
  if (command.omit_seconds) add("--omit", std::to_string(*command.omit_seconds));
  if (command.congestion != SweepCommand{}.congestion) add("--congestion", command.congestion);
  return words;
}

bool has_carrier(const std::vector<tuner::Arm>& arms, tuner::ArmCarrier carrier) {
  return std::any_of(arms.begin(), arms.end(), [&](const tuner::Arm& arm) { return arm.carrier == carrier; });
}

Result<Job> new_job(const SweepCommand& command) {
  if (command.lab_profile.empty() == command.config_path.empty()) {
    return fail(Errc::invalid, "say where to measure: --config FILE for the link of that site, or --lab wan for a lab");
  }
  Job job{{}, command.lab_profile, command.lab_words};
  LT_TRY(job.options.arms, arms_of(command));
  if (!is_ranking(command)) LT_CHECK(ask(command, job.options));
  LT_CHECK(check_arms(job.options.arms));
  if (command.seconds) job.options.plan.duration = std::chrono::seconds(*command.seconds);
  if (command.omit_seconds) job.options.plan.omit = std::chrono::seconds(*command.omit_seconds);
  LT_CHECK(tuner::check_congestion(command.congestion));
  job.options.plan.congestion = command.congestion;
  LT_CHECK(tuner::validate(job.options.plan));
  job.options.seed = command.seed.value_or(tuner::fresh_seed());
  job.options.blocks = command.blocks.value_or(job.options.blocks);
  job.options.command = words_of(command);
  job.options.journal_path = command.journal.empty() ? format("linktune-sweep-{}.jsonl", job.options.seed) : command.journal;
  return job;
}

// Arms, plan, seed, blocks and line are the journal's.
Result<Job> resumed_job(const SweepCommand& command) {
  LT_TRY(const auto contents, tuner::read_journal(command.resume));
  const auto& facts = contents.header.facts;
  const auto line = std::find_if(facts.begin(), facts.end(), [](const tuner::Fact& fact) { return fact.name == line_fact; });
  Job job;
  if (line == facts.end() && command.config_path.empty()) {
    return fail(Errc::invalid, command.resume + " was measured between two sites: name this site's config with --config");
  }
  for (const std::string_view word : split(line == facts.end() ? std::string_view() : std::string_view(line->value), ' ')) {
    (job.profile.empty() ? job.profile : job.words.emplace_back()) = word;
  }
  job.options.arms = contents.header.arms;
  job.options.plan = contents.header.plan;
  job.options.seed = contents.header.seed;
  job.options.blocks = contents.header.blocks;
  job.options.question = contents.header.question;
  if (contents.header.question) {
    // Arms beyond the controls in the first line were named by the owner: then none are added.
    const auto& question = *contents.header.question;
    const std::size_t added = contents.additions.empty() ? contents.header.arms.size() : contents.additions.front().first;
    if (added == tuner::controls_of(contents.header).size()) {
      job.options.sources = sources_of(has_carrier(question.defaults, tuner::ArmCarrier::native),
                                       has_carrier(question.defaults, tuner::ArmCarrier::openvpn), command.config_path.empty(), question.incumbent);
    }
  }
  job.options.journal_path = command.resume;
  job.options.resume = true;
  return job;
}

Result<tuner::Report> measured(const SweepCommand& command, const Job& job) {
  if (!command.config_path.empty()) return sweep_link(command.config_path, command.run_directory, job.options);
  LT_TRY(const auto sandbox, lab::Sandbox::build({.name = "sweep", .profile = job.profile,
                                                  .settings = job.words, .seed = job.options.seed}));
  return sweep_lab(sandbox, job.line(), job.options);
}

}  // namespace

Result<tuner::SweepOptions> sweep_options_of(const SweepCommand& command) {
  LT_TRY(Job job, new_job(command));
  return std::move(job.options);
}

Result<Outcome> run_sweep_command(const SweepCommand& command, const std::stop_token& stop) {
  LT_TRY(Job job, command.resume.empty() ? new_job(command) : resumed_job(command));
  if (!command.budget.empty() && !job.options.question) {
    LT_TRY(const auto budget, configs::parse_duration(command.budget));
    job.options.budget = budget;
  }
  job.options.stop = stop;
  LT_TRY(const auto report, measured(command, job));
  if (report.result.is_stopped) {
    return fail(Errc::interrupted, "interrupted; nothing is left behind. Go on with: " + report.result.how_to_resume());
  }
  if (!command.csv_path.empty()) LT_CHECK(write_file(command.csv_path, tuner::csv_of(report), 0644));
  if (!command.html_path.empty()) LT_CHECK(write_file(command.html_path, tuner::page_of(report), 0644));
  return outcome_of(report);
}

Result<Outcome> run_replay(const std::string& journal, const std::string& html_path) {
  LT_TRY(auto result, tuner::replay_sweep(journal, tuner::Objective::slower_way));
  const auto report = tuner::make_report(std::move(result));
  if (!html_path.empty()) LT_CHECK(write_file(html_path, tuner::page_of(report), 0644));
  return outcome_of(report);
}

}  // namespace lt::app

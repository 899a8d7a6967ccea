#include "app/cli_hosts.h"

#include "app/cmd_apply.h"
#include "app/daemon.h"
#include "app/interrupt.h"
#include "app/left_overs.h"
#include "app/sweep_agent.h"

namespace lt::app {

namespace {

void add_place(CLI::App* command, AppliedPlace& place) {
  place.run_directory = default_run_directory;
  command->add_option("--config", place.config_path, "the site's config, for example /etc/linktune/office.toml")->required();
  command->add_option("--run-dir", place.run_directory, "where control sockets are")->capture_default_str();
  command->add_option("--state-dir", place.state_directory, "where the config as it was is kept")->capture_default_str();
}

void add_applied(CLI::App& app, Shell& shell, const std::string& name, const std::string& about,
                 Result<Outcome> (*run)(const AppliedPlace&, const std::stop_token&)) {
  const auto place = std::make_shared<AppliedPlace>();
  CLI::App* command = add_command(app, shell, name, about);
  add_place(command, *place);
  command->callback([&shell, place, run] {
    shell.command = [place, run](Log&) -> Result<Outcome> {
      const Interrupt interrupt;
      return run(*place, interrupt.token());
    };
  });
}

// Started by a sweep, and by its agent.
void add_watcher(CLI::App& sweep, Shell& shell) {
  const auto folder = std::make_shared<std::string>();
  const auto device = std::make_shared<std::string>();
  CLI::App* trials = sweep.add_subcommand("watch", "")->group("");
  trials->add_option("--folder", *folder)->required();
  trials->add_option("--device", *device)->required();
  trials->callback([&shell, folder, device] {
    shell.command = [folder, device](Log&) -> Result<Outcome> {
      LT_CHECK(watch_trials(*folder, *device));
      return Outcome{};
    };
  });
}

}  // namespace

void add_sweep_agent(CLI::App& sweep, Shell& shell) {
  const auto options = std::make_shared<SweepAgentOptions>();
  options->run_directory = default_run_directory;
  options->state_directory = default_state_directory;
  CLI::App* command = add_command(sweep, shell, "agent", "let the other site try settings with this one; until SIGTERM or Ctrl-C");
  command->add_option("--config", options->config_path, "the site's config, for example /etc/linktune/offsite.toml")->required();
  command->add_option("--run-dir", options->run_directory, "where control sockets are, and what trials make")->capture_default_str();
  command->add_option("--state-dir", options->state_directory, "where the config as it was is kept")->capture_default_str();
  command->footer("");  // not the sweep's own
  command->callback([&shell, options] {
    shell.command = [options](Log& log) -> Result<Outcome> {
      const Interrupt interrupt;
      LT_CHECK(run_sweep_agent(*options, interrupt.token(), log));
      return Outcome{{{"schema", "linktune.agent.1"}, {"ended", "in good order"}}, ""};
    };
  });
  add_watcher(sweep, shell);
}

void add_apply(CLI::App& app, Shell& shell) {
  const auto options = std::make_shared<ApplyOptions>();
  CLI::App* command = add_command(app, shell, "apply", "put what a sweep has chosen into both sites' configs, on trial");
  command->add_option("RESULT", options->result, "the sweep's journal, or its report (sweep --json)");
  command->add_option("--arm", options->arm, "or, without a result, a setting: \"native mtu=9000\"");
  command->add_option("--within", options->seconds, "seconds until it is rolled back unless it is confirmed")
      ->check(CLI::Range(patience_min.count(), patience_max.count()))->capture_default_str();
  add_place(command, options->place);
  command->footer("Both links start again with the new settings. Without `linktune confirm` in time both go back by themselves.");
  command->callback([&shell, options] {
    shell.command = [options](Log&) -> Result<Outcome> {
      const Interrupt interrupt;
      return run_apply(*options, interrupt.token());
    };
  });
  add_applied(app, shell, "confirm", "keep what was applied, if the link carries what was measured", run_confirm);
  add_applied(app, shell, "rollback", "take back what was applied, at both sites", run_rollback);

  const auto place = std::make_shared<AppliedPlace>();
  CLI::App* watch = app.add_subcommand("apply-watch", "")->group("");
  add_place(watch, *place);
  watch->callback([&shell, place] {
    shell.command = [place](Log&) -> Result<Outcome> {
      LT_CHECK(watch_applied(*place));
      return Outcome{};
    };
  });
}

}  // namespace lt::app

#include "app/cli_sweep.h"

#include <memory>

#include "app/cmd_sweep.h"
#include "app/cmd_verify.h"
#include "app/daemon.h"
#include "app/interrupt.h"

namespace lt::app {

namespace {

void add_replay(CLI::App& app, Shell& shell) {
  const auto journal = std::make_shared<std::string>();
  const auto html_path = std::make_shared<std::string>();
  CLI::App* command = add_command(app, shell, "replay", "the report of a sweep again, from its journal");
  command->add_option("JOURNAL", *journal, "the journal")->required();
  command->add_option("--html", *html_path, "also write it as one page that loads nothing");
  command->callback([&shell, journal, html_path] {
    shell.command = [journal, html_path](Log&) { return run_replay(*journal, *html_path); };
  });
}

void add_explain(CLI::App& app, Shell& shell) {
  const auto path = std::make_shared<std::string>();
  CLI::App* command = add_command(app, shell, "explain", "what each knob did in a sweep, with interval, or that it was not told apart");
  command->add_option("RESULT", *path, "the sweep's report (sweep --json) or its journal")->required();
  command->callback([&shell, path] { shell.command = [path](Log&) { return run_explain(*path); }; });
}

void add_verify(CLI::App& app, Shell& shell) {
  const auto options = std::make_shared<VerifyChoiceCommand>();
  CLI::App* command = add_command(app, shell, "verify", "two minutes: is the choice of a sweep still right, and the line still the same?");
  command->add_option("RESULT", options->result, "the sweep's report (sweep --json) or its journal")->required();
  command->add_option("--config", options->config_path, "measure between this site and the other one, beside their link");
  options->run_directory = default_run_directory;
  command->add_option("--run-dir", options->run_directory, "where control sockets are")->capture_default_str();
  command->add_option("--lab", options->lab_profile, "measure in a lab of this profile (default: the one of the report)");
  command->footer("Exit code 0: it holds. 1: line or choice have changed; the sentence says which. 5: too unsteady to say.");
  command->callback([&shell, options] {
    shell.command = [options](Log&) -> Result<Outcome> {
      const Interrupt interrupt;
      return run_verify(*options, interrupt.token());
    };
  });
}

}  // namespace

void add_sweep_results(CLI::App& app, Shell& shell) {
  add_replay(app, shell);
  add_explain(app, shell);
  add_verify(app, shell);
}

}  // namespace lt::app

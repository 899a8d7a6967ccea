#include "app/cli_mirror.h"

#include "app/cli_mirror_proof.h"
#include "app/cmd_mirror_agent.h"
#include "app/cmd_mirror_run.h"
#include "app/interrupt.h"
#include "app/ssh_shim.h"

namespace lt::app {

namespace {

void add_agent(CLI::App& group, Shell& shell) {
  const auto options = std::make_shared<MirrorAgentOptions>();
  CLI::App* command = add_command(group, shell, "agent", "serve the other site's mirror: receive, let read, prove; until SIGTERM or Ctrl-C");
  command->add_option("--config", options->config_path, "the site's config, for example /etc/linktune/offsite.toml")->required();
  command->add_option("--jobs", options->jobs_path, "the file with the mirror's sections (default: the site's config)");
  command->callback([&shell, options] {
    shell.command = [options](Log& log) -> Result<Outcome> {
      const Interrupt interrupt;
      LT_CHECK(run_mirror_agent(*options, {}, interrupt.token(), log));
      return Outcome{{{"schema", "linktune.agent.1"}, {"ended", "in good order"}}, ""};
    };
  });
}

void add_ssh(CLI::App& group, Shell& shell) {
  CLI::App* command = group.add_subcommand("ssh", "what Syncoid calls instead of ssh: carries a command to the other site's agent");
  command->prefix_command();
  command->footer("Put a link named ssh to this program first on Syncoid's PATH, and name the site's config in\n"
                  "LINKTUNE_MIRROR_CONFIG; the far dataset is root@peer:POOL/DATASET. `linktune mirror run` does all of it.");
  command->callback([&shell, command] {
    shell.command = [words = command->remaining()](Log&) -> Result<Outcome> {
      const Interrupt interrupt;
      return Outcome{{}, "", run_ssh_shim(words, interrupt.token())};
    };
  });
}

void add_jobs(CLI::App* command, MirrorJobsOptions& jobs) {
  command->add_option("--config", jobs.config_path, "the site's config, for example /etc/linktune/office.toml");
  command->add_option("--jobs", jobs.jobs_path, "the file with the mirror's sections (default: the site's config)");
  command->add_option("JOB", jobs.names, "names of jobs (default: all)");
}

void add_care(CLI::App& group, Shell& shell) {
  const auto planned = std::make_shared<MirrorJobsOptions>();
  CLI::App* plan = add_command(group, shell, "plan", "what would be carried, and why; changes nothing");
  add_jobs(plan, *planned);
  plan->callback([&shell, planned] { shell.command = [planned](Log&) { return run_mirror_plan(*planned); }; });

  const auto options = std::make_shared<MirrorRunOptions>();
  CLI::App* run = add_command(group, shell, "run", "run jobs now, the highest priority first");
  add_jobs(run, options->jobs);
  run->add_flag("--due", options->only_due, "only those whose schedule says so: for a timer");
  run->add_flag("--loop", options->loop, "stay, and run each job when it is due; until SIGTERM or Ctrl-C");
  run->add_flag("--even-unchanged", options->even_unchanged, "carry what is unchanged, too");
  run->footer("Ctrl-C ends it cleanly; the next run goes on from there.");
  run->callback([&shell, options] {
    shell.command = [options](Log& log) -> Result<Outcome> {
      const Interrupt interrupt;
      return run_mirror_run(*options, interrupt.token(), log);
    };
  });

  const auto asked = std::make_shared<MirrorJobsOptions>();
  CLI::App* status = add_command(group, shell, "status", "how old each copy is, the last runs and scrubs; asks nobody");
  add_jobs(status, *asked);
  status->callback([&shell, asked] { shell.command = [asked](Log&) { return run_mirror_status(*asked); }; });
}

}  // namespace

void add_mirror(CLI::App& app, Shell& shell) {
  CLI::App* group = app.add_subcommand("mirror", "ZFS datasets carried to the other site by Syncoid, over the link");
  group->require_subcommand(1);
  add_care(*group, shell);
  add_agent(*group, shell);
  add_ssh(*group, shell);
  add_mirror_proof(*group, shell);
}

}  // namespace lt::app

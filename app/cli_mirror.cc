#include "app/cli_mirror.h"

#include "app/cli_mirror_proof.h"
#include "app/cmd_mirror_agent.h"
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

}  // namespace

void add_mirror(CLI::App& app, Shell& shell) {
  CLI::App* group = app.add_subcommand("mirror", "ZFS datasets carried to the other site by Syncoid, over the link");
  group->require_subcommand(1);
  add_agent(*group, shell);
  add_ssh(*group, shell);
  add_mirror_proof(*group, shell);
}

}  // namespace lt::app

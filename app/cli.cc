#include "app/cli.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <map>

#include "app/cmd_init.h"
#include "app/cmd_up.h"
#include "app/daemon.h"
#include "app/outcome.h"
#include "base/log.h"
#include "configs/knob.h"

namespace lt::app {

namespace {

// What every command shares, and the one that was chosen.
struct Shell {
  bool json{false};
  LogLevel log_level{LogLevel::info};
  std::function<Result<Outcome>(Log&)> command;
};

int report(const Shell& shell, const Error& error) {
  if (shell.json) {
    std::printf("%s\n", to_pretty({{"schema", "linktune.error.1"},
                                   {"code", std::string(name_of(error.code))},
                                   {"error", error.text()}}).c_str());
  } else {
    std::fprintf(stderr, "linktune: %s\n", error.text().c_str());
  }
  return exit_code_of(error.code);
}

int report(const Shell& shell, const Outcome& outcome) {
  if (shell.json) {
    std::printf("%s\n", to_pretty(outcome.json).c_str());
  } else {
    std::fputs(outcome.text.c_str(), stdout);
  }
  return outcome.exit_code;
}

CLI::App* add_command(CLI::App& parent, Shell& shell, const std::string& name, const std::string& about) {
  CLI::App* command = parent.add_subcommand(name, about);
  command->add_flag("--json", shell.json, "print one JSON object instead of text");
  return command;
}

void add_run_directory(CLI::App* command, std::string& run_directory) {
  run_directory = default_run_directory;
  command->add_option("--run-dir", run_directory, "where control sockets are")->capture_default_str();
}

// Overrides of native knobs by one option each: --mtu 9000, --congestion-control bbr.
void add_settings(CLI::App* command, std::vector<std::string>& settings) {
  command->add_option("--set", settings, "KNOB=VALUE for this run only, for example native.mtu=9000; repeatable");
  command->footer("Knobs:\n" + configs::knob_table_text(configs::Carrier::native));
}

void add_init(CLI::App& app, Shell& shell) {
  const auto options = std::make_shared<InitPairOptions>();
  const auto pair = std::make_shared<bool>(false);
  CLI::App* command = add_command(app, shell, "init", "make the configs and keys of a pair of sites");
  command->add_flag("--pair", *pair, "both sites at once (the only form there is yet)")->required();
  command->add_option("--out", options->out, "the folder for the four files")->required();
  command->add_option("--endpoint", options->endpoint, "ADDR:PORT where the off-site gateway reaches the office")->required();
  command->add_option("--lan", options->lan, "CIDR of a network behind the office; repeatable")->required();
  command->add_option("--peer-lan", options->peer_lan, "CIDR of a network behind the off-site gateway; repeatable")->required();
  command->add_option("--tunnel", options->tunnel, "the office's address in the tunnel")->capture_default_str();
  command->add_option("--peer-tunnel", options->peer_tunnel, "the off-site address in the tunnel (default: the next one)");
  command->add_option("--device", options->device, "name of the tun device")->capture_default_str();
  command->footer("Writes office.toml, office.key, offsite.toml and offsite.key. The office listens, the off-site gateway\n"
                  "connects. Copy the two off-site files over, then on each box: linktune up --config FILE");
  command->callback([&shell, options, pair] {
    shell.command = [options](Log&) -> Result<Outcome> {
      LT_TRY(const InitPairReport made, init_pair(*options));
      return Outcome{init_json(made), init_text(made)};
    };
  });
}

void add_keys(CLI::App& app, Shell& shell) {
  const auto path = std::make_shared<std::string>();
  CLI::App* make = add_command(app, shell, "keygen", "make a private key, print its public key");
  make->add_option("FILE", *path, "the new private key; never overwritten")->required();
  make->callback([&shell, path] {
    shell.command = [path](Log&) -> Result<Outcome> {
      LT_TRY(const std::string key, keygen(*path));
      return Outcome{{{"schema", "linktune.key.1"}, {"public_key", key}}, key + "\n"};
    };
  });
  CLI::App* show = add_command(app, shell, "pubkey", "print the public key of a private key");
  show->add_option("FILE", *path, "the private key")->required();
  show->callback([&shell, path] {
    shell.command = [path](Log&) -> Result<Outcome> {
      LT_TRY(const std::string key, pubkey(*path));
      return Outcome{{{"schema", "linktune.key.1"}, {"public_key", key}}, key + "\n"};
    };
  });
}

void add_up(CLI::App& app, Shell& shell) {
  const auto options = std::make_shared<UpOptions>();
  CLI::App* command = add_command(app, shell, "up", "keep the link up, in the foreground, until SIGTERM or Ctrl-C");
  command->add_option("--config", options->config_path, "the site's config, for example /etc/linktune/office.toml")->required();
  add_run_directory(command, options->run_directory);
  add_settings(command, options->settings);
  command->callback([&shell, options] {
    shell.command = [options](Log& log) -> Result<Outcome> {
      LT_CHECK(run_up(*options, log));
      return Outcome{{{"schema", "linktune.up.1"}, {"ended", "in good order"}}, ""};
    };
  });
}

void add_asking(CLI::App& app, Shell& shell, const std::string& name, const std::string& about,
                Result<Outcome> (*ask)(const AskOptions&)) {
  const auto options = std::make_shared<AskOptions>();
  CLI::App* command = add_command(app, shell, name, about);
  command->add_option("--config", options->config_path, "the config of the link");
  command->add_option("--site", options->site, "the name of the site; not needed where one link runs");
  add_run_directory(command, options->run_directory);
  command->callback([&shell, options, ask] { shell.command = [options, ask](Log&) { return ask(*options); }; });
}

}  // namespace

int run_cli(int argc, char** argv) {
  Shell shell;
  CLI::App app("linktune: a site link that tunes itself");
  app.set_version_flag("--version", LINKTUNE_VERSION);
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);
  const std::map<std::string, LogLevel> levels{
      {"debug", LogLevel::debug}, {"info", LogLevel::info}, {"warn", LogLevel::warn}, {"error", LogLevel::error}};
  app.add_option("--log-level", shell.log_level, "debug, info, warn or error")->transform(CLI::CheckedTransformer(levels));

  add_init(app, shell);
  add_keys(app, shell);
  add_up(app, shell);
  add_asking(app, shell, "status", "what the link does; exit code 0 only when it is up", run_status);
  add_asking(app, shell, "down", "end the link in good order", run_down);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? exit_done : exit_usage;
  }
  Log log = Log::to_stderr(shell.log_level);
  const auto outcome = shell.command(log);
  return outcome ? report(shell, *outcome) : report(shell, outcome.error());
}

}  // namespace lt::app

#include "app/cli.h"

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <map>

#include "app/cli_hosts.h"
#include "app/cli_mirror.h"
#include "app/cli_openvpn.h"
#include "app/cli_probe.h"
#include "app/cli_shell.h"
#include "app/cli_sweep.h"
#include "app/cmd_bench.h"
#include "app/cmd_demo.h"
#include "app/cmd_grid.h"
#include "app/cmd_init.h"
#include "app/cmd_lab.h"
#include "app/cmd_sweep.h"
#include "app/cmd_up.h"
#include "app/daemon.h"
#include "app/interrupt.h"
#include "base/log.h"
#include "base/text.h"
#include "configs/knob.h"

namespace lt::app {

CLI::App* add_command(CLI::App& parent, Shell& shell, const std::string& name, const std::string& about) {
  CLI::App* command = parent.add_subcommand(name, about);
  command->add_flag("--json", shell.json, "print one JSON object instead of text");
  return command;
}

namespace {

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

// A report that nobody got (a full disk behind `> sweep.json`) is no success.
int report(const Shell& shell, const Outcome& outcome) {
  if (shell.json) {
    std::printf("%s\n", to_pretty(outcome.json).c_str());
  } else {
    std::fputs(outcome.text.c_str(), stdout);
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    const Error error = fail_errno(errno, "cannot write to standard output").value();
    std::fprintf(stderr, "linktune: %s\n", error.text().c_str());
    return exit_failed;
  }
  return outcome.exit_code;
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
  command->add_option("--user", options->user, "whom the daemon becomes once it stands (default: linktune, else a number that is nobody's)");
  command->add_option("--sandbox", options->sandbox, "at a system call it does not need: enforce (be killed), log, off")
      ->check(CLI::IsMember({"enforce", "log", "off"}));
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

// --- measure ---

void add_sweep(CLI::App& app, Shell& shell) {
  const auto options = std::make_shared<SweepCommand>();
  CLI::App* command = add_command(app, shell, "sweep", "find the best settings, native and OpenVPN, by measuring");
  command->add_option("--config", options->config_path, "measure between this site and the other one, beside their link");
  add_run_directory(command, options->run_directory);
  command->add_option("--lab", options->lab_profile, "measure in a lab of this profile (linktune lab up --help lists them)");
  command->add_option("--line", options->lab_words, "words over the profile, for example loss=0.1%; repeatable");
  command->add_flag("--quick", options->quick, "a ranking of a handful of settings instead of a decision");
  command->add_option("--goal", options->goal, "what best means: throughput, latency, balanced, cpu")
      ->check(CLI::IsMember({"throughput", "latency", "balanced", "cpu"}))->capture_default_str();
  command->add_option("--within", options->within, "what counts as equal, for example 5%")->capture_default_str();
  command->add_option("--confidence", options->confidence, "of every claim, per cent")->check(CLI::Range(80.0, 99.9))->capture_default_str();
  command->add_option("--incumbent", options->incumbent, "the settings that run now, written like an arm (default: the link's defaults)");
  command->add_flag("--native,!--no-native", options->with_native, "try the native link (default: yes)");
  command->add_flag("--openvpn,!--no-openvpn", options->with_openvpn, "try OpenVPN (default: yes)");
  command->add_option("--arm", options->arms, "only these and the bare line: \"native mtu=9000\", \"openvpn proto=tcp\"; repeatable");
  command->add_option("--seed", options->seed, "of the order of trials and of the line (default: drawn and printed)")->check(CLI::NonNegativeNumber);
  command->add_option("--blocks", options->blocks, "a ranking of that many fresh starts of each setting instead of a decision")->check(CLI::Range(1, 1000));
  command->add_option("--seconds", options->seconds, "measured each way (default: what line and budget allow, at most 4; a ranking: 4)")->check(CLI::Range(1, 300));
  command->add_option("--omit", options->omit_seconds, "left out before (default: likewise, at most 2; a ranking: 2)")->check(CLI::Range(0, 60));
  command->add_option("--congestion", options->congestion, "TCP_CONGESTION of the measured flows")->capture_default_str();
  command->add_option("--budget", options->budget, "how long it may take, for example 20m or 2h (default: 20m; a ranking: no limit)");
  command->add_option("--journal", options->journal, "where each trial is recorded (default: ./linktune-sweep-SEED.jsonl)");
  command->add_option("--resume", options->resume, "go on in this journal of an interrupted sweep; its settings count");
  command->add_option("--csv", options->csv_path, "also write one line a trial to this file");
  command->add_option("--html", options->html_path, "also write the report as one page that loads nothing");
  command->footer("Ctrl-C ends it cleanly and says how to go on.");
  add_sweep_agent(*command, shell);
  command->callback([&shell, command, options] {
    if (!command->get_subcommands().empty()) return;
    shell.command = [options](Log&) -> Result<Outcome> {
      const Interrupt interrupt;
      return run_sweep_command(*options, interrupt.token());
    };
  });
}

// --- lab ---

Outcome lab_outcome(const Json& status) { return {status, lab_text(status)}; }

void add_lab_name(CLI::App* command, std::string& name) {
  command->add_option("--name", name, "which lab")->capture_default_str();
}

void add_lab_up(CLI::App& lab, Shell& shell) {
  const auto options = std::make_shared<LabUpOptions>();
  CLI::App* command = add_command(lab, shell, "up", "build a lab and leave it standing");
  add_lab_name(command, options->name);
  command->add_option("--profile", options->profile, "the line")->capture_default_str();
  command->add_option("--seed", options->seed, "of loss, bursts, corruption and jitter (default: drawn and told)")->check(CLI::NonNegativeNumber);
  command->add_option("--congestion", options->congestion_control, "of the hosts (default: cubic)");
  command->add_option("WORDS", options->settings, "over the profile, for example rate=100mbit loss=0.1%");
  command->footer(lab_help());
  command->callback([&shell, options] {
    shell.command = [options](Log&) -> Result<Outcome> {
      const Interrupt interrupt;  // half a lab is no lab: built whole, then asked
      LT_TRY(const Json status, lab_up(*options));
      if (!interrupt.is_requested()) return lab_outcome(status);
      LT_CHECK(lab_down(options->name));
      return fail(Errc::interrupted, "interrupted; nothing is left behind");
    };
  });
}

void add_lab_down(CLI::App& lab, Shell& shell) {
  const auto name = std::make_shared<std::string>("lt");
  CLI::App* command = add_command(lab, shell, "down", "take a lab down, or what a killed one has left");
  add_lab_name(command, *name);
  command->callback([&shell, name] {
    shell.command = [name](Log&) -> Result<Outcome> {
      LT_CHECK(lab_down(*name));
      return Outcome{{{"schema", "linktune.down.1"}, {"ended", true}}, "the lab is down\n"};
    };
  });
}

void add_lab_exec(CLI::App& lab, Shell& shell) {
  const auto name = std::make_shared<std::string>("lt");
  const auto host = std::make_shared<std::string>();
  const auto argv = std::make_shared<std::vector<std::string>>();
  CLI::App* command = add_command(lab, shell, "exec", "run a command inside a host: lab exec office-lan -- ping 192.168.20.2");
  add_lab_name(command, *name);
  command->add_option("HOST", *host, "office-lan, office-gw, offsite-gw or offsite-lan")->required();
  command->add_option("COMMAND", *argv, "the command and its arguments, behind --")->required();
  command->callback([&shell, name, host, argv] {
    shell.command = [name, host, argv](Log&) -> Result<Outcome> {
      LT_CHECK(lab_exec(*name, *host, *argv));
      return Outcome{};
    };
  });
}

void add_lab_set(CLI::App& lab, Shell& shell) {
  const auto name = std::make_shared<std::string>("lt");
  const auto direction = std::make_shared<std::string>("both");
  const auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* command = add_command(lab, shell, "set", "change the line of a running lab");
  add_lab_name(command, *name);
  command->add_option("--direction", *direction, "both, to-offsite or to-office")->capture_default_str();
  command->add_option("WORDS", *words, "for example rate=100mbit blackout=on")->required();
  command->footer(lab_help());
  command->callback([&shell, name, direction, words] {
    shell.command = [name, direction, words](Log&) -> Result<Outcome> {
      LT_TRY(const Json status, lab_set(*name, *direction, *words));
      return lab_outcome(status);
    };
  });
}

void add_lab_status(CLI::App& lab, Shell& shell) {
  const auto name = std::make_shared<std::string>("lt");
  CLI::App* command = add_command(lab, shell, "status", "the line's settings, and every packet it has seen");
  add_lab_name(command, *name);
  command->callback([&shell, name] {
    shell.command = [name](Log&) -> Result<Outcome> {
      LT_TRY(const Json status, lab_status(*name));
      return lab_outcome(status);
    };
  });
}

// Started by `lab up` only.
void add_lab_emulate(CLI::App& lab, Shell& shell) {
  const auto name = std::make_shared<std::string>();
  const auto ready_fd = std::make_shared<int>(-1);
  CLI::App* command = lab.add_subcommand("emulate", "")->group("");
  command->add_option("--name", *name)->required();
  command->add_option("--ready-fd", *ready_fd)->required();
  command->callback([&shell, name, ready_fd] {
    shell.command = [name, ready_fd](Log&) -> Result<Outcome> {
      LT_CHECK(lab_emulate(*name, *ready_fd));
      return Outcome{};
    };
  });
}

void add_lab_demo(CLI::App& lab, Shell& shell) {
  const auto options = std::make_shared<DemoOptions>();
  CLI::App* command = add_command(lab, shell, "demo", "link, sweep and OpenVPN export on one machine; leaves nothing behind");
  command->add_option("--seed", options->seed, "of the whole run (default: drawn and printed)")->check(CLI::NonNegativeNumber);
  command->add_option("--blocks", options->blocks, "fresh starts of each setting in the sweep")->check(CLI::Range(1, 100))->capture_default_str();
  command->add_option("--keep", options->keep_folder, "keep the exported OpenVPN pair in this new folder");
  command->callback([&shell, options] {
    shell.command = [options](Log&) -> Result<Outcome> {
      const Interrupt interrupt;
      return run_demo(*options, interrupt.token());
    };
  });
}

void add_lab_bench(CLI::App& lab, Shell& shell) {
  const auto options = std::make_shared<BenchOptions>();
  CLI::App* command = add_command(lab, shell, "bench", "our link against OpenVPN, wireguard-go and the bare line, side by side");
  command->add_option("--suite", options->suite, "what is measured, see below")->capture_default_str();
  command->add_option("--rounds", options->rounds, "each row is started and measured once a round (default: the suite's)")->check(CLI::Range(1, 1000));
  command->add_option("--seconds", options->seconds, "measured in each start (default: the scene's)")->check(CLI::Range(1, 300));
  command->add_option("--budget", options->budget_seconds, "seconds; no block is begun that would not end in time");
  command->add_option("--scene", options->scenes, "only scenes whose name holds this, for example `80 ms`; repeatable");
  command->add_option("--row", options->rows, "only rows whose name begins with this, for example linktune; repeatable");
  command->add_option("--seed", options->seed, "of the order")->check(CLI::NonNegativeNumber)->capture_default_str();
  command->add_option("--journal", options->journal, "a new file for what is measured (default: ./linktune-bench-SUITE-TIME.jsonl)");
  command->add_option("--resume", options->resume, "go on in this journal; it may hold several suites");
  command->add_option("--report", options->report, "measure nothing: the report of these journals");
  command->add_option("--html", options->html, "also write a page with plots");
  command->add_option("--into", options->into, "put the tables into this document, between its marks");
  command->add_option("--name", options->lab, "of the lab it stands in")->capture_default_str();
  command->footer(bench_suites_text() + "\nWIREGUARD_GO=PROGRAM names the wireguard-go to compare with.");
  command->callback([&shell, options] {
    shell.command = [options](Log&) -> Result<Outcome> {
      const Interrupt interrupt;
      return run_bench(*options, interrupt.token());
    };
  });
}

void add_lab_grid(CLI::App& lab, Shell& shell) {
  const auto options = std::make_shared<GridCommand>();
  CLI::App* command = add_command(lab, shell, "grid", "a sweep's choice against the best of an exhaustive grid, on a profile of the lab");
  command->add_option("--profile", options->profile, "the line to measure on (default: none, report what the folder holds)");
  command->add_option("--line", options->lab_words, "words over the profile, for example loss=0.1%; repeatable");
  command->add_option("--name", options->name, "of the files and of the lab (default: the profile's)");
  command->add_option("--folder", options->folder, "where the journals are; the same command goes on with them")->capture_default_str();
  command->add_option("--goal", options->goal, "what best means: throughput, latency, balanced, cpu")
      ->check(CLI::IsMember({"throughput", "latency", "balanced", "cpu"}))->capture_default_str();
  command->add_option("--budget", options->budget, "of the sweep")->capture_default_str();
  command->add_option("--seconds", options->seconds, "measured each way")->check(CLI::Range(1, 300))->capture_default_str();
  command->add_option("--omit", options->omit_seconds, "left out before")->check(CLI::Range(0, 60))->capture_default_str();
  command->add_option("--blocks", options->blocks, "fresh starts of each arm of the grid")->check(CLI::Range(1, 1000))->capture_default_str();
  command->add_option("--duel-blocks", options->duel_blocks, "fresh starts of choice and best against each other")->check(CLI::Range(2, 1000))->capture_default_str();
  command->add_flag("--whole", options->is_whole, "the grid also holds what is one knob away from each arm: hours");
  command->add_flag("--native,!--no-native", options->with_native, "try the native link (default: yes)");
  command->add_flag("--openvpn,!--no-openvpn", options->with_openvpn, "try OpenVPN (default: yes)");
  command->add_option("--seed", options->seed, "of the order of trials and of the line")->check(CLI::NonNegativeNumber)->capture_default_str();
  command->footer("Without --profile: the table of all results in the folder; exit code 0 when at least 95 % of them are within 5 %.");
  command->callback([&shell, options] {
    shell.command = [options](Log&) -> Result<Outcome> {
      const Interrupt interrupt;
      return run_grid(*options, interrupt.token());
    };
  });
}

void add_lab(CLI::App& app, Shell& shell) {
  CLI::App* lab = app.add_subcommand("lab", "two sites and a WAN on this machine: try before you buy a second site");
  lab->require_subcommand(1);
  add_lab_up(*lab, shell);
  add_lab_down(*lab, shell);
  add_lab_exec(*lab, shell);
  add_lab_set(*lab, shell);
  add_lab_status(*lab, shell);
  add_lab_emulate(*lab, shell);
  add_lab_demo(*lab, shell);
  add_lab_bench(*lab, shell);
  add_lab_grid(*lab, shell);
}

// A misspelt command, found before the parser only says that one is missing.
Status check_command(const CLI::App& app, int argc, char** argv) {
  const CLI::App* level = &app;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--json") continue;
    if (argv[i][0] == '-') return {};
    std::vector<std::string> known;
    const CLI::App* next = nullptr;
    for (const CLI::App* each : level->get_subcommands([](const CLI::App*) { return true; })) {
      if (!each->get_group().empty()) known.push_back(each->get_name());
      if (each->get_name() == argv[i]) next = each;
    }
    if (known.empty()) return {};
    if (next == nullptr) {
      const auto meant = nearest(argv[i], known);
      return fail(Errc::invalid, std::string("no command ") + printable(argv[i], 40) +
                                     (meant ? ": did you mean " + *meant + "?" : ": there are " + join(known, ", ")));
    }
    level = next;
  }
  return {};
}

}  // namespace

int run_cli(int argc, char** argv) {
  Shell shell;
  CLI::App app("linktune: a site link that tunes itself");
  app.set_version_flag("--version", LINKTUNE_VERSION);
  app.require_subcommand(1);
  app.add_flag("--json", shell.json, "print one JSON object instead of text");
  app.failure_message(CLI::FailureMessage::simple);
  std::string level = "info";
  app.add_option("--log-level", level, "debug, info, warn or error")->check(CLI::IsMember({"debug", "info", "warn", "error"}))->capture_default_str();

  add_init(app, shell);
  add_keys(app, shell);
  add_up(app, shell);
  add_asking(app, shell, "status", "what the link does; exit code 0 only when it is up", run_status);
  add_asking(app, shell, "down", "end the link in good order", run_down);

  add_probe(app, shell);
  add_sweep(app, shell);
  add_sweep_results(app, shell);
  add_apply(app, shell);
  add_openvpn(app, shell);
  add_mirror(app, shell);
  add_lab(app, shell);

  if (const auto known = check_command(app, argc, argv); !known) return report(shell, known.error());
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? exit_done : exit_usage;
  }
  const std::map<std::string, LogLevel> levels{
      {"debug", LogLevel::debug}, {"info", LogLevel::info}, {"warn", LogLevel::warn}, {"error", LogLevel::error}};
  Log log = Log::to_stderr(levels.at(level));
  const auto outcome = shell.command(log);
  return outcome ? report(shell, *outcome) : report(shell, outcome.error());
}

}  // namespace lt::app

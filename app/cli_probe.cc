#include "app/cli_probe.h"

#include "app/cmd_probe.h"
#include "app/interrupt.h"

namespace lt::app {

// One word for both ends: with --serve it waits for a client, without it is one.
void add_probe(CLI::App& app, Shell& shell) {
  const auto test = std::make_shared<ProbeCommand>();
  const auto server = std::make_shared<ProbeServeCommand>();
  const auto serve = std::make_shared<bool>(false);
  CLI::App* command = add_command(app, shell, "probe", "what a path carries, how long packets wait on it, what that costs");
  command->add_flag("--serve", *serve, "be the server");
  command->add_option("--control", test->control, "ADDR:PORT or unix:PATH of the control line, outside the path under test")->required();
  command->add_option("--data", test->data, "the server's address on the path under test");
  command->add_option("--data-port", test->data_port, "its port there (default: the server picks)");
  command->add_option("--source", test->source, "the client's own address on that path (default: by route)");
  command->add_option("--seconds", test->seconds, "measured")->capture_default_str();
  command->add_option("--omit", test->omit_seconds, "left out before")->capture_default_str();
  command->add_option("--idle", test->idle_seconds, "of echo before the load")->capture_default_str();
  command->add_option("--flows", test->flows, "TCP connections each way")->capture_default_str();
  command->add_option("--direction", test->direction, "up, down or both, seen from the client")
      ->check(CLI::IsMember({"up", "down", "both"}))->capture_default_str();
  command->add_option("--congestion", test->congestion, "TCP_CONGESTION at both ends")->capture_default_str();
  command->add_option("--echo-rate", test->echo_per_second, "UDP echo packets a second")->capture_default_str();
  command->add_option("--echo-bytes", test->echo_bytes, "of each")->capture_default_str();
  command->add_option("--token-file", test->token_file, "mode 0600; default: LINKTUNE_PROBE_TOKEN, or a fresh one that the server prints");
  command->add_flag("--once", server->once, "server: end after the first client");
  command->add_flag("--open", server->open, "server: no token, for labs only");
  command->add_flag("--path", test->is_path, "instead of a load: path MTU each way, whether fragments survive, loss of full-size packets");
  command->footer("On one gateway:    linktune probe --serve --control 10.99.0.2:5299\n"
                  "On the other:      LINKTUNE_PROBE_TOKEN=... linktune probe --control 10.99.0.2:5299 --data 10.77.0.2 --direction both");
  command->callback([&shell, test, server, serve] {
    shell.command = [test, server, serve](Log& log) -> Result<Outcome> {
      const Interrupt interrupt;
      if (!*serve) return run_probe_command(*test, interrupt.token());
      server->control = test->control;
      server->data = test->data;
      server->token_file = test->token_file;
      return run_probe_server(*server, interrupt.token(), log);
    };
  });
}

}  // namespace lt::app

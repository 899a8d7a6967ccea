#include "app/cli_probe.h"

#include "app/cmd_iperf3.h"
#include "app/cmd_probe.h"
#include "app/interrupt.h"

namespace lt::app {

namespace {

struct ProbeWords {
  ProbeCommand test;
  ProbeServeCommand server;
  bool serve{false};
  Iperf3Command iperf3;
  Iperf3ServeCommand iperf3_server;
};

// What an iperf3 test has beside what every load has.
void add_iperf3(CLI::App* command, ProbeWords& words) {
  CLI::Option* client = command->add_option("--iperf3", words.iperf3.server, "HOST[:PORT] of an iperf3 server: be its client");
  CLI::Option* server = command->add_option("--serve-iperf3", words.iperf3_server.address, "[ADDR:PORT] be a server for iperf3 clients (default: port 5201 of every address)")
      ->expected(0, 1)->excludes(client);
  command->get_option("--control")->excludes(client)->excludes(server);
  for (const char* other : {"--serve", "--data", "--data-port", "--token-file", "--open", "--path"})
    command->get_option(other)->excludes(client)->excludes(server);
  Iperf3Command& test = words.iperf3;
  for (CLI::Option* option : {
           command->add_flag("--udp", test.is_udp, "datagrams instead of TCP"),
           command->add_option("--rate", test.rate, "of each stream, for example 500mbit (default: TCP no limit, UDP 1 Mbit/s)"),
           command->add_option("--block-bytes", test.block_bytes, "of a write, or of a datagram (default: 131072, 1448)"),
           command->add_option("--mss", test.mss_bytes, "TCP's segment size (default: the kernel's)"),
           command->add_option("--window", test.window_bytes, "of socket buffers, which turns the kernel's own sizing off"),
           command->add_flag("--no-delay", test.no_delay, "TCP_NODELAY"),
           command->add_option("--family", test.family, "4 or 6, of a server's name")->check(CLI::IsMember({4, 6})),
           command->add_flag("--server-output", test.wants_server_output, "also what the server says at its end")}) {
    option->needs(client)->group("With iperf3");
  }
}

// Options that both kinds of tests have mean the same for both.
Result<Outcome> run(ProbeWords& words, CLI::App* command, const std::stop_token& stop, Log& log) {
  if (command->count("--serve-iperf3") > 0) {
    words.iperf3_server.once = words.server.once;
    return run_iperf3_server(words.iperf3_server, stop, log);
  }
  if (command->count("--iperf3") > 0) {
    Iperf3Command& iperf3 = words.iperf3;
    iperf3.direction = words.test.direction;
    iperf3.flows = words.test.flows;
    iperf3.seconds = words.test.seconds;
    iperf3.omit_seconds = words.test.omit_seconds;
    iperf3.congestion = words.test.congestion;
    iperf3.source = words.test.source;
    return run_iperf3_command(iperf3, stop);
  }
  if (words.test.control.empty())
    return fail(Errc::invalid, "--control is required, or --iperf3 HOST, or --serve-iperf3");
  if (!words.serve) return run_probe_command(words.test, stop);
  words.server.control = words.test.control;
  words.server.data = words.test.data;
  words.server.token_file = words.test.token_file;
  return run_probe_server(words.server, stop, log);
}

}  // namespace

// One word for both ends: with --serve it waits for a client, without it is one.
void add_probe(CLI::App& app, Shell& shell) {
  const auto words = std::make_shared<ProbeWords>();
  ProbeCommand* test = &words->test;
  ProbeServeCommand* server = &words->server;
  CLI::App* command = add_command(app, shell, "probe", "what a path carries, how long packets wait on it, what that costs");
  command->add_flag("--serve", words->serve, "be the server");
  command->add_option("--control", test->control, "ADDR:PORT or unix:PATH of the control line, outside the path under test");
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
                  "On the other:      LINKTUNE_PROBE_TOKEN=... linktune probe --control 10.99.0.2:5299 --data 10.77.0.2 --direction both\n"
                  "Against iperf3:    linktune probe --iperf3 10.77.0.2 --direction both, or linktune probe --serve-iperf3 10.77.0.2:5201 for its clients");
  add_iperf3(command, *words);
  command->callback([&shell, words, command] {
    shell.command = [words, command](Log& log) -> Result<Outcome> {
      const Interrupt interrupt;
      return run(*words, command, interrupt.token(), log);
    };
  });
}

}  // namespace lt::app

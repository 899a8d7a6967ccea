// linktune probe: what a path carries, how long packets wait on it and what that costs. Both ends.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "app/outcome.h"
#include "base/log.h"

namespace lt::app {

/// `linktune probe --serve --control ADDR:PORT [--data ADDR] [--once] [--token-file FILE] [--open]`
struct ProbeServeCommand {
  std::string control;  // "10.99.0.2:5299" or "unix:/run/linktune/probe.sock"
  std::string data;  // the only data address clients may ask for; empty: any address of this host
  std::string
      token_file;    // mode 0600; empty: LINKTUNE_PROBE_TOKEN, or a fresh token that is printed
  bool once{false};  // end after the first client
  bool open{false};  // no token: whoever reaches the control address may test. For labs
};

/// `linktune probe --control ADDR:PORT --data ADDR [--data-port N] [--source ADDR] [--seconds S]
/// [--omit S]
/// [--idle S] [--flows N] [--direction up|down|both] [--congestion NAME] [--echo-rate N]
/// [--token-file FILE] [--path]`
struct ProbeCommand {
  std::string control;
  std::string data;
  std::uint16_t data_port{0};  // 0: the server picks
  std::string source;          // empty: by route
  double seconds{10};
  double omit_seconds{2};
  double idle_seconds{1};
  unsigned flows{1};
  std::string direction{"up"};
  std::string congestion{"cubic"};
  unsigned echo_per_second{200};
  unsigned echo_bytes{64};
  std::string token_file;  // empty: LINKTUNE_PROBE_TOKEN, if it is set
  bool is_path{false};     // the shape of the path instead of a load
};

/// Serves until `stop`, or until the first client has gone with `once`. Where it listens, and a
/// fresh token, go to standard error at once. A token is never taken from the command line: others
/// could read it there.
/// @error invalid: an address or the token · not_permitted: the token file may be read by others ·
/// busy: the port is taken
[[nodiscard]] Result<Outcome> run_probe_server(const ProbeServeCommand& command,
                                               const std::stop_token& stop, Log& log);

/// Tests once. Exit code 1 when the path does not carry the test; its result is printed
/// nevertheless.
/// @error as tuner::run_probe
[[nodiscard]] Result<Outcome> run_probe_command(const ProbeCommand& command,
                                                const std::stop_token& stop);

}  // namespace lt::app

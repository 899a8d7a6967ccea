// linktune up, status, down: the daemon, and what asks it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "app/outcome.h"
#include "base/log.h"

namespace lt::app {

struct UpOptions {
  std::string config_path;
  std::string run_directory;
  std::vector<std::string> settings;  // "native.mtu=9000": override the config's knobs for this run
  std::string user;                   // whom the daemon becomes; empty: see find_service_user()
  std::string sandbox;                // "enforce", "log", "off"; empty: default_sandbox_mode()
};

/// Runs the link in the foreground until SIGINT, SIGTERM or `linktune down`.
[[nodiscard]] Status run_up(const UpOptions& options, Log& log);

struct AskOptions {
  std::string config_path;  // whose link; or
  std::string site;         // its name; both empty: the only one that runs here
  std::string run_directory;
};

/// Exit code 0 when the link is up, 1 when it is not.
[[nodiscard]] Result<Outcome> run_status(const AskOptions& options);

/// Ends the link and waits until it is gone. @error timed_out: it is not after 10 s
[[nodiscard]] Result<Outcome> run_down(const AskOptions& options);

}  // namespace lt::app

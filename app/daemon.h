// The daemon of one site: builds every object of the link by hand, in the order it is needed, and takes all of
// it down again.
#pragma once

#include <string>

#include "app/privileges.h"
#include "base/log.h"
#include "base/result.h"
#include "configs/link_config.h"

namespace lt::app {

inline constexpr const char* default_run_directory = "/run/linktune";

struct DaemonOptions {
  configs::LinkConfig config;
  std::string run_directory{default_run_directory};
  std::string user;  // whom it becomes; empty: see find_service_user()
  SandboxMode sandbox{default_sandbox_mode()};
};

/// Keeps the link of `options.config` until SIGINT, SIGTERM or `linktune down`.
/// @error what kept it from starting: the machine is then as it was
[[nodiscard]] Status run_daemon(const DaemonOptions& options, Log& log);


}  // namespace lt::app

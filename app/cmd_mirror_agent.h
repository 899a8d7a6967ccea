// `linktune mirror agent`: serves the other site's mirror, until SIGTERM or Ctrl-C.
#pragma once

#include <map>
#include <stop_token>
#include <string>

#include "base/log.h"
#include "base/result.h"
#include "mirror/agent.h"

namespace lt::app {

struct MirrorAgentOptions {
  std::string config_path;
  std::string jobs_path;
};

/// Runs in the foreground. @error invalid: a config · busy: an agent runs already
[[nodiscard]] Status run_mirror_agent(const MirrorAgentOptions& options,
                                      std::map<std::string, mirror::RequestHandler> requests, std::stop_token stop,
                                      Log& log);

}  // namespace lt::app

// The link's state as JSON (schema linktune.status.1) and as lines for people.
#pragma once

#include <string>

#include "app/privileges.h"
#include "base/json.h"
#include "configs/link_config.h"
#include "tunnel/link.h"

namespace lt::app {

/// `state` is one of
///   "up"          authenticated full-size payload went both ways within the last 3 s
///   "unproven"    a session is there, but that proof is missing: starting, stalled or dying
///   "connecting"  no session; this site keeps trying
///   "listening"   no session; this site waits for the other one
[[nodiscard]] Json status_json(const configs::LinkConfig& config, const tunnel::LinkSnapshot& snapshot,
                               tunnel::IoBackend io, bool offload);

/// What the daemon has given up, asked of the kernel now: stage, user, capabilities, filter.
[[nodiscard]] Json sandbox_json(Stage stage, const ServiceUser& user, bool files_restricted);

[[nodiscard]] std::string status_text(const Json& status);

}  // namespace lt::app

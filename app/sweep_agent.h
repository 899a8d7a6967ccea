// SweepAgent: what a site runs so that the other one can try settings with it, and apply the best.
//
// One lease at a time. Everything that a trial makes here belongs to it (app/trial_host.h), and it lives by being
// heard of:
//
//     the asker's program ends (its connection is closed)  -> the lease is over, all is as it was
//     the line is cut                                      -> the asker may resume within lease_time; else over
//     this program is killed                               -> the watcher takes all away (app/left_overs.h)
//
// One thread. What it is asked is typed and range-checked (app/sweep_request.h); where trials run is this site's own
// config. With `allow` off every request is refused, in a sentence that says so.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "app/sweep_line.h"
#include "base/log.h"
#include "configs/link_config.h"

namespace lt::app {

inline constexpr Seconds lease_time{12};  // and a trial is down 5 s later: within the 30 s that are promised
inline constexpr Seconds beat_time{1};

struct SweepAgentOptions {
  std::string config_path;
  std::string run_directory;
  std::string state_directory;
};

/// Serves in the foreground until `stop`. @error invalid: the config · busy: an agent runs already
[[nodiscard]] Status run_sweep_agent(const SweepAgentOptions& options, const std::stop_token& stop, Log& log);

/// The file in which an agent says what runs: who, what, until when; gone when nothing does.
[[nodiscard]] std::string sweep_notice_path(const std::string& run_directory, const std::string& site);
/// Its content, if it is true now. For `linktune status`.
[[nodiscard]] std::optional<Json> running_sweep(const std::string& run_directory, const std::string& site);
[[nodiscard]] std::string running_sweep_text(const Json& notice);

}  // namespace lt::app

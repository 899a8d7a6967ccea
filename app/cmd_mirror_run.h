// linktune mirror plan, run, status: the jobs of a site's mirror.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "app/outcome.h"
#include "base/log.h"

namespace lt::app {

struct MirrorJobsOptions {
  std::string config_path;         // the site's; may be empty where no job goes to the peer
  std::string jobs_path;           // the mirror's sections; empty: in the site's config
  std::vector<std::string> names;  // of jobs; empty: all
};

struct MirrorRunOptions {
  MirrorJobsOptions jobs;
  bool only_due{false};        // those whose schedule says so: for a timer
  bool loop{false};            // stay, and run each when it is due
  bool even_unchanged{false};  // carry what is unchanged, too
};

/// What would run, and why; asks both sides, changes nothing.
[[nodiscard]] Result<Outcome> run_mirror_plan(const MirrorJobsOptions& options);

/// Runs jobs now, the highest priority first. Exit code 1 when a dataset failed.
[[nodiscard]] Result<Outcome> run_mirror_run(const MirrorRunOptions& options,
                                             const std::stop_token& stop, Log& log);

/// What the ledger says: last runs, lag, next run, scrubs. Asks nobody. Exit code 1 when a copy is
/// stale, a last run failed or a scrub found errors.
[[nodiscard]] Result<Outcome> run_mirror_status(const MirrorJobsOptions& options);

}  // namespace lt::app

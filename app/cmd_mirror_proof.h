// `linktune mirror verify | drill | restore | seed`: whether the copy is what the source is, and back again.
#pragma once

#include <cstdint>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "app/outcome.h"
#include "mirror/session.h"

namespace lt::app {

struct ProofPlaces {
  std::string config_path;
  std::string jobs_path;            // empty: the mirror's sections are in the site's config
  std::vector<std::string> through;  // a program that is called as ssh is, instead of the agent
};

struct VerifyCommand {
  ProofPlaces places;
  std::string job;             // empty: all
  std::uint64_t mebibytes{0};  // budget for each dataset; 0: none
  std::uint64_t minutes{0};
  bool from_start{false};      // do not go on where the last one stopped
};
[[nodiscard]] Result<Outcome> run_mirror_verify(const VerifyCommand& command, const std::stop_token& stop);

struct DrillCommand {
  ProofPlaces places;
  std::string job;
  bool whole{false};
  std::size_t files{20};
};
[[nodiscard]] Result<Outcome> run_mirror_drill(const DrillCommand& command, const std::stop_token& stop);

struct RestoreCommand {
  ProofPlaces places;
  std::string job;
  std::string dataset;   // below the job's source; empty: all of it
  std::string file;      // within the dataset: a file or a folder
  std::string snapshot;  // of a file; empty: the newest
  std::string to;        // a dataset, or the path of a file; empty: where it was
  std::vector<std::string> create_pool;  // words behind `zpool create`, the pool's name among them
  bool dry_run{false};
  bool verify{true};
};
[[nodiscard]] Result<Outcome> run_mirror_restore(const RestoreCommand& command, const std::stop_token& stop);

struct SeedExportCommand {
  ProofPlaces places;
  std::string job;
  std::string folder;
};
[[nodiscard]] Result<Outcome> run_mirror_seed_export(const SeedExportCommand& command, const std::stop_token& stop);

struct SeedImportCommand {
  std::string folder;
  std::string to;  // a dataset
};
[[nodiscard]] Result<Outcome> run_mirror_seed_import(const SeedImportCommand& command, const std::stop_token& stop);

/// Serves the files of `snapshot` on the standard streams: what the agent starts for the other site.
[[nodiscard]] Result<Outcome> run_mirror_tree(const std::string& snapshot);

/// The agent's typed requests of the proofs.
[[nodiscard]] std::map<std::string, mirror::RequestHandler> proof_requests(const mirror::AllowRules& rules);

}  // namespace lt::app

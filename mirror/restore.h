// Restore: datasets brought back from the other site with their snapshots, and files out of one snapshot.
//
// First a plan that changes nothing and says what would be done, or why not; then the work. A restore
// that was interrupted goes on where it stopped when it is begun again. Nothing that is there is ever
// overwritten: a dataset with files or snapshots of its own is refused, with the cure.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "mirror/side.h"
#include "mirror/snapshots.h"
#include "mirror/tree_session.h"

namespace lt::mirror {

struct DatasetRestore {
  enum class Way : std::uint8_t {
    fresh,     // it is not there
    fill,      // it is there, empty and without snapshots: the top of a new pool
    go_on,     // it holds older snapshots of the same line: an interrupted restore
    whole,     // it holds everything already
    skip,      // no snapshot at the other site: nothing can be sent
  };
  std::string from;
  std::string to;
  Way way{Way::fresh};
  std::vector<HeldSnapshot> snapshots;  // to be had, oldest first
  std::string base;                 // of go_on: the newest common one
  std::uint64_t bytes{0};           // that it refers to there; 0 where unknown
};

struct RestorePlan {
  std::vector<DatasetRestore> datasets;
  [[nodiscard]] std::uint64_t bytes() const;
  [[nodiscard]] std::size_t snapshots() const;
  /// A line for each step, for people.
  [[nodiscard]] std::string text() const;
};

struct RestoreRequest {
  std::string from;  // a dataset of `peer`
  std::string to;    // a dataset of `here`
  bool recursive{true};
};

/// @error exists: something of its own is there · not_found: no such dataset, or no pool to restore into
[[nodiscard]] Result<RestorePlan> plan_restore(Side& peer, Side& here, const RestoreRequest& request);

struct RestoreReport {
  std::uint64_t datasets{0};
  std::uint64_t snapshots{0};
  std::uint64_t stream_bytes{0};
};

/// Tells what is being done: dataset number `at` of `count`.
using RestoreProgress = std::function<void(std::size_t at, std::size_t count, const DatasetRestore& dataset)>;

/// Carries the plan out; afterwards both sides hold the same snapshots, by GUID.
/// @error io: what failed; what was restored stays, and a new restore goes on from there
[[nodiscard]] Result<RestoreReport> restore_datasets(Side& peer, Side& here, const RestorePlan& plan, const RestoreProgress& progress,
                                                     const std::stop_token& stop);

/// Brings `path` (a file, or a folder with all that is in it) out of an open snapshot to `to`, which must
/// not exist; contents are checked against the other side's hashes before they get their name.
struct FilesReport {
  std::uint64_t files{0};
  std::uint64_t bytes{0};
};
[[nodiscard]] Result<FilesReport> restore_files(TreeClient& peer, const std::string& path, const std::string& to, const HashFunction& hash);

}  // namespace lt::mirror

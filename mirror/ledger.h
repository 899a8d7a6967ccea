// The ledger: what was mirrored, found unchanged, verified, drilled and scrubbed, and when. The door
// of SQLite.
//
// Quiet must never be mistaken for broken: that a dataset was checked and nothing was written to it
// is a record like any other. Each record is one transaction, on the disk when the call returns.
// Several processes may use one ledger at once (a run, a verify, a status); they wait for each other
// at most `busy_wait`.
//
// Schema: `user_version` counts it; a ledger of a newer linktune is refused, an older one is brought
// up to date in one transaction. Times are seconds since 1970, UTC.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "configs/calendar.h"

namespace lt::mirror {

using configs::WallTime;

enum class RunOutcome : std::uint8_t { running, done, failed, interrupted };
[[nodiscard]] std::string_view name_of(RunOutcome outcome);

/// One run of a job, over all its datasets.
struct RunRecord {
  std::int64_t id{0};
  std::string job;
  WallTime started{};
  WallTime ended{};  // equal to `started` while it runs
  RunOutcome outcome{RunOutcome::running};
  unsigned mirrored{0};
  unsigned unchanged{0};
  unsigned failed{0};
  Bytes sent;
  std::string what;  // of a failed one: one sentence with its cure
};

enum class DatasetOutcome : std::uint8_t {
  mirrored,   // both sides hold the newest snapshot
  unchanged,  // checked: nothing was written since the last mirrored snapshot
  failed,
  busy,       // another run or an outside receive had it
};
[[nodiscard]] std::string_view name_of(DatasetOutcome outcome);

/// What became of one dataset in one run.
struct DatasetRecord {
  std::int64_t run{0};
  std::string job;
  std::string source;  // DatasetPlace::text() of the one dataset
  std::string target;
  WallTime started{};
  WallTime ended{};
  DatasetOutcome outcome{DatasetOutcome::failed};
  unsigned attempts{0};
  Bytes sent;                  // counted on its way; 0 when unchanged
  Milliseconds took{0};        // of the transfer alone
  std::string snapshot;        // the newest one that both sides hold, without dataset and @
  std::string guid;            // its GUID, decimal
  WallTime snapshot_created{}; // when the source made it
  Bytes written;               // at the source beyond `snapshot`, when this was recorded
  std::string what;            // of a failed one: one sentence with its cure
};

enum class ProofKind : std::uint8_t {
  guids,    // both sides hold the same snapshots
  verify,   // contents compared
  drill,    // restored to a scratch place, and compared
  restore,  // restored for good
  seed,     // exported to or imported from a carried disk
  scrub,    // a pool read through
};
[[nodiscard]] std::string_view name_of(ProofKind kind);
[[nodiscard]] std::optional<ProofKind> proof_kind_from(std::string_view name);

enum class ProofResult : std::uint8_t { running, good, bad, interrupted };
[[nodiscard]] std::string_view name_of(ProofResult result);

/// A look at what was mirrored. `dataset` is a DatasetPlace's text; of a scrub its pool.
struct ProofRecord {
  std::int64_t id{0};
  ProofKind kind{ProofKind::verify};
  std::string job;       // empty where none is meant
  std::string dataset;
  std::string snapshot;  // without dataset and @; empty where none is meant
  WallTime started{};
  WallTime ended{};
  ProofResult result{ProofResult::running};
  Milliseconds took{0};
  Bytes examined;        // of contents
  Bytes total;           // of contents there; 0 where unknown
  std::uint64_t files{0};
  std::string what;      // one sentence: the first difference, the cure; or what was found good
  std::string detail;    // one JSON object, free for the kind; empty for none
};

class Ledger {
 public:
  static constexpr Milliseconds busy_wait{10'000};

  /// Opens or makes `folder`/ledger.sqlite (and the folder, mode 0700).
  /// @error not_permitted, io: the folder · unsupported: a newer ledger · invalid: not a ledger
  [[nodiscard]] static Result<Ledger> open(const std::string& folder);

  Ledger(Ledger&&) noexcept;
  Ledger& operator=(Ledger&&) noexcept;
  ~Ledger();

  // --- writing ---

  /// @return the run's id
  [[nodiscard]] Result<std::int64_t> begin_run(const std::string& job, WallTime now);
  /// Ends `run.id` with the outcome and counts of `run`.
  [[nodiscard]] Status end_run(const RunRecord& run);
  [[nodiscard]] Status record(const DatasetRecord& dataset);
  /// As above for many at once, in one transaction.
  [[nodiscard]] Status record(const std::vector<DatasetRecord>& datasets);
  /// @return the proof's id, for `update`
  [[nodiscard]] Result<std::int64_t> record(const ProofRecord& proof);
  /// Replaces the proof with `proof.id`: a scrub that was begun and has ended.
  [[nodiscard]] Status update(const ProofRecord& proof);
  /// Runs that a dead process left as running are marked interrupted. @return how many
  [[nodiscard]] Result<unsigned> close_abandoned_runs(const std::string& job, WallTime now);
  /// Forgets what is older than `before`, but the newest record of each dataset and proof.
  [[nodiscard]] Status prune(WallTime before);

  // --- reading ---

  /// Newest first.
  [[nodiscard]] Result<std::vector<RunRecord>> runs(std::string_view job, unsigned count_max) const;
  [[nodiscard]] Result<std::vector<DatasetRecord>> datasets_of(std::int64_t run) const;
  /// The newest record of each dataset of `job`, in the order of their names.
  [[nodiscard]] Result<std::vector<DatasetRecord>> newest(std::string_view job) const;
  /// The newest record of each dataset of `job` that proves its copy: mirrored or unchanged.
  [[nodiscard]] Result<std::vector<DatasetRecord>> newest_good(std::string_view job) const;
  /// The last transfers of `job` that sent something, newest first: what forecasts go by.
  [[nodiscard]] Result<std::vector<DatasetRecord>> transfers(std::string_view job,
                                                             unsigned count_max) const;
  /// Proofs of `kind`, newest first; of one dataset, or of all with an empty one.
  [[nodiscard]] Result<std::vector<ProofRecord>> proofs(ProofKind kind, std::string_view dataset,
                                                        unsigned count_max) const;

 private:
  struct Db;
  explicit Ledger(std::unique_ptr<Db> db);
  std::unique_ptr<Db> db_;
};

}  // namespace lt::mirror

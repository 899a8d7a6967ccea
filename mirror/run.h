// A run: one job from its plan to its records, dataset by dataset, under retries and limits.
//
//   1 lock       one run for each target; what is taken is left alone and said
//   2 plan       both sides are asked; what is unchanged is recorded as checked
//   3 carry      unmodified Syncoid for each dataset that is due, what is above before what is below;
//                watched while it runs: rate, progress, stall
//   4 confirm    both sides are asked again: the copy counts when they share the new snapshot
//   5 record     in the ledger, at once for each dataset
//
// Failures that pass by themselves are tried again, after waits that double. Other datasets go on.
// The own thread waits, watches and starts children; nothing here is shared with another one.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "mirror/forecast.h"
#include "mirror/inventory.h"
#include "mirror/ledger.h"
#include "mirror/meter.h"
#include "mirror/plan.h"
#include "mirror/stall.h"
#include "mirror/syncoid.h"

namespace lt::mirror {

/// Where a run stands; told about once a second.
struct Progress {
  std::string job;
  std::string dataset;
  unsigned index{0};   // of the dataset among those due, from 1
  unsigned count{0};
  Bytes done;          // of all datasets due
  Bytes total;         // as ZFS counts; 0 where unknown
  std::optional<double> bytes_per_second;
  std::optional<Seconds> remaining;
  std::optional<Outlook> outlook;
  std::optional<std::string> stall;
  configs::RateLimit limit;
};

/// The most that may be sent now, beside the limits of the job: what yielding leaves.
using RateCeiling =
    std::function<std::optional<BitsPerSecond>(const MeterReading& reading, Instant now)>;

struct RunOptions {
  Reach reach;
  std::string program_path;  // PATH of Syncoid and all it starts; empty: this program's
  std::vector<std::string> environment{};  // NAME=VALUE of Syncoid and all it starts
  std::function<void(const Progress&)> progress{};
  RateCeiling ceiling{};     // for jobs that yield; empty: none
  std::function<configs::WallTime()> wall_clock{};  // empty: the system's
  bool even_unchanged{false};                       // carry what is unchanged, too
};

struct JobReport {
  RunRecord run;
  std::vector<DatasetRecord> datasets;
  unsigned stalls{0};
};

class Runner {
 public:
  /// @pre all three outlive this
  Runner(const configs::MirrorConfig& config, RunOptions options, Ledger& ledger, Log& log);

  /// The plan of `job`, from both sides. @error as read_inventory · not_found: no such source
  [[nodiscard]] Result<std::vector<PlannedDataset>> plan(const configs::MirrorJob& job) const;

  /// Runs `job` now. What failed is in the report; an error is what kept the job from running.
  /// @error busy: another run has it · as plan() · the ledger's
  [[nodiscard]] Result<JobReport> run(const configs::MirrorJob& job, const std::stop_token& stop);

 private:
  struct Carrying;
  [[nodiscard]] Result<DatasetRecord> carry(Carrying& carrying, const PlannedDataset& planned,
                                            const std::stop_token& stop);
  [[nodiscard]] Result<std::optional<Failure>> attempt(Carrying& carrying,
                                                       const PlannedDataset& planned,
                                                       const std::stop_token& stop);
  [[nodiscard]] Result<std::optional<Failure>> confirm(const configs::MirrorJob& job,
                                                       const PlannedDataset& planned,
                                                       DatasetRecord& record) const;
  void watch(Carrying& carrying, int child, Instant now);
  void tell(Carrying& carrying, Instant now);
  [[nodiscard]] bool wait(Seconds time, const std::stop_token& stop) const;
  [[nodiscard]] configs::WallTime wall() const;
  [[nodiscard]] DatasetRecord record_of(const configs::MirrorJob& job, std::int64_t run,
                                        const PlannedDataset& planned) const;
  void hook(const std::vector<std::string>& argv, const std::string& event,
            const std::string& job, const std::string& dataset, const std::string& text);

  const configs::MirrorConfig& config_;
  RunOptions options_;
  Ledger& ledger_;
  Log& log_;
};

/// What the `zfs` of a running stream is doing, among the processes that `session` leads; `stopped` when any
/// program of the stream is stopped, since `zfs` then only waits for it. Nothing: there is no stream.
[[nodiscard]] std::optional<ChildWait> stream_wait(int session);

}  // namespace lt::mirror

// Lag: how old the copy of each dataset is, in seconds and bytes, from the ledger. Pure.
//
// A copy is current as of the moment its snapshot was made; where a later check found that nothing
// had been written since, as of that check. So a quiet dataset stays young as long as it is checked,
// and grows old when nobody looks any more.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "configs/mirror_config.h"
#include "mirror/ledger.h"

namespace lt::mirror {

struct DatasetLag {
  std::string source;
  std::string target;
  std::optional<WallTime> current_as_of;  // nothing: never copied
  std::optional<Seconds> age;
  Bytes written;                          // not copied yet, when last looked
  bool is_stale{true};                    // older than the job allows, or never copied
  DatasetOutcome outcome{DatasetOutcome::failed};  // of the newest record
  std::string what;                                // of a failed one
};

/// @param newest  the newest record of each dataset of `job`  @param good  as Ledger::newest_good
[[nodiscard]] std::vector<DatasetLag> lag_of(const configs::MirrorJob& job,
                                             const std::vector<DatasetRecord>& newest,
                                             const std::vector<DatasetRecord>& good, WallTime now);

/// As above from the ledger.
[[nodiscard]] Result<std::vector<DatasetLag>> read_lag(const Ledger& ledger,
                                                       const configs::MirrorJob& job,
                                                       WallTime now);

/// One sentence about a stale one, with its cure.
[[nodiscard]] std::string stale_text(const DatasetLag& lag, const configs::MirrorJob& job);

/// When `job` is due next; `last_started` is that of its last run. Nothing: only when asked for.
[[nodiscard]] std::optional<WallTime> next_due(const configs::Calendar& schedule,
                                               std::optional<WallTime> last_started,
                                               WallTime begun);

}  // namespace lt::mirror

// The plan of a job: what would be carried, and why; and what is left alone, and why. Pure.
//
// A dataset counts as unchanged only when the target was asked and holds the source's snapshot, and
// the source says that nothing was written since. With atime=on, reading writes a little: less than
// the job's threshold is left for `unchanged_max` at most. What ZFS cannot tell (no `written`) is
// carried.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "configs/mirror_config.h"
#include "mirror/inventory.h"

namespace lt::mirror {

enum class Need : std::uint8_t {
  first,      // the target does not hold it yet
  resume,     // a receive was broken off and goes on
  written,    // something was written since the last common snapshot
  snapshots,  // nothing was written, but there are snapshots to carry
  aged,       // little was written, but long ago
  unknown,    // this ZFS does not tell what was written
  unchanged,  // nothing to do: checked
  diverged,   // source and target share no snapshot: not touched, the cure is told
};
[[nodiscard]] std::string_view name_of(Need need);
/// Whether Syncoid is to be run.
[[nodiscard]] constexpr bool is_due(Need need) {
  return need != Need::unchanged && need != Need::diverged;
}

struct PlannedDataset {
  std::string source;  // without `peer:`
  std::string target;
  Need need{Need::unknown};
  Bytes bytes;              // to be carried, as ZFS counts them; 0 where unknown
  Bytes written;            // since the common snapshot
  std::string snapshot;     // the newest common one; empty for none
  std::string guid;
  configs::WallTime snapshot_created{};
  std::string what;         // of a diverged one: the sentence with its cure
};

/// In the order of names: what is above comes before what is below it.
[[nodiscard]] std::vector<PlannedDataset> plan_job(const configs::MirrorJob& job,
                                                   const Inventory& source,
                                                   const Inventory& target,
                                                   configs::WallTime now);

/// Where `source` of the job goes: the target, with the same path below it.
[[nodiscard]] std::string target_of(const configs::MirrorJob& job, std::string_view source);

/// The newest snapshot of `source` that `target` holds, by GUID; nullptr for none.
[[nodiscard]] const Snapshot* newest_common(const Dataset& source, const Dataset& target);

}  // namespace lt::mirror

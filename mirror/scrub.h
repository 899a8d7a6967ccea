// Scrubs: a pool read through on schedule, and what it found, in the ledger.
//
// A scrub is begun and looked after in later steps; it outlives linktune. `zpool status` is the only
// source of its state, so one that was begun by hand is seen, too.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "mirror/inventory.h"
#include "mirror/ledger.h"

namespace lt::mirror {

struct PoolState {
  bool is_scrubbing{false};
  bool was_scrubbed{false};    // "scrub repaired" or "scrub completed" stands there
  std::optional<std::uint64_t> errors;  // of the last scrub
  std::string scan;            // zpool's own line
  bool is_healthy{false};      // "No known data errors", state ONLINE
};

/// What `zpool status POOL` says, by OpenZFS 2.x or zfs-fuse.
[[nodiscard]] PoolState parse_pool_status(std::string_view text);

/// Begins a scrub of `pool`, or, where one runs in the ledger, looks at it and records its end.
/// @return the record as it stands now @error io: zpool's own words · not_found: no such pool
[[nodiscard]] Result<ProofRecord> tend_scrub(const Reach& reach, Ledger& ledger,
                                             const std::string& pool, bool begins, WallTime now);

}  // namespace lt::mirror

// Inventory: which datasets and snapshots a place holds, asked in three commands whatever their
// number. OpenZFS is asked by `zfs list -p`; an older ZFS (zfs-fuse), which lacks that and
// `written`, by `zfs get -p`.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/process.h"
#include "base/result.h"
#include "base/units.h"
#include "configs/mirror_config.h"

namespace lt::mirror {

/// How short questions reach the programs of the two sites.
struct Reach {
  Argv local;                   // in front of a local argument vector: `env PATH=...`; mostly empty
  Argv peer;                    // in front of a command's text: the ssh-shaped shim and `peer`
  Milliseconds deadline{60'000};
};

/// `argv` as one text that a POSIX shell, and the agent's parser, reads back as these words.
[[nodiscard]] std::string shell_text(const Argv& argv);

/// Runs `argv` here, or at the peer. @return its output, whatever its exit code
/// @error unreachable: the peer · not_found: the program · timed_out
[[nodiscard]] Result<ProcessOutput> ask(const Reach& reach, bool is_peer, const Argv& argv);

struct Snapshot {
  std::string name;  // behind the @
  std::string guid;
  std::uint64_t createtxg{0};
  configs::WallTime created{};
  std::optional<Bytes> written;  // since the snapshot before it
};

struct Dataset {
  std::string name;
  bool is_volume{false};
  Bytes size;                     // of itself and its snapshots, without what is below it
  std::optional<Bytes> written;   // since its newest snapshot
  bool has_atime{false};
  std::string origin;             // of a clone
  bool is_partial{false};         // a receive was broken off and can be resumed
  std::vector<Snapshot> snapshots;  // oldest first
};

/// Datasets by name.
using Inventory = std::map<std::string, Dataset, std::less<>>;

/// What `place` and, with `recursive`, everything below it hold; empty when it does not exist.
/// @error as ask · io: zfs's own words
[[nodiscard]] Result<Inventory> read_inventory(const Reach& reach,
                                               const configs::DatasetPlace& place, bool recursive);

/// As above for the texts at hand: of `zfs list -Hp` or `zfs get -Hp`, each with its columns.
[[nodiscard]] Result<Inventory> parse_listing(std::string_view datasets, std::string_view snapshots,
                                              bool has_written);
[[nodiscard]] Result<Inventory> parse_properties(std::string_view text);

}  // namespace lt::mirror

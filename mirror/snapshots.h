// Snapshots: what a side says of its datasets and snapshots, and whether two sides hold the same ones.
//
// A GUID belongs to a snapshot for life and goes with it through every stream: equal GUIDs mean that the
// one was received from the other. Names prove nothing. Asked in words that zfs-fuse, OpenZFS and the
// agent's allow list all know (those of Syncoid).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mirror/side.h"

namespace lt::mirror {

/// One that a side holds. (inventory.h tells what more a run needs to know of one.)
struct HeldSnapshot {
  std::string name;  // without dataset and @
  std::uint64_t guid{0};
  std::int64_t created{0};  // seconds since 1970
  friend bool operator==(const HeldSnapshot&, const HeldSnapshot&) = default;
};

/// Oldest first. @error not_found: no such dataset · as capture()
[[nodiscard]] Result<std::vector<HeldSnapshot>> snapshots_of(Side& side, const std::string& dataset);
[[nodiscard]] Result<std::vector<HeldSnapshot>> parse_snapshots(std::string_view listing, std::string_view dataset);

/// `dataset` and all below it, parents first.
[[nodiscard]] Result<std::vector<std::string>> datasets_below(Side& side, const std::string& dataset);

struct GuidProof {
  std::string newest_common;             // of both, by GUID; empty: none
  std::uint64_t newest_guid{0};
  std::int64_t newest_created{0};
  std::size_t common{0};
  std::vector<std::string> missing;      // at the source, newer than the newest common one, not at the target
  std::vector<std::string> conflicting;  // of one name at both, with different GUIDs
  std::vector<std::string> foreign;      // at the target, newer than the newest common one, not from the source

  /// The target holds the newest snapshot of the source, and nothing that the source never had.
  [[nodiscard]] bool is_complete() const { return common > 0 && missing.empty() && conflicting.empty() && foreign.empty(); }
  /// One sentence for people, with the cure where there is one.
  [[nodiscard]] std::string text(const std::string& source, const std::string& target) const;
};

/// Pure. Both lists are oldest first.
[[nodiscard]] GuidProof prove_guids(const std::vector<HeldSnapshot>& source, const std::vector<HeldSnapshot>& target);

}  // namespace lt::mirror

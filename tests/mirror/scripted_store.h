// Store: what the scripted ZFS of one site remembers, on files: datasets, snapshots, bookmarks, pools.
//
// A dataset is one small JSON file and a folder of real files; a snapshot is a copy of that folder. So a
// thousand datasets cost what a thousand small files cost, and a tree can be read as with OpenZFS, at
// MOUNTPOINT/.zfs/snapshot/NAME.
//
//   ROOT/bin/zfs  ROOT/bin/zpool     this program; ROOT is found from where it lies
//   ROOT/faults.json                 what is to go wrong (scripted_zfs.h)
//   ROOT/state/...                   datasets, pools, counters; ROOT/mnt/NAME: the mounted files
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/json.h"

namespace lt::mirror::testing {

/// An ending with an exit code and a sentence, as zfs would end.
struct Refusal {
  int exit_code;
  std::string text;
};

struct Entry {
  std::string path;  // relative to the dataset
  std::filesystem::file_type type{};
  unsigned mode{0};
  std::int64_t mtime_ns{0};
  std::uint64_t bytes{0};
  std::string target;  // of a symbolic link
  friend bool operator==(const Entry&, const Entry&) = default;
};

/// Everything below `folder` but `.zfs`, parents before children, sorted.
[[nodiscard]] std::vector<Entry> entries_of(const std::filesystem::path& folder);
/// Copies with mode and times.
void copy_tree(const std::filesystem::path& from, const std::filesystem::path& to);
void set_attributes(const std::filesystem::path& path, const Entry& entry);

class Store {
 public:
  explicit Store(std::filesystem::path root);

  /// Held while the state is changed; not while a stream flows.
  [[nodiscard]] Fd lock() const;

  [[nodiscard]] std::filesystem::path root() const { return root_; }
  [[nodiscard]] std::filesystem::path mount_of(const std::string& dataset) const;
  [[nodiscard]] std::filesystem::path snapshot_folder(const std::string& dataset, const std::string& snapshot) const;
  [[nodiscard]] std::filesystem::path spool_of(const std::string& dataset) const;

  [[nodiscard]] bool exists(const std::string& dataset) const;
  /// @throws Refusal "dataset does not exist"
  [[nodiscard]] Json load(const std::string& dataset) const;
  void save(const Json& dataset) const;
  void remove(const std::string& dataset) const;
  /// `dataset` and what is below it, at most `depth` floors down, in zfs's order.
  [[nodiscard]] std::vector<std::string> datasets_below(const std::string& dataset, std::optional<unsigned> depth) const;
  [[nodiscard]] std::vector<std::string> all_datasets() const;

  [[nodiscard]] Json pools() const;
  void save_pools(const Json& pools) const;

  [[nodiscard]] std::uint64_t next_txg() const;
  [[nodiscard]] static std::uint64_t new_guid();

  void create(const std::string& dataset, const std::string& type, const Json& properties) const;
  void take_snapshot(Json& dataset, const std::string& name, std::uint64_t guid, std::int64_t creation) const;
  void drop_snapshot(Json& dataset, const std::string& name) const;
  void roll_back(Json& dataset, const std::string& name) const;

  /// Bytes of files that differ between two folders: what OpenZFS tells as `written`.
  [[nodiscard]] static std::uint64_t bytes_changed(const std::filesystem::path& before, const std::filesystem::path& after);
  [[nodiscard]] static std::uint64_t bytes_in(const std::filesystem::path& folder);

 private:
  [[nodiscard]] std::filesystem::path record_of(const std::string& dataset) const;
  std::filesystem::path root_;
};

/// The snapshot or bookmark `name` of a dataset's record, or null.
[[nodiscard]] Json* find_named(Json& list, std::string_view name);
[[nodiscard]] std::int64_t now_seconds();

}  // namespace lt::mirror::testing

// SnapshotFiles: a folder in which the files of one snapshot of this machine can be read.
//
// OpenZFS shows them at MOUNTPOINT/.zfs/snapshot/NAME. Where that is not there (zfs-fuse, a dataset that is
// not mounted) a read-only clone is made, POOL/linktune-look-PID-N, and destroyed with this object; clones
// of processes that died before are destroyed first. Nothing else is ever made or destroyed here.
#pragma once

#include <string>
#include <utility>

#include "base/result.h"

namespace lt::mirror {

class SnapshotFiles {
 public:
  /// @error not_found: no such snapshot · invalid: not a snapshot's name, or a volume's · io: zfs's last words
  [[nodiscard]] static Result<SnapshotFiles> open(const std::string& snapshot);
  SnapshotFiles(SnapshotFiles&& other) noexcept
      : folder_(std::move(other.folder_)), clone_(std::exchange(other.clone_, {})), scratch_(std::exchange(other.scratch_, {})) {}
  SnapshotFiles& operator=(SnapshotFiles&&) = delete;
  ~SnapshotFiles();

  [[nodiscard]] const std::string& folder() const { return folder_; }

 private:
  SnapshotFiles() = default;
  std::string folder_;
  std::string clone_;    // empty: none was needed
  std::string scratch_;  // the folder that it is mounted below
};

}  // namespace lt::mirror

// ZfsStage: an office and an off-site ZFS side by side on one machine, each with a pool `tank` on a file.
//
// Real ZFS in user space (lab/zfs_site.h); what zfs-fuse lacks is tested with scripted_zfs.h. A machine
// that cannot run it is told by why_not(), so that a test can say what it did not check.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "app/scratch_folder.h"
#include "base/result.h"
#include "lab/zfs_site.h"

namespace lt::mirror::testing {

inline constexpr std::uint64_t stage_disk_bytes = 512ULL << 20;  // sparse: costs what is written

struct ZfsStage {
  /// The sentence why this machine has no ZFS in user space; nothing where it has.
  [[nodiscard]] static std::optional<std::string> why_not() {
    const Status status = lab::check_machine_for_zfs();
    return status ? std::nullopt : std::optional(status.error().text());
  }

  [[nodiscard]] static Result<ZfsStage> build(std::uint64_t disk_bytes = stage_disk_bytes) {
    LT_TRY(app::ScratchFolder folder, app::ScratchFolder::create("zfs"));
    LT_TRY(const std::string office_folder, folder.add("office"));
    LT_TRY(const std::string offsite_folder, folder.add("offsite"));
    LT_TRY(lab::ZfsSite office, lab::ZfsSite::start({.folder = office_folder}));
    LT_TRY(lab::ZfsSite offsite, lab::ZfsSite::start({.folder = offsite_folder}));
    LT_CHECK(office.create_pool("tank", disk_bytes));
    LT_CHECK(offsite.create_pool("tank", disk_bytes));
    return ZfsStage{std::move(folder), std::move(office), std::move(offsite)};
  }

  app::ScratchFolder folder;  // dies last
  lab::ZfsSite office;
  lab::ZfsSite offsite;
};

/// Writes `bytes` of a seeded noise to `path`, which the caller reaches: compresses to nothing smaller.
[[nodiscard]] Status write_noise(const std::string& path, std::uint64_t bytes, std::uint64_t seed);
/// Changes the one byte at `offset` of the file `path`.
[[nodiscard]] Status flip_byte(const std::string& path, std::uint64_t offset);

}  // namespace lt::mirror::testing

// ZfsSite: a site's own ZFS in user space (zfs-fuse), with pools on files. For tests and the demo.
//
// zfs-fuse has one socket, one lock and one list of pools for a whole machine, at fixed paths. Each site
// therefore lives in a mount namespace of its own that covers these three folders: two sites stand side
// by side on one machine, with pools of the same name, and neither sees the other's. What is to see a
// site's ZFS - `zfs`, Syncoid, an agent - is started through exec(). The machine's own mounts and pools
// are never touched. Everything is gone with the object.
#pragma once

#include <signal.h>

#include <cstdint>
#include <string>

#include "base/process.h"
#include "base/result.h"

namespace lt::lab {

/// Root, /dev/fuse, and the programs. @error not_permitted · not_found · unsupported: one sentence with
/// the cure
[[nodiscard]] Status check_machine_for_zfs();

struct ZfsSiteOptions {
  std::string folder;            // an existing one: the pools' files and mount points come below it
  std::string program_path{};    // PATH of what exec() runs; empty: this program's
  unsigned cache_mb{64};         // zfs-fuse's memory for cached blocks (unit: MB)
};

class ZfsSite {
 public:
  /// Nothing yet: to be assigned.
  ZfsSite() = default;

  /// Answers `zpool list` when it returns, usually in a tenth of a second.
  /// @error as check_machine_for_zfs() · timed_out: zfs-fuse does not answer; its last words
  [[nodiscard]] static Result<ZfsSite> start(const ZfsSiteOptions& options);

  ZfsSite(ZfsSite&&) noexcept = default;
  ZfsSite& operator=(ZfsSite&&) noexcept = default;
  /// At once: zfs-fuse's own way out takes seconds, and its pools go with the site's folder.
  ~ZfsSite() { crash(); }

  /// The argument vector that runs `argv` beside this site's ZFS: for run_process and Child.
  [[nodiscard]] Argv exec(const Argv& argv) const;
  /// The same inside a network namespace, too. @param network  its file, as namespace_path() says it
  [[nodiscard]] Argv exec(const std::string& network, const Argv& argv) const;

  /// `zfs ARGUMENTS...`, `zpool ARGUMENTS...`. @return what it wrote @error io: its last words
  [[nodiscard]] Result<std::string> zfs(const Argv& arguments) const;
  [[nodiscard]] Result<std::string> zpool(const Argv& arguments) const;

  /// A pool on one new file, mounted below the site's folder.
  [[nodiscard]] Status create_pool(const std::string& pool, std::uint64_t bytes);
  /// Where the pool's file lies: to lose it, to damage it.
  [[nodiscard]] std::string disk_of(const std::string& pool) const;
  /// Where create_pool() mounts, as the site's own programs see it.
  [[nodiscard]] std::string mount_of(const std::string& pool) const;
  /// `path` of the site, as this program reaches it.
  [[nodiscard]] std::string seen_from_here(const std::string& path) const;

  /// Its disks hang, as failing ones do, until they are let go: every command and every stream waits.
  void hang() const { daemon_.signal(SIGSTOP); }
  void let_go() const { daemon_.signal(SIGCONT); }

  /// Ends zfs-fuse as a power cut would; restart() finds the pools again on their files.
  void crash();
  [[nodiscard]] Status restart();

 private:
  [[nodiscard]] Status cover_fixed_folders();
  [[nodiscard]] Status start_daemon();

  ZfsSiteOptions options_;
  Child namespace_holder_;
  Child daemon_;
};

}  // namespace lt::lab

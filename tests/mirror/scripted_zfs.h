// ScriptedZfs: a `zfs` and a `zpool` of our own that answer as OpenZFS 2.x does, for what zfs-fuse lacks:
// resume tokens, `written`, bookmarks, size estimates, progress, and everything that can go wrong.
//
// Each object is one site: a folder with bin/zfs and bin/zpool, real files below mnt/, snapshots at
// MOUNTPOINT/.zfs/snapshot/NAME. Put bin() first in the PATH of what is to find it; no other setting is
// needed. Streams flow between sites, never between this and a real ZFS.
#pragma once

#include <cstdint>
#include <string>

#include "base/process.h"
#include "base/result.h"

namespace lt::mirror::testing {

/// What is to go wrong in a command, at a place, some times.
struct Fault {
  enum class Act : std::uint8_t {
    fail,     // ends with `message` and `exit_code`
    stall,    // stands still until clear_faults()
    slow,     // goes on at `bytes_per_second`
    die,      // ends by SIGKILL, as with the machine
    corrupt,  // flips one bit of the stream, and goes on
    report,   // a property (`message` is NAME=VALUE) is told so, whatever is true
  };
  std::string command;             // "send", "receive", "snapshot", "get", "list", ...; "zpool scrub", "zpool status"
  std::string dataset{"*"};        // the one it strikes; "*": any
  Act act{Act::fail};
  std::uint64_t after_bytes{0};    // of a stream; 0: before the first
  std::uint64_t bytes_per_second{0};
  int exit_code{1};
  std::string message{};
  unsigned times{1'000'000};       // a stall or a slowness counts once a process
};

class ScriptedZfs {
 public:
  /// @param program  SCRIPTED_ZFS, the path that tests/mirror/CMakeLists.txt defines
  /// @param folder   made if it is absent
  [[nodiscard]] static Result<ScriptedZfs> create(const std::string& program, const std::string& folder);

  [[nodiscard]] std::string bin() const { return folder_ + "/bin"; }
  /// PATH with this site's programs first, then `before`, then the system's.
  [[nodiscard]] std::string path(const std::string& before = {}) const;
  /// `argv` with that PATH, for run_process and Child.
  [[nodiscard]] Argv exec(const Argv& argv) const;

  [[nodiscard]] Result<std::string> zfs(const Argv& arguments) const;
  [[nodiscard]] Result<std::string> zpool(const Argv& arguments) const;
  /// @param bytes  its size: more than that is "out of space"
  [[nodiscard]] Status create_pool(const std::string& pool, std::uint64_t bytes = 1ULL << 40) const;
  /// Where a dataset's files are.
  [[nodiscard]] std::string mount_of(const std::string& dataset) const;

  [[nodiscard]] Status add_fault(const Fault& fault) const;
  /// Ends every stall, slowness and failure to come.
  [[nodiscard]] Status clear_faults() const;
  /// Every command that was run here, one a line, arguments separated by a space.
  [[nodiscard]] Result<std::string> history() const;

 private:
  explicit ScriptedZfs(std::string folder) : folder_(std::move(folder)) {}
  std::string folder_;
};

}  // namespace lt::mirror::testing

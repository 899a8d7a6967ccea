// MirrorPair: two sites in a lab with all that a mirror has: the link's daemons, a ZFS at each, the agent at
// the off-site one, and Syncoid's way to it. For the demo and for tests; gone with this object.
#pragma once

#include <string>

#include "app/cmd_init.h"
#include "base/process.h"
#include "lab/sandbox.h"
#include "lab/zfs_site.h"

namespace lt::app {

struct MirrorPairOptions {
  std::string folder;   // configs, logs, pools; the caller's to remove
  std::string program;  // linktune
  std::string syncoid{"syncoid"};  // a name on PATH, or a whole path
  std::uint64_t disk_bytes{1ULL << 30};  // of each pool, sparse
  std::chrono::milliseconds patience{std::chrono::seconds(20)};
};

class MirrorPair {
 public:
  /// Pools `tank` at the office, with tank/data, and `backup` off-site; the link is up when it returns.
  /// @error as lab::check_machine_for_zfs() · timed_out: the link or the agent did not come up
  [[nodiscard]] static Result<MirrorPair> start(const lab::Sandbox& sandbox, const MirrorPairOptions& options);

  [[nodiscard]] lab::ZfsSite& office() { return office_zfs_; }
  [[nodiscard]] lab::ZfsSite& offsite() { return offsite_zfs_; }

  /// Argument vectors of programs that run at a site, with its network, its ZFS and, at the office, Syncoid's ssh.
  [[nodiscard]] Argv at_office(const Argv& argv) const;
  [[nodiscard]] Argv at_offsite(const Argv& argv) const;
  /// `linktune mirror WORDS...` at the office, with its configs.
  [[nodiscard]] Argv mirror_command(const Argv& words) const;
  /// Unmodified Syncoid over the link: tank/data to backup/office/data.
  [[nodiscard]] Argv syncoid_command() const;

  /// Bytes of packets that the office's end has sent.
  [[nodiscard]] Result<std::uint64_t> bytes_sent() const;
  /// The agent anew: after its ZFS was restarted.
  [[nodiscard]] Status restart_agent();

 private:
  MirrorPair() = default;
  [[nodiscard]] Status start_daemons();
  [[nodiscard]] Status wait_until_up() const;
  [[nodiscard]] Status write_jobs() const;

  MirrorPairOptions options_;
  InitPairReport files_;
  std::string office_network_;
  std::string offsite_network_;
  lab::ZfsSite office_zfs_;
  lab::ZfsSite offsite_zfs_;
  Child office_;
  Child offsite_;
  Child agent_;
};

}  // namespace lt::app

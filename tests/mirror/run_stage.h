// RunStage: an office and an off-site scripted ZFS, joined by a stand-in for the ssh-shaped shim that
// runs what it is told beside the other site's ZFS. For tests of what a run decides and records; the
// way over the link has tests of its own.
#pragma once

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>

#include "app/scratch_folder.h"
#include "base/fd.h"
#include "base/text.h"
#include "mirror/run.h"
#include "tests/mirror/scripted_zfs.h"
#include "tests/mirror/syncoid_program.h"
#include "tests/mirror/zfs_stage.h"
#include "tests/require.h"

namespace lt::mirror::testing {

struct RunStage {
  app::ScratchFolder folder{require(app::ScratchFolder::create("run"))};
  ScriptedZfs office{require(ScriptedZfs::create(SCRIPTED_ZFS, folder.path() + "/office"))};
  ScriptedZfs offsite{require(ScriptedZfs::create(SCRIPTED_ZFS, folder.path() + "/offsite"))};
  std::string ssh_folder{folder.path() + "/ssh"};
  Log log{Log::silent()};
  configs::WallTime now{std::chrono::floor<Seconds>(std::chrono::system_clock::now())};

  RunStage() {
    require(office.create_pool("tank"));
    require(offsite.create_pool("vault"));
    REQUIRE(::mkdir(ssh_folder.c_str(), 0700) == 0);
    require(write_file(ssh_folder + "/ssh",
                       "#!/bin/sh\n"
                       "test -e " + folder.path() + "/cut && { echo cannot reach it >&2; exit 255; }\n"
                       "while :; do case \"$1\" in\n"
                       "  -M) shift;; -O) exit 0;; -S|-o|-p|-i|-c) shift 2;; *) break;;\n"
                       "esac; done\n"
                       "shift\nPATH=" + offsite.path() + " exec sh -c \"$*\"\n",
                       0700));
  }

  void cut() const { require(write_file(folder.path() + "/cut", "", 0600)); }
  void mend() const { REQUIRE(::unlink((folder.path() + "/cut").c_str()) == 0); }

  [[nodiscard]] configs::MirrorConfig config(const std::string& jobs) const {
    const std::string text = "[mirror]\nstate_folder = \"" + folder.path() + "/state\"\nsyncoid = \"" + syncoid_program() + "\"\n" + jobs;
    return require(configs::parse_mirror_config(text, "test.toml"));
  }
  [[nodiscard]] RunOptions options() const {
    const std::string path = office.path(ssh_folder);
    return {.reach = {.local = {"env", "PATH=" + path}, .peer = {ssh_folder + "/ssh", "peer"}},
            .program_path = path,
            .wall_clock = [this] { return now; }};
  }
  [[nodiscard]] Ledger ledger() const { return require(Ledger::open(folder.path() + "/state")); }

  void create(const std::string& dataset) const { require(office.zfs({"create", dataset})); }
  void write(const std::string& dataset, const std::string& file, std::uint64_t bytes,
             std::uint64_t seed) const {
    require(write_noise(office.mount_of(dataset) + "/" + file, bytes, seed));
  }
  [[nodiscard]] bool same_file(const std::string& source, const std::string& target,
                               const std::string& file) const {
    return require(read_file(office.mount_of(source) + "/" + file, 64 << 20)) ==
           require(read_file(offsite.mount_of(target) + "/" + file, 64 << 20));
  }
};

}  // namespace lt::mirror::testing

// Unmodified Syncoid over the real link, by shim and agent, between two sites whose ZFS has what zfs-fuse lacks:
// tokens, bookmarks, holds. Whatever its options make it say to the other site, in this version, is met by the real
// allow list. An option that this Syncoid does not know yet is named as not checked.
#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>

#include "tests/mirror/mirror_sites.h"
#include "tests/mirror/scripted_zfs.h"

using namespace lt;
using namespace lt::mirror;
using namespace lt::mirror::testing;
using namespace std::chrono_literals;

namespace {

#define NEEDS_OPTION(sites, option)                                           \
  if (!(sites).knows(option)) {                                               \
    WARN("not checked: this Syncoid does not know " << (option));             \
    return;                                                                   \
  }

// tank/data at the office; tank/backup off-site is append-only, tank/loose is not.
struct OpenZfsSites {
  MirrorSites sites;
  ScriptedZfs office{require(ScriptedZfs::create(SCRIPTED_ZFS, sites.folder.path() + "/zfs-office"))};
  ScriptedZfs offsite{require(ScriptedZfs::create(SCRIPTED_ZFS, sites.folder.path() + "/zfs-offsite"))};
  unsigned runs{0};

  explicit OpenZfsSites(const std::string& name) : sites(name, {"rate=500mbit", "delay=2ms"}) {
    std::ofstream(sites.files.offsite.config_path, std::ios::app) << "\n[[mirror.receive]]\ndataset = \"tank/loose\"\nappend_only = false\n";
    require(office.create_pool("tank"));
    require(offsite.create_pool("tank"));
    require(office.zfs({"create", "tank/data"}));
    require(offsite.zfs({"create", "tank/backup"}));
    require(offsite.zfs({"create", "tank/loose"}));
    sites.start_all({"env", "PATH=" + offsite.path()});
  }

  void write(const std::string& file, std::uint64_t bytes, std::uint64_t seed) const { require(write_noise(office.mount_of("tank/data") + "/" + file, bytes, seed)); }
  [[nodiscard]] bool same_file(const std::string& target, const std::string& file) const {
    return require(read_file(office.mount_of("tank/data") + "/" + file, 64 << 20)) == require(read_file(offsite.mount_of(target) + "/" + file, 64 << 20));
  }

  [[nodiscard]] ProcessOutput run(const Argv& words) const {
    Argv argv{"env", "PATH=" + office.path(sites.shim_folder), syncoid_program(), "--no-privilege-elevation"};
    argv.insert(argv.end(), words.begin(), words.end());
    return require(run_process(sites.at_office(argv), {.deadline = 60s}));
  }
  /// tank/data to `target` there. Another identifier each time: Syncoid names its snapshots by the second.
  ProcessOutput push(const std::string& target, const Argv& words = {}) {
    Argv argv{"--identifier=run" + std::to_string(++runs)};
    if (std::none_of(words.begin(), words.end(), [](const std::string& word) { return word.starts_with("--compress"); })) argv.emplace_back("--compress=none");
    argv.insert(argv.end(), words.begin(), words.end());
    argv.insert(argv.end(), {"tank/data", "root@peer:" + target});
    return run(argv);
  }
  void expect_push(const std::string& target, const Argv& words = {}) {
    const auto output = push(target, words);
    INFO(output.out << output.err << sites.log("agent.log"));
    REQUIRE(output.exit_code == 0);
  }
  /// `linktune mirror run` at the office.
  [[nodiscard]] Argv job_run(const std::string& jobs) const {
    return sites.at_office({"env", "PATH=" + office.path(sites.shim_folder), program, "mirror", "run", "--config", sites.files.office.config_path, "--jobs", jobs});
  }
  [[nodiscard]] bool knows(const std::string& option) const { return run({"--help"}).out.find(option) != std::string::npos; }
  [[nodiscard]] static std::string get(const ScriptedZfs& site, const std::string& property, const std::string& place) {
    return std::string(trim(require(site.zfs({"get", "-Hp", "-o", "value", property, place}))));
  }
  [[nodiscard]] static bool holds(const ScriptedZfs& site, const std::string& snapshot) {
    return require(site.zfs({"list", "-H", "-r", "-t", "snapshot", "-o", "name", "tank"})).find(snapshot + "\n") != std::string::npos;
  }
  [[nodiscard]] bool was_refused(const std::string& why) const { return sites.log("agent.log").find(why) != std::string::npos; }
};

}  // namespace

TEST_CASE("a receive that was cut short goes on by its token", "[mirror][lab][netns]") {
  NEEDS_ZFS();
  OpenZfsSites zfs("words-token");
  zfs.write("a", 3'000'000, 1);
  require(zfs.offsite.add_fault({.command = "receive", .act = Fault::Act::die, .after_bytes = 1'000'000, .times = 1}));
  CHECK(zfs.push("tank/backup/data").exit_code == 2);
  CHECK(OpenZfsSites::get(zfs.offsite, "receive_resume_token", "tank/backup/data") != "-");
  zfs.expect_push("tank/backup/data");
  CHECK(OpenZfsSites::get(zfs.offsite, "receive_resume_token", "tank/backup/data") == "-");
  CHECK(zfs.same_file("tank/backup/data", "a"));
  const std::string history = require(zfs.office.history());
  CHECK(history.find("-t 1-") != history.npos);
}

TEST_CASE("what was written at an append-only target is dropped where Syncoid may roll back, and its snapshots are kept", "[mirror][lab][netns]") {
  NEEDS_ZFS();
  OpenZfsSites zfs("words-rewind");
  zfs.write("a", 300'000, 1);
  zfs.expect_push("tank/backup/data");
  zfs.write("b", 200'000, 2);
  const std::string theirs = zfs.offsite.mount_of("tank/backup/data") + "/theirs";
  require(write_noise(theirs, 50'000, 3));
  SECTION("what no snapshot holds is dropped") {
    zfs.expect_push("tank/backup/data");
    CHECK(zfs.same_file("tank/backup/data", "b"));
    CHECK_FALSE(read_file(theirs, 1 << 20));
  }
  SECTION("not where Syncoid may not roll back") {
    const auto refused = zfs.push("tank/backup/data", {"--no-rollback"});
    CHECK(refused.exit_code == 2);
    CHECK((refused.out + refused.err).find("has been modified") != std::string::npos);
    CHECK(read_file(theirs, 1 << 20));
  }
  SECTION("a snapshot of the target's own is never dropped") {
    require(zfs.offsite.zfs({"snapshot", "tank/backup/data@theirs"}));
    const auto refused = zfs.push("tank/backup/data");
    CHECK(refused.exit_code == 2);
    CHECK((refused.out + refused.err).find("most recent snapshot") != std::string::npos);
    CHECK(OpenZfsSites::holds(zfs.offsite, "tank/backup/data@theirs"));
    CHECK(read_file(theirs, 1 << 20));
  }
}

TEST_CASE("a source that kept a bookmark only is mirrored on from there", "[mirror][lab][netns]") {
  NEEDS_ZFS();
  OpenZfsSites zfs("words-bookmark");
  zfs.write("a", 300'000, 1);
  require(zfs.office.zfs({"snapshot", "tank/data@one"}));
  zfs.expect_push("tank/backup/data", {"--no-sync-snap", "--create-bookmark"});
  require(zfs.office.zfs({"destroy", "tank/data@one"}));
  zfs.write("b", 200'000, 2);
  std::this_thread::sleep_until(std::chrono::floor<Seconds>(std::chrono::system_clock::now()) + 1s);  // creation counts seconds
  require(zfs.office.zfs({"snapshot", "tank/data@two"}));
  zfs.expect_push("tank/backup/data", {"--no-sync-snap"});
  CHECK(zfs.same_file("tank/backup/data", "b"));
  CHECK(OpenZfsSites::holds(zfs.offsite, "tank/backup/data@one"));
  CHECK(OpenZfsSites::holds(zfs.offsite, "tank/backup/data@two"));
  const std::string history = require(zfs.office.history());
  CHECK(history.find("-i tank/data#one tank/data@two") != history.npos);
}

TEST_CASE("Syncoid's holds stand at both sites", "[mirror][lab][netns]") {
  NEEDS_ZFS();
  OpenZfsSites zfs("words-hold");
  NEEDS_OPTION(zfs, "--use-hold");
  zfs.write("a", 100'000, 1);
  require(zfs.office.zfs({"snapshot", "tank/data@one"}));
  zfs.expect_push("tank/backup/data", {"--no-sync-snap", "--use-hold"});
  CHECK(require(zfs.offsite.zfs({"holds", "-H", "tank/backup/data@one"})).find("syncoid_run1_") != std::string::npos);
  CHECK(require(zfs.office.zfs({"holds", "-H", "tank/data@one"})).find("syncoid_run1_") != std::string::npos);
  CHECK_FALSE(zfs.was_refused("mirror_refused"));
}

TEST_CASE("snapshots that the source has no more go where the target allows it, and stay where it is append-only", "[mirror][lab][netns]") {
  NEEDS_ZFS();
  OpenZfsSites zfs("words-delete");
  NEEDS_OPTION(zfs, "--delete-target-snapshots");
  zfs.write("a", 100'000, 1);
  require(zfs.office.zfs({"snapshot", "tank/data@old"}));
  require(zfs.office.zfs({"snapshot", "tank/data@older"}));
  for (const std::string target : {"tank/backup/data", "tank/loose/data"}) zfs.expect_push(target, {"--no-sync-snap"});
  require(zfs.office.zfs({"snapshot", "tank/data@new"}));
  require(zfs.office.zfs({"destroy", "tank/data@old"}));
  for (const std::string target : {"tank/backup/data", "tank/loose/data"}) zfs.expect_push(target, {"--no-sync-snap", "--delete-target-snapshots"});
  CHECK(OpenZfsSites::holds(zfs.offsite, "tank/backup/data@old"));
  CHECK_FALSE(OpenZfsSites::holds(zfs.offsite, "tank/loose/data@old"));
  CHECK(zfs.was_refused("a destroy where append_only is set"));
}

TEST_CASE("properties go along, but not those that would reach the target's own folders", "[mirror][lab][netns]") {
  NEEDS_ZFS();
  OpenZfsSites zfs("words-properties");
  NEEDS_OPTION(zfs, "--preserve-properties");
  zfs.write("a", 100'000, 1);
  require(zfs.office.zfs({"set", "compression=lz4", "tank/data"}));
  require(zfs.office.zfs({"set", "org.example:note=a.b", "tank/data"}));
  zfs.expect_push("tank/backup/data", {"--preserve-properties"});
  CHECK(OpenZfsSites::get(zfs.offsite, "compression", "tank/backup/data") == "lz4");
  CHECK(OpenZfsSites::get(zfs.offsite, "org.example:note", "tank/backup/data") == "a.b");
  require(zfs.office.zfs({"set", "mountpoint=/etc", "tank/data"}));
  const auto refused = zfs.push("tank/backup/other", {"--preserve-properties"});
  INFO(refused.out << refused.err);
  CHECK(refused.exit_code == 2);
  CHECK(zfs.was_refused("mountpoint=/etc"));
}

TEST_CASE("snapshots that are left out are not sent", "[mirror][lab][netns]") {
  NEEDS_ZFS();
  OpenZfsSites zfs("words-filter");
  NEEDS_OPTION(zfs, "--exclude-snaps");
  zfs.write("a", 100'000, 1);
  for (const std::string name : {"keep1", "skip", "keep2", "keep3"}) require(zfs.office.zfs({"snapshot", "tank/data@" + name}));
  require(zfs.office.zfs({"create", "tank/data/left"}));
  require(zfs.office.zfs({"create", "tank/data/taken"}));
  require(zfs.office.zfs({"snapshot", "tank/data/taken@keep1"}));
  const std::string filter = GENERATE("--exclude-snaps=skip", "--include-snaps=keep");
  zfs.expect_push("tank/backup/data", {"--no-sync-snap", "-r", "--exclude-datasets=left", filter});
  CHECK(OpenZfsSites::holds(zfs.offsite, "tank/backup/data/taken@keep1"));
  CHECK_FALSE(zfs.offsite.zfs({"list", "tank/backup/data/left"}));
  for (const std::string name : {"keep1", "keep2", "keep3"}) CHECK(OpenZfsSites::holds(zfs.offsite, "tank/backup/data@" + name));
  CHECK_FALSE(OpenZfsSites::holds(zfs.offsite, "tank/backup/data@skip"));
  CHECK(zfs.same_file("tank/backup/data", "a"));
}

TEST_CASE("every compressor of Syncoid's is taken", "[mirror][lab][netns]") {
  NEEDS_ZFS();
  OpenZfsSites zfs("words-compress");
  for (const std::string name : {"gzip", "pigz-fast", "zstd-fast", "zstdmt-fast", "zstd-slow", "zstdmt-slow", "lz4", "xz", "lzo"}) {
    if (!zfs.knows(name)) continue;  // of a later Syncoid
    zfs.write(name, 100'000, 1);
    zfs.expect_push("tank/backup/data", {"--compress=" + name});
    CHECK(zfs.same_file("tank/backup/data", name));
  }
  CHECK_FALSE(zfs.was_refused("mirror_refused"));
}

TEST_CASE("a way beside the link is refused before anything runs", "[mirror][lab][netns]") {
  NEEDS_ZFS();
  OpenZfsSites zfs("words-direct");
  NEEDS_OPTION(zfs, "--insecure-direct-connection");
  zfs.write("a", 100'000, 1);
  require(write_file(zfs.office.bin() + "/socat", "#!/bin/sh\nexit 1\n", 0755));
  const auto refused = zfs.push("tank/backup/data", {"--insecure-direct-connection=10.0.0.1:9"});
  CHECK(refused.exit_code != 0);
  CHECK(zfs.was_refused("busybox"));
  const std::string history = require(zfs.offsite.history());
  CHECK(history.find("zfs receive") == history.npos);
}

TEST_CASE("a target that shares nothing with its source is not destroyed where it is append-only", "[mirror][lab][netns]") {
  NEEDS_ZFS();
  OpenZfsSites zfs("words-force");
  zfs.write("a", 100'000, 1);
  for (const std::string target : {"tank/backup/data", "tank/loose/data"}) {
    require(zfs.offsite.zfs({"create", target}));
    require(zfs.offsite.zfs({"snapshot", target + "@theirs"}));
  }
  CHECK(zfs.push("tank/backup/data", {"--force-delete"}).exit_code == 2);
  CHECK(OpenZfsSites::holds(zfs.offsite, "tank/backup/data@theirs"));
  CHECK(zfs.was_refused("a destroy where append_only is set"));
  zfs.expect_push("tank/loose/data", {"--force-delete"});
  CHECK_FALSE(OpenZfsSites::holds(zfs.offsite, "tank/loose/data@theirs"));
  CHECK(zfs.same_file("tank/loose/data", "a"));
}

TEST_CASE("a pull that was cut short begins anew: its token is refused, and a job does not ask for one", "[mirror][lab][netns]") {
  NEEDS_ZFS();
  OpenZfsSites zfs("words-pull");
  require(zfs.offsite.zfs({"create", "tank/backup/data"}));
  require(write_noise(zfs.offsite.mount_of("tank/backup/data") + "/a", 2'000'000, 1));
  require(zfs.offsite.zfs({"snapshot", "tank/backup/data@one"}));
  require(zfs.offsite.add_fault({.command = "send", .act = Fault::Act::die, .after_bytes = 500'000, .times = 1}));
  SECTION("by hand") {
    const Argv pull{"--compress=none", "--no-sync-snap", "root@peer:tank/backup/data", "tank/back"};
    CHECK(zfs.run(pull).exit_code == 2);
    CHECK(OpenZfsSites::get(zfs.office, "receive_resume_token", "tank/back") != "-");
    CHECK(zfs.run(pull).exit_code == 2);
    CHECK(zfs.was_refused("a send that no rule can confine"));
    require(zfs.office.zfs({"receive", "-A", "tank/back"}));
    CHECK(zfs.run(pull).exit_code == 0);
  }
  SECTION("by a job") {
    const std::string jobs = zfs.sites.folder.path() + "/jobs.toml";
    require(write_file(jobs,
                       "[mirror]\nwindow = \"4MiB\"\nstate_folder = \"" + require(zfs.sites.folder.add("state")) + "\"\nsyncoid = \"" + syncoid_program() +
                           "\"\n\n[[mirror.job]]\nname = \"back\"\nsource = \"peer:tank/backup/data\"\ntarget = \"tank/back\"\n"
                           "sync_snapshot = false\nretries = 1\nretry_wait = \"1s\"\n",
                       0600));
    const auto run = require(run_process(zfs.job_run(jobs), {.deadline = 90s}));
    INFO(run.out << run.err << zfs.sites.log("agent.log"));
    CHECK(run.exit_code == 0);
    CHECK_FALSE(zfs.was_refused("mirror_refused"));
  }
  CHECK(require(read_file(zfs.office.mount_of("tank/back") + "/a", 8 << 20)) == require(read_file(zfs.offsite.mount_of("tank/backup/data") + "/a", 8 << 20)));
}

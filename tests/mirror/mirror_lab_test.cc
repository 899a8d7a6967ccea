// Unmodified Syncoid on real ZFS over the real link: what it mirrors, and what it never notices.
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/mirror/mirror_sites.h"

using namespace lt;
using namespace lt::mirror;
using namespace lt::mirror::testing;
using namespace std::chrono_literals;

namespace {

// 16 MB take two seconds of this line, plus what ZFS itself takes: long enough to cut it several times in between.
const std::vector<std::string> slow_line{"rate=60mbit", "delay=10ms"};
constexpr std::uint64_t file_bytes = 16'000'000;

void write_file_at_office(MirrorSites& sites, const std::string& dataset, std::uint64_t bytes, std::uint64_t seed) {
  require(write_noise(sites.zfs.office.seen_from_here(sites.zfs.office.mount_of("tank")) + dataset + "/file", bytes, seed));
}

std::string office_hash(const MirrorSites& sites) {
  return MirrorSites::hash_of(sites.zfs.office, sites.zfs.office.mount_of("tank") + "/home/file");
}
std::string offsite_hash(const MirrorSites& sites) {
  return MirrorSites::hash_of(sites.zfs.offsite, sites.zfs.offsite.mount_of("tank") + "/backup/home/file");
}

// Syncoid at work, somewhere in the middle of its stream.
struct Transfer {
  Transfer(MirrorSites& stage, const std::string& log, const std::string& dataset = "home")
      : sites(stage), log_name(log), before(stage.meter->read()),
        child(require(Child::start({.argv = stage.syncoid("tank/" + dataset, "tank/backup/" + dataset),
                                    .output_path = stage.folder.path() + "/" + log}))) {}

  [[nodiscard]] std::uint64_t received() const { return sites.meter->read().received.value - before.received.value; }
  [[nodiscard]] std::uint64_t resent() const { return sites.meter->read().resent.value - before.resent.value; }
  void wait_for(std::uint64_t bytes) {
    INFO(sites.log(log_name) << sites.log("agent.log"));
    REQUIRE(comes_true([&] { return received() >= bytes || !child.is_running(); }, 60s));
    REQUIRE(child.is_running());
  }
  void expect_done() {
    const auto ended = child.wait(90s);
    INFO(sites.log(log_name) << sites.log("agent.log"));
    REQUIRE(ended);
    CHECK(*ended == 0);
  }

  MirrorSites& sites;
  std::string log_name;
  MeterReading before;
  Child child;
};

}  // namespace

TEST_CASE("Syncoid mirrors a dataset and its changes without ssh, a shell or a login at the far side", "[mirror][lab][netns]") {
  NEEDS_ZFS();
  MirrorSites sites("mirror-one", {"rate=200mbit", "delay=5ms"});
  sites.start_all();
  require(sites.zfs.office.zfs({"create", "tank/home"}));
  write_file_at_office(sites, "/home", 3'000'000, 1);
  Transfer(sites, "first.log").expect_done();
  CHECK(offsite_hash(sites) == office_hash(sites));

  write_file_at_office(sites, "/home", 2'000'000, 2);
  require(sites.zfs.office.zfs({"snapshot", "tank/home@between"}));
  write_file_at_office(sites, "/home", 4'000'000, 3);
  Transfer(sites, "second.log").expect_done();
  CHECK(offsite_hash(sites) == office_hash(sites));
  // The off-site keeps what the office has pruned: it is append-only.
  const std::string kept = MirrorSites::snapshots_of(sites.zfs.offsite, "tank/backup/home");
  const std::string office_snapshots = MirrorSites::snapshots_of(sites.zfs.office, "tank/home");
  CHECK(office_snapshots.find("@between ") != std::string::npos);
  for (const std::string_view line : split(trim(office_snapshots), '\n')) {
    INFO(line);
    CHECK(kept.find(line) != std::string::npos);
  }
  CHECK(sites.log("agent.log").find("a destroy where append_only is set") != std::string::npos);
  CHECK(split(trim(kept), '\n').size() == split(trim(office_snapshots), '\n').size() + 1);

  // With a compressor, a buffer and every program that Syncoid asks for.
  write_file_at_office(sites, "/home", 1'000'000, 4);
  const auto compressed = require(run_process(sites.at_office({syncoid_program(), "--compress=gzip", "tank/home", "root@peer:tank/backup/home"}), {.deadline = 60s}));
  INFO(compressed.err);
  CHECK(compressed.exit_code == 0);
  CHECK(offsite_hash(sites) == office_hash(sites));
}

TEST_CASE("neither zfs send nor zfs receive notices that the line was cut", "[mirror][lab][netns]") {
  NEEDS_ZFS();
  MirrorSites sites("mirror-cut", slow_line);
  sites.start_all();
  require(sites.zfs.office.zfs({"create", "tank/home"}));
  write_file_at_office(sites, "/home", file_bytes, 1);
  Transfer syncoid(sites, "syncoid.log");
  for (const std::uint64_t at : {file_bytes / 4, file_bytes / 2}) {
    syncoid.wait_for(at);
    require(sites.sandbox.set_wan(lab::all_directions, {"blackout=on"}));
    REQUIRE(comes_true([&] { return !sites.meter->read().is_connected; }, 30s));
    require(sites.sandbox.set_wan(lab::all_directions, {"blackout=off"}));
  }
  syncoid.expect_done();
  CHECK(offsite_hash(sites) == office_hash(sites));
  CHECK(syncoid.resent() <= 2 * stage_window_bytes);
  CHECK(sites.log("syncoid.log").find("the link was away 2 time(s)") != std::string::npos);
}

// Four minutes: by hand, with the tag [long].
TEST_CASE("three cuts of a minute each are not noticed either", "[.long]") {
  NEEDS_ZFS();
  MirrorSites sites("mirror-long", slow_line);
  sites.start_all();
  require(sites.zfs.office.zfs({"create", "tank/home"}));
  write_file_at_office(sites, "/home", file_bytes, 1);
  Transfer syncoid(sites, "syncoid.log");
  for (const std::uint64_t quarter : {1U, 2U, 3U}) {
    syncoid.wait_for(file_bytes / 4 * quarter);
    const std::uint64_t resent = syncoid.resent();
    require(sites.sandbox.set_wan(lab::all_directions, {"blackout=on"}));
    CHECK_FALSE(syncoid.child.wait(60s));
    require(sites.sandbox.set_wan(lab::all_directions, {"blackout=off"}));
    REQUIRE(comes_true([&] { return sites.meter->read().is_connected; }, 60s));
    WARN("cut " << quarter << ": sent again so far " << syncoid.resent() << " bytes");
    CHECK(syncoid.resent() - resent <= stage_window_bytes);
  }
  syncoid.expect_done();
  CHECK(offsite_hash(sites) == office_hash(sites));
  WARN("sent again in all: " << syncoid.resent() << " bytes; window " << stage_window_bytes);
}

TEST_CASE("neither zfs send nor zfs receive notices that a daemon was restarted, at either end", "[mirror][lab][netns]") {
  NEEDS_ZFS();
  MirrorSites sites("mirror-restart", slow_line);
  sites.start_all();
  require(sites.zfs.office.zfs({"create", "tank/home"}));
  write_file_at_office(sites, "/home", file_bytes, 1);
  Transfer syncoid(sites, "syncoid.log");
  syncoid.wait_for(file_bytes / 4);
  CHECK(sites.offsite.end(5s) == 0);
  sites.offsite = sites.start_daemon(lab::Host::offsite_gw, sites.files.offsite.config_path, "offsite.log");
  syncoid.wait_for(file_bytes / 2);
  sites.office.signal(SIGKILL);  // a crash, for a change
  REQUIRE(sites.office.wait(5s));
  sites.office = sites.start_daemon(lab::Host::office_gw, sites.files.office.config_path, "office.log");
  syncoid.expect_done();
  CHECK(offsite_hash(sites) == office_hash(sites));
  CHECK(syncoid.resent() <= 2 * stage_window_bytes);
}

TEST_CASE("a killed Syncoid leaves no receive behind", "[mirror][lab][netns]") {
  NEEDS_ZFS();
  MirrorSites sites("mirror-kill", slow_line);
  sites.start_all();
  const std::string name = "left-" + std::to_string(::getpid());  // nobody else's processes speak of it
  require(sites.zfs.office.zfs({"create", "tank/" + name}));
  write_file_at_office(sites, "/" + name, file_bytes, 1);
  Transfer syncoid(sites, "syncoid.log", name);
  syncoid.wait_for(file_bytes / 4);
  const std::string receive = "^zfs receive .*tank/backup/" + name + "$";
  CHECK(require(run_process({"pgrep", "-f", receive})).exit_code == 0);
  // Without a word, as the kernel does it when memory is short.
  const auto shims = require(run_process({"pgrep", "-f", "^ssh .*zfs receive .*tank/backup/" + name}));
  CHECK(shims.exit_code == 0);
  for (const std::string_view pid : split(trim(shims.out), '\n')) {
    if (const auto number = parse_u64(pid)) ::kill(static_cast<pid_t>(*number), SIGKILL);
  }
  CHECK(comes_true([&] { return require(run_process({"pgrep", "-f", receive})).exit_code == 1; }, 30s));
  REQUIRE(syncoid.child.wait(10s));
  CHECK(sites.log("agent.log").find("mirror_lost") != std::string::npos);
  Transfer(sites, "again.log", name).expect_done();
}

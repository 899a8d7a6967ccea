// What the mirror promises, as users run it: unmodified Syncoid over the link between two real ZFS sites, the
// copy proven, damaged, restored, drilled and seeded.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "app/mirror_pair.h"
#include "app/scratch_folder.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/text.h"
#include "tests/mirror/syncoid_program.h"
#include "tests/mirror/zfs_stage.h"
#include "tests/require.h"

using namespace lt;
using namespace lt::app;
using namespace lt::mirror::testing;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t seed = 20261123;
const std::string program = std::string(LINKTUNE_BINARY_DIR) + "/app/linktune";

// What a machine lacks for these tests, or nothing.
std::optional<std::string> why_not() {
  if (auto why = ZfsStage::why_not()) return why;
  return why_no_syncoid();
}

struct Mirrored {
  ScratchFolder folder{require(ScratchFolder::create("proof"))};
  lab::Sandbox sandbox{require(lab::Sandbox::build({.name = "proof", .profile = "lan", .seed = seed}))};
  MirrorPair pair{require(MirrorPair::start(sandbox, {.folder = folder.path(), .program = program, .syncoid = syncoid_program()}))};

  [[nodiscard]] std::string data() const { return folder.path() + "/zfs-office/tank/data"; }
  [[nodiscard]] std::string here(const std::string& path) { return pair.office().seen_from_here(path); }

  void fill() {
    std::filesystem::create_directories(here(data()) + "/folder/deeper");
    require(write_noise(here(data()) + "/large", 6'000'000, 1));
    require(write_noise(here(data()) + "/folder/deeper/file", 700'000, 2));
    require(write_file(here(data()) + "/note", "the quick brown fox", 0640));
    std::filesystem::create_symlink("note", here(data()) + "/link");
  }
  ProcessOutput run(const Argv& argv) const { return require(run_process(argv, {.deadline = 120s})); }
  void mirror() const {
    const auto ended = run(pair.syncoid_command());
    INFO(ended.out << ended.err);
    REQUIRE(ended.exit_code == 0);
  }
  std::string hash(lab::ZfsSite& site, const std::string& path) const { return require(run_checked(site.exec({"sha256sum", path}))).substr(0, 64); }
  Json verify(int expected, const Argv& more = {}) const {
    Argv words{"verify", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const auto ended = run(pair.mirror_command(words));
    INFO(ended.out << ended.err);
    CHECK(ended.exit_code == expected);
    return require(parse_json(ended.out, "verify"));
  }
};

}  // namespace

TEST_CASE("a copy is proven equal over the link, and one flipped byte of it is found and named", "[mirror][proof][netns]") {
  if (const auto why = why_not()) {
    WARN("not checked: " << *why);
    return;
  }
  Mirrored mirrored;
  mirrored.fill();
  // The copy keeps no checksums: what flips there, no ZFS would tell.
  require(mirrored.pair.offsite().zfs({"set", "checksum=off", "backup"}));
  mirrored.mirror();
  const Json equal = mirrored.verify(0);
  CHECK(equal["equal"] == true);
  CHECK(equal["datasets"][0]["complete"] == true);
  CHECK(equal["datasets"][0]["bytes"] == 6'700'019);
  CHECK(equal["datasets"][0]["wire_bytes"].get<std::uint64_t>() * 1000 < 6'700'019 * 2);

  // The byte on the disk of the off-site pool, found by what stands around it.
  const std::string content = require(read_file(mirrored.here(mirrored.data()) + "/large", 8 << 20));
  constexpr std::size_t offset = 3'000'001;
  const std::string disk = mirrored.pair.offsite().disk_of("backup");
  mirrored.pair.offsite().crash();
  const std::string image = require(read_file(disk, 2ULL << 30));
  const auto at = image.find(content.substr(offset, 200));
  REQUIRE(at != image.npos);
  REQUIRE(image.find(content.substr(offset, 200), at + 1) == image.npos);
  require(flip_byte(disk, at));
  require(mirrored.pair.offsite().restart());
  require(mirrored.pair.restart_agent());

  const Json found = mirrored.verify(1);
  CHECK(found["equal"] == false);
  CHECK(found["datasets"][0]["differences"] == 1);
  CHECK(found["datasets"][0]["first"][0] == "large differs in block 22 (of 131072 bytes), first at byte 3000001");
}

TEST_CASE("a destroyed pool comes back with its snapshots by one command", "[mirror][proof][netns]") {
  if (const auto why = why_not()) {
    WARN("not checked: " << *why);
    return;
  }
  Mirrored mirrored;
  MirrorPair& pair = mirrored.pair;
  mirrored.fill();
  require(pair.office().zfs({"snapshot", "tank/data@first"}));
  mirrored.mirror();
  require(write_noise(mirrored.here(mirrored.data()) + "/later", 500'000, 3));
  mirrored.mirror();
  const auto snapshots = [&] { return require(pair.office().zfs({"get", "-Hp", "-r", "-o", "name,value", "guid", "tank/data"})); };
  const auto files = [&] {
    std::string hashes;
    for (const char* name : {"large", "folder/deeper/file", "note", "later"}) hashes += mirrored.hash(pair.office(), mirrored.data() + "/" + name) + "\n";
    return hashes;
  };
  const std::string files_before = files();
  std::vector<std::string> guids_before;
  for (const std::string_view line : split(snapshots(), '\n')) {
    if (line.find('@') != line.npos) guids_before.emplace_back(line);
  }
  REQUIRE(guids_before.size() >= 2);  // its own, and at least the last of Syncoid, which may keep one more for a while

  SECTION("what is there is never overwritten") {
    const auto refused = mirrored.run(pair.mirror_command({"restore", "--dry-run"}));
    CHECK(refused.exit_code == 0);  // all of it is there already
    CHECK(refused.out.find("is there already") != refused.out.npos);
    require(pair.office().zfs({"create", "tank/other"}));
    require(write_file(mirrored.here(mirrored.folder.path() + "/zfs-office/tank/other") + "/mine", "mine", 0600));
    const auto full = mirrored.run(pair.mirror_command({"restore", "--to", "tank/other"}));
    CHECK(full.exit_code == 1);
    CHECK(full.err.find("holds files, and no snapshot from backup/office/data") != full.err.npos);
    CHECK(mirrored.run(pair.mirror_command({"restore", "--to", "nopool/x"})).err.find("there is no pool nopool") != std::string::npos);
  }
  SECTION("the pool is lost") {
    const std::string disk = pair.office().disk_of("tank");
    // A file system in user space lets go of its mounts some time after it was told to.
    const auto until = std::chrono::steady_clock::now() + 20s;
    while (!pair.office().zpool({"destroy", "-f", "tank"})) REQUIRE(std::chrono::steady_clock::now() < until);
    const auto none = mirrored.run(pair.mirror_command({"restore"}));
    CHECK(none.exit_code == 1);
    CHECK(none.err.find("there is no pool tank: make it with zpool create tank DISKS") != none.err.npos);
    const auto restored = mirrored.run(pair.mirror_command({"restore", "--create-pool=-f", "--create-pool=-m", "--create-pool=" + pair.office().mount_of("tank"), "--create-pool=tank",
                                                            "--create-pool=" + disk}));
    INFO(restored.out << restored.err);
    CHECK(restored.exit_code == 0);
    CHECK(restored.out.find("every file is equal to the other site's") != restored.out.npos);
    CHECK(files() == files_before);
    const std::string after = snapshots();
    for (const std::string& line : guids_before) CHECK(after.find(line) != after.npos);
    mirrored.mirror();  // and the mirror goes on from there
    CHECK(mirrored.verify(0)["equal"] == true);
  }
  SECTION("a file, a folder and a drill") {
    const std::string to = mirrored.folder.path() + "/had-back";
    const auto file = mirrored.run(pair.mirror_command({"restore", "--file", "large", "--to", to}));
    INFO(file.out << file.err);
    CHECK(file.exit_code == 0);
    CHECK(require(read_file(to, 8 << 20)) == require(read_file(mirrored.here(mirrored.data()) + "/large", 8 << 20)));
    CHECK(mirrored.run(pair.mirror_command({"restore", "--file", "large", "--to", to})).err.find("exists: give another place") != std::string::npos);
    CHECK(mirrored.run(pair.mirror_command({"restore", "--file", "folder", "--snapshot", "first", "--to", to + "-folder"})).exit_code == 0);
    CHECK(std::filesystem::file_size(to + "-folder/deeper/file") == 700'000);
    CHECK(mirrored.run(pair.mirror_command({"restore", "--file", "nothing", "--to", to + "-x"})).err.find("there is no nothing") != std::string::npos);
    CHECK(mirrored.run(pair.mirror_command({"restore", "--file", "../note", "--to", to + "-x"})).exit_code == 2);

    for (const Argv& words : {Argv{"drill", "--json"}, Argv{"drill", "--whole", "--json"}}) {
      const auto drilled = mirrored.run(pair.mirror_command(words));
      INFO(drilled.out << drilled.err);
      CHECK(drilled.exit_code == 0);
      const Json report = require(parse_json(drilled.out, "drill"));
      CHECK(report["datasets"][0]["good"] == true);
      CHECK(report["datasets"][0]["files"] == 4);
    }
    // Nothing of drills and looks is left at either site.
    for (lab::ZfsSite* site : {&pair.office(), &pair.offsite()}) {
      const std::string left = require(site->zfs({"list", "-H", "-o", "name"}));
      CHECK(left.find("drill-") == left.npos);
      CHECK(left.find("linktune-look") == left.npos);
    }
  }
}

TEST_CASE("a mirror begins with a carried disk, and damage to it is told before anything is received", "[mirror][proof][netns]") {
  if (const auto why = why_not()) {
    WARN("not checked: " << *why);
    return;
  }
  Mirrored mirrored;
  MirrorPair& pair = mirrored.pair;
  mirrored.fill();
  require(pair.office().zfs({"snapshot", "tank/data@one"}));
  require(write_noise(mirrored.here(mirrored.data()) + "/later", 500'000, 3));
  require(pair.office().zfs({"snapshot", "tank/data@two"}));
  const std::string disk = mirrored.folder.path() + "/carried";
  const auto exported = mirrored.run(pair.mirror_command({"seed", "export", "--to", disk}));
  INFO(exported.out << exported.err);
  REQUIRE(exported.exit_code == 0);
  CHECK(mirrored.run(pair.mirror_command({"seed", "export", "--to", disk})).err.find("is not empty") != std::string::npos);

  const auto import = [&] { return mirrored.run(pair.at_offsite({program, "mirror", "seed", "import", disk, "--to", "backup/office/data"})); };
  require(flip_byte(disk + "/0002.zfs", 1000));
  const auto damaged = import();
  CHECK(damaged.exit_code == 2);
  CHECK(damaged.err.find("0002.zfs is damaged (its sum is wrong)") != damaged.err.npos);
  CHECK(require(pair.offsite().zfs({"list", "-H", "-o", "name"})).find("backup/office/data") == std::string::npos);
  require(flip_byte(disk + "/0002.zfs", 1000));

  const auto imported = import();
  INFO(imported.out << imported.err);
  CHECK(imported.exit_code == 0);
  CHECK(import().out.find("1 were there already") != std::string::npos);

  // The first run over the line sends only what came after.
  require(write_noise(mirrored.here(mirrored.data()) + "/after", 100'000, 4));
  const std::uint64_t before = require(pair.bytes_sent());
  mirrored.mirror();
  CHECK(require(pair.bytes_sent()) - before < 1'000'000);
  CHECK(mirrored.verify(0)["equal"] == true);
}

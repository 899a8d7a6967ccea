// Restore and seed between two scripted sites: interrupted, refused, begun again; the other site through a
// program that is called as ssh is.
#include "mirror/restore.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include "app/scratch_folder.h"
#include "base/fd.h"
#include "base/text.h"
#include "crypto/kdf.h"
#include "mirror/drill.h"
#include "mirror/remote_side.h"
#include "mirror/seed.h"
#include "tests/mirror/folder_pair.h"
#include "tests/mirror/scripted_zfs.h"
#include "tests/mirror/zfs_stage.h"
#include "tests/require.h"

using namespace lt;
using namespace lt::mirror;
using namespace lt::mirror::testing;

namespace {

const std::string program = std::string(LINKTUNE_BINARY_DIR) + "/app/linktune";

// backup/data with three snapshots at the other site, an empty tank here.
struct TwoSites {
  app::ScratchFolder folder{require(app::ScratchFolder::create("restore"))};
  ScriptedZfs office{require(ScriptedZfs::create(SCRIPTED_ZFS, folder.path() + "/office"))};
  ScriptedZfs offsite{require(ScriptedZfs::create(SCRIPTED_ZFS, folder.path() + "/offsite"))};
  LocalSide here{{.tree_program = {program, "mirror", "tree"}, .wrap = [this](const Argv& argv) { return office.exec(argv); }}};
  // As ssh: one text, read by a shell at the other site.
  TextSide peer{{.program = {"env", "PATH=" + offsite.path(), "sh", "-c"}, .tree_program = {program, "mirror", "tree"}}};

  TwoSites() {
    require(office.create_pool("tank"));
    require(offsite.create_pool("backup"));
    require(offsite.zfs({"create", "backup/data"}));
    for (const std::string name : {"one", "two", "three"}) {
      const std::uint64_t bytes = name == "two" ? 300'000 : 150'000;
      require(write_noise(offsite.mount_of("backup/data") + "/" + name, bytes, 9));
      require(offsite.zfs({"snapshot", "backup/data@" + name}));
    }
  }
  Result<RestoreReport> restore(const std::string& to = "tank/data") {
    LT_TRY(const auto plan, plan_restore(peer, here, {.from = "backup/data", .to = to}));
    return restore_datasets(peer, here, plan, {}, {});
  }
  [[nodiscard]] std::string names(const ScriptedZfs& site) const { return require(site.zfs({"list", "-H", "-o", "name", "-t", "all", "-r"})); }
};

}  // namespace

TEST_CASE("words reach the other site's shell as they are", "[mirror][side]") {
  CHECK(quoted_text({"zfs", "get", "-Hp", "tank/a@b:c"}) == "zfs get -Hp tank/a@b:c");
  CHECK(quoted_text({"a b", "it's", "", "$(x)", "`x`;"}) == "'a b' 'it'\"'\"'s' '' '$(x)' '`x`;'");
  TextSide shell({.program = {"sh", "-c"}});
  const std::string tricky = "a 'b' \"c\" $HOME `id` \\ ; | > & * \n\t#";
  CHECK(require(capture(shell, {"printf", "%s", tricky})) == tricky);
  CHECK(shell.run({"false"}, {}) == 1);
  const auto failed = capture(shell, {"sh", "-c", "echo 'it is broken' >&2; exit 3"});
  REQUIRE_FALSE(failed);
  CHECK(failed.error().what.find("it is broken") != std::string::npos);
  CHECK_FALSE(capture(shell, {"no-such-program-anywhere"}));
}

TEST_CASE("datasets come back with every snapshot, by name and GUID", "[mirror][restore]") {
  TwoSites sites;
  require(sites.offsite.zfs({"create", "backup/data/child"}));
  require(sites.offsite.zfs({"snapshot", "backup/data/child@one"}));
  require(sites.offsite.zfs({"create", "backup/data/never"}));

  const auto plan = require(plan_restore(sites.peer, sites.here, {.from = "backup/data", .to = "tank/data"}));
  REQUIRE(plan.datasets.size() == 3);
  CHECK(plan.datasets[0].way == DatasetRestore::Way::fresh);
  CHECK(plan.datasets[2].way == DatasetRestore::Way::skip);
  CHECK(plan.snapshots() == 4);
  CHECK(sites.names(sites.office) == "tank\n");  // a plan changes nothing

  SECTION("at once") {
    const auto report = require(sites.restore());
    CHECK(report.datasets == 2);
    CHECK(report.snapshots == 4);
    CHECK(prove_guids(require(snapshots_of(sites.peer, "backup/data")), require(snapshots_of(sites.here, "tank/data"))).is_complete());
    CHECK(require(read_file(sites.office.mount_of("tank/data") + "/three", 1 << 20)) == require(read_file(sites.offsite.mount_of("backup/data") + "/three", 1 << 20)));
    // Again: everything is there, nothing flows.
    const auto again = require(sites.restore());
    CHECK(again.stream_bytes == 0);
  }
  SECTION("after it was interrupted") {
    require(sites.offsite.add_fault({.command = "send", .dataset = "backup/data", .after_bytes = 200'000, .message = "cannot send: the disk is gone", .times = 1}));
    const auto failed = sites.restore();
    REQUIRE_FALSE(failed);
    const auto goes_on = require(plan_restore(sites.peer, sites.here, {.from = "backup/data", .to = "tank/data"}));
    CHECK(goes_on.datasets[0].way == DatasetRestore::Way::go_on);
    CHECK(goes_on.datasets[0].base == "one");
    CHECK(require(sites.restore()).datasets == 2);
    CHECK(prove_guids(require(snapshots_of(sites.peer, "backup/data")), require(snapshots_of(sites.here, "tank/data"))).is_complete());
  }
  SECTION("into a new pool's empty top") {
    CHECK(require(sites.restore("tank")).datasets == 2);
    CHECK(sites.names(sites.office).find("tank@three\n") != std::string::npos);
  }
  SECTION("never over what is there") {
    require(sites.office.zfs({"create", "tank/data"}));
    require(write_noise(sites.office.mount_of("tank/data") + "/mine", 10, 1));
    CHECK(sites.restore().error().what.find("holds files, and no snapshot") != std::string::npos);
    require(sites.office.zfs({"snapshot", "tank/data@mine"}));
    CHECK(sites.restore().error().what.find("has snapshots of its own") != std::string::npos);
    CHECK(std::filesystem::exists(sites.office.mount_of("tank/data") + "/mine"));
  }
  SECTION("and not out of nothing") {
    CHECK(plan_restore(sites.peer, sites.here, {.from = "backup/none", .to = "tank/x"}).error().code == Errc::not_found);
    CHECK(plan_restore(sites.peer, sites.here, {.from = "backup/data/never", .to = "tank/x"}).error().what.find("nothing that could be restored") != std::string::npos);
    CHECK(plan_restore(sites.peer, sites.here, {.from = "backup/data", .to = "none/x"}).error().what.find("there is no pool none") != std::string::npos);
    CHECK(plan_restore(sites.peer, sites.here, {.from = "backup/data", .to = "tank/a/b"}).error().what.find("zfs create -p tank/a") != std::string::npos);
    for (const std::string bad : {"", "-x", "/tank", "tank/a@b", "tank/../x"}) {
      INFO(bad);
      CHECK(plan_restore(sites.peer, sites.here, {.from = "backup/data", .to = bad}).error().code == Errc::invalid);
    }
  }
}

TEST_CASE("a drill fails loudly when what comes back is not what was sent", "[mirror][drill]") {
  TwoSites sites;
  (void)require(sites.restore());
  const DrillPlaces places{"tank/data", "backup/data"};
  const auto sample = [&] {
    const std::string folder = sites.folder.path() + "/sample";
    std::filesystem::create_directories(folder);
    return require(drill_sample(sites.here, sites.peer, places, {.files = 10, .seed = 1, .nonce = Digest{3}, .make_hash = [](const Digest& nonce) {
      return [nonce](ByteView bytes) { return crypto::hmac_sha256(nonce, {bytes}); };
    }, .folder = folder}));
  };
  const auto good = sample();
  INFO(good.what);
  CHECK(good.is_good);
  CHECK(good.files == 3);
  CHECK(good.bytes == 600'000);
  CHECK(good.total_bytes == 600'000);
  CHECK(good.snapshot == "three");
  CHECK(std::filesystem::is_empty(sites.folder.path() + "/sample"));

  require(flip_byte(sites.offsite.mount_of("backup/data") + "/.zfs/snapshot/three/two", 200'000));
  const auto bad = sample();
  CHECK_FALSE(bad.is_good);
  REQUIRE(bad.faults.size() == 1);
  CHECK(bad.faults[0].find("two came back with other contents") != std::string::npos);

  // A whole one leaves nothing behind, whether it went well or not.
  const auto whole = require(drill_whole(sites.here, sites.peer, places, "tank", {.nonce = Digest{4}}, {}));
  CHECK_FALSE(whole.is_good);
  CHECK(sites.names(sites.office).find("drill-") == std::string::npos);
  require(sites.offsite.add_fault({.command = "send", .message = "cannot send: I/O error"}));
  CHECK_FALSE(drill_whole(sites.here, sites.peer, places, "tank", {.nonce = Digest{4}}, {}));
  CHECK(sites.names(sites.office).find("drill-") == std::string::npos);

  require(sites.office.zfs({"create", "tank/unrelated"}));
  CHECK(drill_sample(sites.here, sites.peer, {"tank/unrelated", "backup/data"}, {}).error().what.find("no snapshot in common") != std::string::npos);
}

TEST_CASE("the agent serves the files of snapshots that its config lets be read, and of no others", "[mirror][tree][hostile]") {
  const auto handler = tree_handler({.receive = {{.dataset = "backup/office"}}, .read = {"tank/open"}}, {"linktune", "mirror", "tree"});
  for (const std::string good : {"backup/office@a", "backup/office/below@a:b_c-1", "tank/open/x@y"}) {
    const auto pipeline = handler(good);
    REQUIRE(pipeline);
    REQUIRE(pipeline->size() == 1);
    CHECK(pipeline->front().argv == Argv{"linktune", "mirror", "tree", good});
  }
  for (const std::string bad : {"", "@", "backup/office", "backup/office@", "@a", "backup/officer@a", "backup@a", "tank@a", "tank/closed@a", "-x@a", "backup/office/../x@a",
                                "backup/office@a@b", "backup/office@a/b", "backup/office@a\n", "backup/office /x@a", "backup/office@-r\x01"}) {
    INFO(bad);
    CHECK_FALSE(handler(bad));
  }
  CHECK_FALSE(handler(std::string("backup/office@a\0b", 17)));
}

TEST_CASE("a seed's manifest says what is wrong with it", "[mirror][seed]") {
  const SeedManifest manifest{"data", "tank/data", 7, {{"", {{"one", 5, 6}}, {{"0001.zfs", 9, "ab"}}}, {"/child", {}, {}}}};
  const std::string text = to_line(manifest_json(manifest));
  const auto read = require(parse_manifest(text, "m"));
  CHECK(to_line(manifest_json(read)) == text);
  const auto without = [&](const std::string& from, const std::string& to) {
    std::string broken = text;
    const auto at = broken.find(from);
    REQUIRE(at != broken.npos);
    return parse_manifest(broken.replace(at, from.size(), to), "m");
  };
  CHECK(without("linktune.seed.1", "linktune.seed.2").error().what.find("\"schema\"") != std::string::npos);
  CHECK(without("\"guid\":\"5\"", "\"guid\":\"0\"").error().what.find("\"guid\"") != std::string::npos);
  CHECK(without("\"guid\":\"5\"", "\"guid\":5").error().what.find("\"guid\"") != std::string::npos);
  CHECK(without("0001.zfs", "../1.zfs").error().what.find("\"file\"") != std::string::npos);
  CHECK(without("0001.zfs", "/etc/passwd").error().what.find("\"file\"") != std::string::npos);
  CHECK(without("\"bytes\":9", "\"bytes\":-9").error().what.find("\"bytes\"") != std::string::npos);
  CHECK(without("/child", "/../x").error().what.find("\"below\"") != std::string::npos);
  for (std::size_t length = 0; length < text.size(); ++length) {
    const auto cut = parse_manifest(std::string_view(text).substr(0, length), "m");
    CHECK_FALSE(cut);
  }
}

TEST_CASE("a seed that was interrupted or damaged is imported by beginning again", "[mirror][seed]") {
  TwoSites sites;
  const std::string disk = sites.folder.path() + "/disk";
  const HashFunction hash = test_hash(Digest{});
  LocalSide offsite({.wrap = [&](const Argv& argv) { return sites.offsite.exec(argv); }});
  const auto exported = require(export_seed(offsite, {.job = "data", .source = "backup/data", .folder = disk, .now = 1}, hash, {}, {}));
  CHECK(exported.snapshots() == 3);
  CHECK(exported.datasets[0].parts.size() == 2);
  const auto import = [&] { return import_seed(sites.here, {.folder = disk, .target = "tank/data"}, hash, {}, {}); };

  std::filesystem::rename(disk + "/0002.zfs", disk + "/away");
  CHECK(import().error().what.find("0002.zfs is missing") != std::string::npos);
  std::filesystem::rename(disk + "/away", disk + "/0002.zfs");
  require(flip_byte(disk + "/0001.zfs", 140'000));
  CHECK(import().error().what.find("0001.zfs is damaged (its sum is wrong)") != std::string::npos);
  require(flip_byte(disk + "/0001.zfs", 140'000));
  CHECK(sites.names(sites.office) == "tank\n");  // nothing was received

  require(sites.office.add_fault({.command = "receive", .dataset = "tank/data", .after_bytes = 200'000, .message = "cannot receive: I/O error", .times = 1}));
  CHECK(import().error().what.find("I/O error") != std::string::npos);
  CHECK(require(import()).datasets == 1);
  CHECK(require(import()).present == 1);
  CHECK(prove_guids(require(snapshots_of(offsite, "backup/data")), require(snapshots_of(sites.here, "tank/data"))).is_complete());

  require(sites.office.zfs({"snapshot", "tank/data@own"}));
  CHECK(import().error().what.find("not from this seed") != std::string::npos);
}

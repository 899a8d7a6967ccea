// The stage itself: two ZFS sites that do not see each other, real snapshots between them.
#include "tests/mirror/zfs_stage.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include "base/text.h"
#include "lab/netns.h"
#include "lab/sandbox.h"
#include "tests/require.h"

using namespace lt;
using namespace lt::mirror::testing;

namespace {

std::string hash_of(const lab::ZfsSite& site, const std::string& path) {
  return require(run_checked(site.exec({"sha256sum", path}))).substr(0, 64);
}

}  // namespace

TEST_CASE("two sites have pools of one name and do not see each other", "[mirror][stage][netns]") {
  if (const auto why = ZfsStage::why_not()) {
    WARN("not checked: " << *why);
    return;
  }
  auto stage = require(ZfsStage::build());
  require(stage.office.zfs({"create", "tank/home"}));
  require(write_noise(stage.office.seen_from_here(stage.office.mount_of("tank")) + "/home/file", 3'000'000, 7));
  require(stage.office.zfs({"snapshot", "tank/home@one"}));
  CHECK(require(stage.offsite.zfs({"list", "-H", "-o", "name"})) == "tank\n");
  CHECK_FALSE(std::filesystem::exists(stage.office.mount_of("tank") + "/home"));  // the machine's own mounts: untouched

  // A stream from one to the other, and a site that loses its power and comes again.
  const std::string stream = stage.folder.path() + "/stream";
  auto sender = require(Child::start({.argv = stage.office.exec({"zfs", "send", "tank/home@one"}), .output_path = stream}));
  REQUIRE(sender.wait(std::chrono::seconds(20)) == 0);
  require(run_checked(stage.offsite.exec({"zfs", "receive", "tank/copy"}), {.input = require(read_file(stream, 16 << 20))}));
  const auto guid = [](const lab::ZfsSite& site, const std::string& snapshot) {
    return require(site.zfs({"get", "-Hp", "-o", "value", "guid", snapshot}));
  };
  CHECK(guid(stage.office, "tank/home@one") == guid(stage.offsite, "tank/copy@one"));
  const std::string expected = hash_of(stage.office, stage.office.mount_of("tank") + "/home/file");
  CHECK(hash_of(stage.offsite, stage.offsite.mount_of("tank") + "/copy/file") == expected);
  require(stage.offsite.restart());
  CHECK(hash_of(stage.offsite, stage.offsite.mount_of("tank") + "/copy/file") == expected);
}

TEST_CASE("a ZFS site's programs run inside a gateway of a lab", "[mirror][stage][netns]") {
  if (const auto why = ZfsStage::why_not()) {
    WARN("not checked: " << *why);
    return;
  }
  auto stage = require(ZfsStage::build(128ULL << 20));
  const auto sandbox = require(lab::Sandbox::build({.name = "zfsnet", .profile = "raw"}));
  const std::string network = lab::namespace_path(sandbox.topology().namespace_of(lab::Host::office_gw));
  const std::string addresses = require(run_checked(stage.office.exec(network, {"ip", "-o", "addr"})));
  CHECK(addresses.find("198.51.100.1") != addresses.npos);
  // A dataset that is made later is seen by what runs in both namespaces.
  require(stage.office.zfs({"create", "tank/later"}));
  const std::string mounts = require(run_checked(stage.office.exec(network, {"cat", "/proc/self/mounts"})));
  CHECK(mounts.find("/tank/later fuse.zfs") != mounts.npos);
}

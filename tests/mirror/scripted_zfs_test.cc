// The scripted ZFS answers as OpenZFS does where linktune and Syncoid rely on it.
#include "tests/mirror/scripted_zfs.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "app/scratch_folder.h"
#include "base/fd.h"
#include "base/text.h"
#include "tests/mirror/syncoid_program.h"
#include "tests/mirror/zfs_stage.h"
#include "tests/require.h"

using namespace lt;
using namespace lt::mirror::testing;

namespace {

struct TwoSites {
  app::ScratchFolder folder{require(app::ScratchFolder::create("scripted"))};
  ScriptedZfs office{require(ScriptedZfs::create(SCRIPTED_ZFS, folder.path() + "/office"))};
  ScriptedZfs offsite{require(ScriptedZfs::create(SCRIPTED_ZFS, folder.path() + "/offsite"))};

  TwoSites() {
    require(office.create_pool("tank"));
    require(offsite.create_pool("vault"));
    require(office.zfs({"create", "tank/home"}));
  }
  void write(const std::string& file, std::uint64_t bytes, std::uint64_t seed) const {
    require(write_noise(office.mount_of("tank/home") + "/" + file, bytes, seed));
  }
  // `zfs send WORDS | zfs receive WORDS`, through a file so that both endings are seen.
  ProcessOutput carry(const Argv& send, const Argv& receive) const {
    Argv sender{office.bin() + "/zfs", "send"};
    sender.insert(sender.end(), send.begin(), send.end());
    Argv receiver{offsite.bin() + "/zfs", "receive"};
    receiver.insert(receiver.end(), receive.begin(), receive.end());
    const auto sent = require(run_process(sender));
    return require(run_process(receiver, {.input = sent.out}));
  }
  static std::string get(const ScriptedZfs& site, const std::string& property, const std::string& place) {
    return std::string(trim(require(site.zfs({"get", "-Hp", "-o", "value", property, place}))));
  }
  [[nodiscard]] bool same_file(const std::string& file) const {
    return require(read_file(office.mount_of("tank/home") + "/" + file, 64 << 20)) ==
           require(read_file(offsite.mount_of("vault/home") + "/" + file, 64 << 20));
  }
};

}  // namespace

TEST_CASE("the scripted ZFS tells written bytes, and none after a snapshot", "[mirror][scripted]") {
  const TwoSites sites;
  sites.write("a", 1'000'000, 1);
  require(sites.office.zfs({"snapshot", "tank/home@one"}));
  CHECK(TwoSites::get(sites.office, "written", "tank/home") == "0");
  sites.write("b", 500'000, 2);
  const auto written = parse_u64(TwoSites::get(sites.office, "written@one", "tank/home"));
  REQUIRE(written);
  CHECK(*written >= 500'000);
  CHECK(*written < 520'000);
  CHECK(std::filesystem::file_size(sites.office.mount_of("tank/home") + "/.zfs/snapshot/one/a") == 1'000'000);
}

TEST_CASE("an interrupted receive leaves a token from which the send goes on", "[mirror][scripted]") {
  const TwoSites sites;
  sites.write("a", 2'000'000, 3);
  require(sites.office.zfs({"snapshot", "tank/home@one"}));
  require(sites.office.add_fault({.command = "send", .after_bytes = 700'000, .exit_code = 1, .message = "cut", .times = 1}));
  const auto cut = sites.carry({"tank/home@one"}, {"-s", "-F", "vault/home"});
  CHECK(cut.exit_code == 1);
  CHECK(cut.err.find("Partially received snapshot is saved") != cut.err.npos);
  const std::string token = TwoSites::get(sites.offsite, "receive_resume_token", "vault/home");
  REQUIRE(token.size() > 20);
  CHECK(token.find_first_not_of("0123456789abcdef-") == token.npos);

  // An ordinary stream is refused while the partial state lasts.
  CHECK(sites.carry({"tank/home@one"}, {"-s", "-F", "vault/home"}).err.find("contains partially-complete state") != std::string::npos);
  const auto estimate = require(sites.office.zfs({"send", "-nvP", "-t", token}));
  CHECK(estimate.find("toname = tank/home@one") != estimate.npos);
  const auto rest = sites.carry({"-t", token}, {"-s", "-F", "vault/home"});
  CHECK(rest.err == "");
  CHECK(rest.exit_code == 0);
  CHECK(sites.same_file("a"));
  CHECK(TwoSites::get(sites.offsite, "receive_resume_token", "vault/home") == "-");
  CHECK(TwoSites::get(sites.office, "guid", "tank/home@one") == TwoSites::get(sites.offsite, "guid", "vault/home@one"));
  CHECK(sites.office.zfs({"send", "-t", "1-00-2-7b7d"}).error().what.find("resume token is corrupt") != std::string::npos);
}

TEST_CASE("incremental streams need the base they were made from", "[mirror][scripted]") {
  const TwoSites sites;
  sites.write("a", 300'000, 4);
  require(sites.office.zfs({"snapshot", "tank/home@one"}));
  CHECK(sites.carry({"tank/home@one"}, {"vault/home"}).exit_code == 0);
  sites.write("b", 300'000, 5);
  require(sites.office.zfs({"snapshot", "tank/home@two"}));
  std::filesystem::remove(sites.office.mount_of("tank/home") + "/a");
  require(sites.office.zfs({"snapshot", "tank/home@three"}));
  require(sites.office.zfs({"bookmark", "tank/home@one", "tank/home#mark"}));

  SECTION("a target that was written to is refused without -F, and set back with it") {
    require(write_noise(sites.offsite.mount_of("vault/home") + "/stray", 1000, 6));
    const auto refused = sites.carry({"-I", "@one", "tank/home@three"}, {"vault/home"});
    CHECK(refused.exit_code == 1);
    CHECK(refused.err.find("has been modified\nsince most recent snapshot") != refused.err.npos);
    CHECK(sites.carry({"-I", "@one", "tank/home@three"}, {"-F", "vault/home"}).exit_code == 0);
    CHECK_FALSE(std::filesystem::exists(sites.offsite.mount_of("vault/home") + "/stray"));
    CHECK_FALSE(std::filesystem::exists(sites.offsite.mount_of("vault/home") + "/a"));
    CHECK(sites.same_file("b"));
    CHECK(require(sites.offsite.zfs({"list", "-H", "-o", "name", "-t", "snapshot", "-d", "1", "vault/home"})) ==
          "vault/home@one\nvault/home@two\nvault/home@three\n");
  }
  SECTION("a bookmark stands for a snapshot that is gone") {
    require(sites.office.zfs({"destroy", "tank/home@one"}));
    CHECK(sites.carry({"-i", "#mark", "tank/home@three"}, {"vault/home"}).exit_code == 0);
    CHECK(sites.same_file("b"));
  }
  SECTION("a diverged target is refused") {
    require(sites.offsite.zfs({"snapshot", "vault/home@own"}));
    const auto refused = sites.carry({"-i", "@two", "tank/home@three"}, {"-F", "vault/home"});
    CHECK(refused.err.find("does not\nmatch incremental source") != refused.err.npos);
  }
}

TEST_CASE("faults strike where they are told to and no longer than that", "[mirror][scripted]") {
  const TwoSites sites;
  sites.write("a", 400'000, 7);
  require(sites.office.zfs({"snapshot", "tank/home@one"}));
  SECTION("a flipped bit is found by the receiver, and nothing is kept") {
    require(sites.office.add_fault({.command = "send", .act = Fault::Act::corrupt, .after_bytes = 200'000, .times = 1}));
    CHECK(sites.carry({"tank/home@one"}, {"vault/home"}).err.find("checksum mismatch") != std::string::npos);
    CHECK_FALSE(sites.offsite.zfs({"list", "vault/home"}));
    CHECK(sites.carry({"tank/home@one"}, {"vault/home"}).exit_code == 0);
  }
  SECTION("a pool that is full says so") {
    require(sites.offsite.create_pool("small", 300'000));
    CHECK(sites.carry({"tank/home@one"}, {"small/home"}).err.find("out of space") != std::string::npos);
  }
  SECTION("a stall lasts until it is lifted") {
    require(sites.office.add_fault({.command = "send", .act = Fault::Act::stall, .after_bytes = 100'000}));
    const std::string stream = sites.folder.path() + "/stream";
    auto sender = require(Child::start({.argv = {sites.office.bin() + "/zfs", "send", "tank/home@one"}, .output_path = stream}));
    CHECK_FALSE(sender.wait(std::chrono::milliseconds(100)));
    CHECK(std::filesystem::file_size(stream) < 200'000);
    require(sites.office.clear_faults());
    CHECK(sender.wait(std::chrono::seconds(10)) == 0);
    CHECK(std::filesystem::file_size(stream) > 400'000);
  }
  SECTION("a property can be told wrong") {
    require(sites.office.add_fault({.command = "get", .dataset = "tank/home", .act = Fault::Act::report, .message = "written=8192"}));
    CHECK(TwoSites::get(sites.office, "written", "tank/home") == "8192");
  }
}

TEST_CASE("Syncoid replicates between two scripted sites, and resumes", "[mirror][scripted]") {
  if (const auto why = why_no_syncoid()) {
    WARN("not checked: " << *why);
    return;
  }
  // Both pools at one site: Syncoid without ssh. The way over the link is tested with the agent.
  const TwoSites sites;
  require(sites.office.create_pool("vault"));
  sites.write("a", 3'000'000, 8);
  require(sites.office.add_fault({.command = "receive", .act = Fault::Act::die, .after_bytes = 1'000'000, .times = 1}));
  const Argv syncoid = sites.office.exec({syncoid_program(), "--quiet", "--no-privilege-elevation", "tank/home", "vault/home"});
  CHECK(require(run_process(syncoid)).exit_code == 2);
  CHECK(TwoSites::get(sites.office, "receive_resume_token", "vault/home") != "-");
  // Syncoid names its snapshots by the second: another identifier, and two runs of one second do not meet.
  Argv again = syncoid;
  again.insert(again.end() - 2, "--identifier=again");
  const auto resumed = require(run_process(again));
  INFO(resumed.out << resumed.err);
  CHECK(resumed.exit_code == 0);
  CHECK(TwoSites::get(sites.office, "receive_resume_token", "vault/home") == "-");
  CHECK(require(read_file(sites.office.mount_of("vault/home") + "/a", 8 << 20)) == require(read_file(sites.office.mount_of("tank/home") + "/a", 8 << 20)));
  const std::string history = require(sites.office.history());
  CHECK(history.find("zfs send -t 1-") != history.npos);
}

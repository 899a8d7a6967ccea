// Walking, hashing and comparing trees, over the tree service.
#include "mirror/tree.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "base/text.h"
#include "mirror/verify.h"
#include "tests/mirror/folder_pair.h"
#include "tests/mirror/zfs_stage.h"
#include "tests/require.h"

using namespace lt;
using namespace lt::mirror;
using namespace lt::mirror::testing;

namespace {

const RangeLimits small_ranges{.bytes = 300'000, .entries = 7};

struct Pair {
  app::ScratchFolder folder{require(app::ScratchFolder::create("tree"))};
  std::string source{folder.path() + "/source"};
  std::string target{folder.path() + "/target"};
  Pair() {
    make_tree(source);
    copy_exactly(source, target);
  }
  VerifyReport verify(const VerifyOptions& options = {}, const RangeLimits& limits = small_ranges) const {
    ServedFolder ours(source, limits);
    ServedFolder theirs(target, limits);
    return require(verify_trees(*ours.client, *theirs.client, options));
  }
  // Keeps folder times equal where a test changes one file only.
  void touch_like_source(const std::string& path) const {
    std::filesystem::last_write_time(target + "/" + path, std::filesystem::last_write_time(source + "/" + path));
  }
};

std::vector<std::string> walk(const std::string& folder) {
  auto tree = require(Tree::open(folder));
  std::vector<std::string> paths;
  TreePlace place;
  while (true) {
    const auto entry = require(tree.next(place));
    if (!entry) return paths;
    paths.push_back(entry->path);
    place = {entry->path, std::max<std::uint64_t>(1, entry->blocks())};
  }
}

}  // namespace

TEST_CASE("a tree is walked in one order, from any place, and never into .zfs or through links", "[mirror][tree]") {
  const Pair pair;
  const auto paths = walk(pair.source);
  CHECK(paths.size() == 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 41);
  for (std::size_t i = 1; i < paths.size(); ++i) CHECK((compare_paths(paths[i - 1], paths[i]) < 0));
  CHECK(std::find(paths.begin(), paths.end(), ".zfs") == paths.end());
  CHECK(paths.front() == "a");
  CHECK(std::find(paths.begin(), paths.end(), "a.b") > std::find(paths.begin(), paths.end(), "a/one"));

  // Standing at any path, or before one that does not exist, the walk goes on with what comes behind.
  for (std::size_t i = 0; i < paths.size(); ++i) {
    auto tree = require(Tree::open(pair.source));
    CHECK(require(tree.next({paths[i], 0}))->path == paths[i]);
    const auto behind = require(tree.next({paths[i] + "\x01", 0}));
    const auto expected = std::upper_bound(paths.begin(), paths.end(), paths[i] + "\x01", [](const std::string& a, const std::string& b) { return compare_paths(a, b) < 0; });
    CHECK(behind.has_value() == (expected != paths.end()));
    if (behind) CHECK(behind->path == *expected);
  }
}

TEST_CASE("equal trees are equal whatever the size of the ranges", "[mirror][verify]") {
  const Pair pair;
  for (const RangeLimits limits : {RangeLimits{1, 1}, RangeLimits{200'000, 3}, RangeLimits{}}) {
    const auto report = pair.verify({}, limits);
    CHECK(report.is_equal());
    CHECK(report.end.is_end);
    CHECK(report.bytes > 1'300'000);
    CHECK(report.entries >= 52);
  }
}

TEST_CASE("one flipped byte is found, and named by file, block and byte", "[mirror][verify]") {
  const Pair pair;
  const std::uint64_t offset = GENERATE(0ULL, 131'071ULL, 131'072ULL, 700'001ULL, 999'999ULL);
  require(flip_byte(pair.target + "/large", offset));
  pair.touch_like_source("large");
  const auto report = pair.verify();
  REQUIRE(report.difference_count == 1);
  CHECK(report.differences[0].path == "large");
  CHECK(report.differences[0].kind == Difference::Kind::contents);
  CHECK(report.differences[0].block == offset / tree_block_bytes);
  CHECK(report.differences[0].byte == offset);
  CHECK(report.differences[0].text() == "large differs in block " + std::to_string(offset / tree_block_bytes) +
                                            " (of 131072 bytes), first at byte " + std::to_string(offset));
}

TEST_CASE("what is missing, foreign, renamed, or has other attributes is named", "[mirror][verify]") {
  const Pair pair;
  const auto only = [&](Difference::Kind kind, const std::string& path) {
    const auto report = pair.verify();
    INFO(report.difference_count);
    const bool is_there = std::any_of(report.differences.begin(), report.differences.end(), [&](const Difference& difference) {
      return difference.kind == kind && difference.path == path;
    });
    CHECK(is_there);
    CHECK_FALSE(report.is_equal());
  };
  SECTION("missing") {
    std::filesystem::remove(pair.target + "/a.b");
    only(Difference::Kind::missing, "a.b");
  }
  SECTION("a large one is missing") {
    std::filesystem::remove(pair.target + "/large");
    only(Difference::Kind::missing, "large");
  }
  SECTION("foreign") {
    write_text(pair.target + "/many/foreign", "x");
    only(Difference::Kind::foreign, "many/foreign");
  }
  SECTION("mode") {
    ::chmod((pair.target + "/a/one").c_str(), 0600);
    only(Difference::Kind::attributes, "a/one");
  }
  SECTION("owner") {
    REQUIRE(::lchown((pair.target + "/link").c_str(), 1234, 0) == 0);
    only(Difference::Kind::attributes, "link");
  }
  SECTION("a link's target") {
    std::filesystem::remove(pair.target + "/link");
    std::filesystem::create_symlink("/etc/shadow", pair.target + "/link");
    only(Difference::Kind::attributes, "link");
  }
  SECTION("shorter") {
    std::filesystem::resize_file(pair.target + "/large", 500'000);
    only(Difference::Kind::attributes, "large");
  }
  SECTION("longer") {
    std::filesystem::resize_file(pair.target + "/large", 3'000'000);
    only(Difference::Kind::attributes, "large");
  }
  SECTION("a folder in the place of a file") {
    std::filesystem::remove(pair.target + "/empty");
    write_text(pair.target + "/empty/inside", "x");
    only(Difference::Kind::foreign, "empty/inside");
  }
}

TEST_CASE("a verification goes on where its budget ended, until all was seen", "[mirror][verify]") {
  const Pair pair;
  require(flip_byte(pair.target + "/many/9", 0));
  pair.touch_like_source("many/9");
  TreePlace place;
  std::uint64_t found = 0;
  int runs = 0;
  while (!place.is_end) {
    const auto report = pair.verify({.begin = place, .bytes_max = 1});
    CHECK((compare_places(place, report.end) < 0));
    const auto kept = place_from_json(place_json(report.end));
    REQUIRE(kept);
    CHECK(*kept == report.end);
    place = *kept;
    found += report.difference_count;
    REQUIRE(++runs < 100);
  }
  CHECK(runs > 5);
  CHECK(found == 1);
}

TEST_CASE("comparing costs the line less than a thousandth of the contents", "[mirror][verify]") {
  const auto folder = require(app::ScratchFolder::create("tree"));
  std::filesystem::create_directories(folder.path() + "/source");
  for (int i = 0; i < 4; ++i) require(write_noise(folder.path() + "/source/" + std::to_string(i), 2'000'000, static_cast<std::uint64_t>(i)));
  copy_exactly(folder.path() + "/source", folder.path() + "/target");
  ServedFolder ours(folder.path() + "/source");
  ServedFolder theirs(folder.path() + "/target");
  const auto report = require(verify_trees(*ours.client, *theirs.client, {}));
  CHECK(report.is_equal());
  CHECK(report.wire_bytes * 1000 < report.bytes);
}

TEST_CASE("the tree service gives nothing from outside its tree, and ends on nonsense", "[mirror][tree][hostile]") {
  const Pair pair;
  ServedFolder served(pair.source);
  for (const std::string path : {"/etc/passwd", "../source/a/one", "a/../a.b", "", "a//one", "./a.b", "link", "a", "nothing", ".."}) {
    INFO(path);
    CHECK_FALSE(served.client->read(path, 0, 10));
  }
  // A folder that becomes a link leads nowhere, either.
  std::filesystem::create_directory_symlink("/etc", pair.source + "/way");
  CHECK_FALSE(served.client->read("way/passwd", 0, 10));
  CHECK(require(served.client->read("a/one", 0, 10)) == std::vector<Byte>{'1'});
  CHECK(require(served.client->read("a/one", 5, 10)).empty());

  SECTION("a length beyond the limit") {
    const Byte huge[]{0xff, 0xff, 0xff, 0xff, 4};
    REQUIRE(::send(served.raw(), huge, sizeof huge, 0) == sizeof huge);
  }
  SECTION("an unknown kind") {
    const Byte unknown[]{0, 0, 0, 1, 99};
    REQUIRE(::send(served.raw(), unknown, sizeof unknown, 0) == sizeof unknown);
  }
  SECTION("a place outside the tree") {
    Writer question;
    question.u8(0).u64(0).u32(3).append("../").u32(1);
    Writer message;
    message.u32(static_cast<std::uint32_t>(question.view().size() + 1)).u8(5).append(question.view());
    REQUIRE(::send(served.raw(), message.view().data(), message.view().size(), 0) > 0);
  }
  ::shutdown(served.raw(), SHUT_WR);
  const auto ended = served.end();
  REQUIRE_FALSE(ended);
  CHECK(ended.error().code == Errc::protocol);
}

TEST_CASE("a sample holds files of the tree, each once, and follows its seed", "[mirror][tree]") {
  const Pair pair;
  ServedFolder served(pair.source);
  const auto drawn = require(served.client->sample(10, 5));
  CHECK(drawn.size() == 10);
  std::vector<std::string> paths;
  for (const auto& entry : drawn) {
    CHECK(entry.is_file());
    CHECK(std::filesystem::exists(pair.source + "/" + entry.path));
    paths.push_back(entry.path);
  }
  std::sort(paths.begin(), paths.end());
  CHECK(std::unique(paths.begin(), paths.end()) == paths.end());
  CHECK(require(served.client->sample(10, 5)) == drawn);
  CHECK(require(served.client->sample(10, 6)) != drawn);
  CHECK(require(served.client->sample(10'000, 1)).size() == 45);  // every file that is not empty
}

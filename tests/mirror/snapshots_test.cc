// What both sides hold, by GUID.
#include "mirror/snapshots.h"

#include <catch2/catch.hpp>

using namespace lt;
using namespace lt::mirror;

namespace {

std::vector<HeldSnapshot> made(std::initializer_list<HeldSnapshot> list) { return list; }

}  // namespace

TEST_CASE("snapshots are read from both ZFS's listings, in the order in which they were made", "[mirror][guid]") {
  const std::string listing =
      "tank/a\ttype\tfilesystem\t-\ntank/a\tguid\t5\t-\ntank/a\tcreation\t100\t-\n"
      "tank/a@two\ttype\tsnapshot\t-\ntank/a@two\tguid\t18446744073709551615\t-\ntank/a@two\tcreation\t200\t-\n"
      "tank/a@one\ttype\tsnapshot\t-\ntank/a@one\tguid\t7\t-\ntank/a@one\tcreation\t150\t-\n"
      "tank/a/child@one\ttype\tsnapshot\t-\ntank/a/child@one\tguid\t9\t-\ntank/a/child@one\tcreation\t150\t-\n"
      "tank/a#mark\ttype\tbookmark\t-\ntank/a#mark\tguid\t7\t-\ntank/a#mark\tcreation\t150\t-\n";
  const auto snapshots = parse_snapshots(listing, "tank/a");
  REQUIRE(snapshots);
  CHECK(*snapshots == made({{"one", 7, 150}, {"two", 18446744073709551615ULL, 200}}));
  CHECK(parse_snapshots("", "tank/a")->empty());
  for (const std::string bad : {"tank/a@one\tguid\n", "tank/a@one\tguid\tx\t-\n", "tank/a@one\tguid\t-1\t-\n", "tank/a@one\ttype\tsnapshot\t-\n", "tank/a@one\n"}) {
    INFO(bad);
    CHECK_FALSE(parse_snapshots("tank/a@zero\tguid\t1\t-\n" + bad, "tank/a"));
  }
}

TEST_CASE("the proof by GUIDs tells complete from behind, diverged, foreign and unrelated", "[mirror][guid]") {
  const auto source = made({{"one", 1, 100}, {"two", 2, 200}, {"three", 3, 300}});
  SECTION("complete") {
    const auto proof = prove_guids(source, source);
    CHECK(proof.is_complete());
    CHECK(proof.common == 3);
    CHECK(proof.newest_common == "three");
    CHECK(proof.newest_guid == 3);
  }
  SECTION("older ones may be gone on either side: retention is each side's own") {
    CHECK(prove_guids(source, made({{"zero", 9, 50}, {"two", 2, 200}, {"three", 3, 300}})).is_complete());
    CHECK(prove_guids(made({{"three", 3, 300}}), source).is_complete());
  }
  SECTION("a renamed snapshot is the same by its GUID") {
    CHECK(prove_guids(source, made({{"one", 1, 100}, {"two", 2, 200}, {"renamed", 3, 300}})).is_complete());
  }
  SECTION("behind") {
    const auto proof = prove_guids(source, made({{"one", 1, 100}}));
    CHECK_FALSE(proof.is_complete());
    CHECK(proof.missing == std::vector<std::string>{"two", "three"});
    CHECK(proof.text("tank/a", "peer:backup/a").find("lacks 2 newer snapshots") != std::string::npos);
  }
  SECTION("one name, two snapshots") {
    const auto proof = prove_guids(source, made({{"one", 1, 100}, {"two", 22, 200}, {"three", 3, 300}}));
    CHECK_FALSE(proof.is_complete());
    CHECK(proof.conflicting == std::vector<std::string>{"two"});
  }
  SECTION("a snapshot that the source never had") {
    const auto proof = prove_guids(source, made({{"one", 1, 100}, {"two", 2, 200}, {"three", 3, 300}, {"own", 4, 400}}));
    CHECK_FALSE(proof.is_complete());
    CHECK(proof.foreign == std::vector<std::string>{"own"});
  }
  SECTION("nothing in common, and nothing at all") {
    CHECK_FALSE(prove_guids(source, made({{"x", 8, 100}})).is_complete());
    CHECK_FALSE(prove_guids(source, {}).is_complete());
    CHECK_FALSE(prove_guids({}, {}).is_complete());
  }
}

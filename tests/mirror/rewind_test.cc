#include "mirror/rewind.h"

#include <catch2/catch.hpp>

using namespace lt::mirror;

TEST_CASE("the way back is to the snapshot that is listed last", "[mirror][rewind]") {
  const auto back = way_back("tank/a", "tank/a@one\ntank/a@two\n");
  REQUIRE(back);
  CHECK(*back == Pipeline{{.argv = {"zfs", "rollback", "tank/a@two"}}});
  // The end of a long answer may begin in the middle of a name.
  CHECK(*way_back("tank/a", "/a@one\ntank/a@two") == *back);
}

TEST_CASE("without a snapshot of the dataset itself there is no way back", "[mirror][rewind]") {
  for (const char* const answer : {"", "\n", "tank/a\n", "tank/a/b@one\n", "tank/ab@one\n", "tank/a@one\ntank/a/b@two\n", "no datasets available\n", "-r tank/a@one\n"}) {
    INFO(answer);
    CHECK_FALSE(way_back("tank/a", answer));
  }
}

TEST_CASE("ZFS is asked for the dataset's own snapshots, newest last", "[mirror][rewind]") {
  const Pipeline question = snapshot_question("tank/a");
  REQUIRE(question.size() == 1);
  CHECK(question[0].argv == lt::Argv{"zfs", "list", "-H", "-d", "1", "-t", "snapshot", "-o", "name", "-s", "createtxg", "tank/a"});
  CHECK(question[0].errors == OutputTo::nowhere);
}

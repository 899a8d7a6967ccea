#include "mirror/ledger.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "base/fd.h"

namespace lt::mirror {

namespace {

/// A folder of its own, gone with its owner.
class Folder {
 public:
  Folder() {
    std::string name = "/tmp/linktune-ledger-XXXXXX";
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

WallTime at(int seconds) { return WallTime(Seconds(1'800'000'000 + seconds)); }

DatasetRecord dataset(std::int64_t run, const std::string& source, DatasetOutcome outcome,
                      int when) {
  return {.run = run,
          .job = "data",
          .source = source,
          .target = "peer:backup/" + source,
          .started = at(when - 1),
          .ended = at(when),
          .outcome = outcome,
          .attempts = 2,
          .sent = outcome == DatasetOutcome::mirrored ? 1_MiB : 0_B,
          .took = outcome == DatasetOutcome::mirrored ? Milliseconds(1500) : Milliseconds(0),
          .snapshot = "hourly",
          .guid = "1234567890123456789",
          .snapshot_created = at(when - 60),
          .written = 17_B,
          .what = "it's \"so\""};
}

}  // namespace

TEST_CASE("the ledger gives back what it was given, after a restart too", "[mirror][ledger]") {
  const Folder folder;
  const std::string path = folder.path + "/a/b";
  std::int64_t run = 0;
  {
    auto ledger = Ledger::open(path);
    if (!ledger) FAIL(ledger.error().text());
    run = *ledger->begin_run("data", at(0));
    REQUIRE(ledger->record({dataset(run, "tank/a", DatasetOutcome::mirrored, 5),
                            dataset(run, "tank/b", DatasetOutcome::unchanged, 6)}));
    REQUIRE(ledger->end_run({.id = run,
                             .ended = at(9),
                             .outcome = RunOutcome::failed,
                             .mirrored = 1,
                             .unchanged = 1,
                             .failed = 3,
                             .sent = 1_MiB,
                             .what = "the target is full; free some space"}));
  }
  auto ledger = Ledger::open(path);
  REQUIRE(ledger);
  const auto runs = ledger->runs("data", 10);
  REQUIRE(runs);
  REQUIRE(runs->size() == 1);
  CHECK(runs->front().started == at(0));
  CHECK(runs->front().ended == at(9));
  CHECK(runs->front().outcome == RunOutcome::failed);
  CHECK(runs->front().failed == 3);
  CHECK(runs->front().what == "the target is full; free some space");
  const auto datasets = ledger->datasets_of(run);
  REQUIRE(datasets);
  REQUIRE(datasets->size() == 2);
  const DatasetRecord& first = datasets->front();
  const DatasetRecord wanted = dataset(run, "tank/a", DatasetOutcome::mirrored, 5);
  CHECK(first.source == wanted.source);
  CHECK(first.target == wanted.target);
  CHECK(first.ended == wanted.ended);
  CHECK(first.attempts == 2);
  CHECK(first.sent == 1_MiB);
  CHECK(first.took == Milliseconds(1500));
  CHECK(first.guid == wanted.guid);
  CHECK(first.snapshot_created == wanted.snapshot_created);
  CHECK(first.written == 17_B);
  CHECK(first.what == wanted.what);
  CHECK((*datasets)[1].outcome == DatasetOutcome::unchanged);
}

TEST_CASE("the newest good record of a dataset is not its newest failure", "[mirror][ledger]") {
  const Folder folder;
  auto ledger = Ledger::open(folder.path);
  REQUIRE(ledger);
  REQUIRE(ledger->record({dataset(1, "tank/b", DatasetOutcome::mirrored, 1),
                          dataset(1, "tank/a", DatasetOutcome::mirrored, 1),
                          dataset(2, "tank/a", DatasetOutcome::unchanged, 2),
                          dataset(3, "tank/a", DatasetOutcome::failed, 3)}));
  const auto newest = ledger->newest("data");
  REQUIRE(newest);
  REQUIRE(newest->size() == 2);
  CHECK((*newest)[0].source == "tank/a");
  CHECK((*newest)[0].outcome == DatasetOutcome::failed);
  const auto good = ledger->newest_good("data");
  REQUIRE(good);
  CHECK((*good)[0].run == 2);
  CHECK((*good)[1].source == "tank/b");
  CHECK(ledger->newest("other")->empty());
  const auto transfers = ledger->transfers("data", 10);
  REQUIRE(transfers);
  CHECK(transfers->size() == 2);
}

TEST_CASE("a run that its program did not end is closed as interrupted", "[mirror][ledger]") {
  const Folder folder;
  auto ledger = Ledger::open(folder.path);
  REQUIRE(ledger);
  REQUIRE(ledger->begin_run("data", at(0)));
  REQUIRE(ledger->begin_run("other", at(0)));
  CHECK(*ledger->close_abandoned_runs("data", at(7)) == 1);
  CHECK(*ledger->close_abandoned_runs("data", at(8)) == 0);
  const auto runs = ledger->runs("data", 1);
  REQUIRE(runs);
  CHECK(runs->front().outcome == RunOutcome::interrupted);
  CHECK(runs->front().ended == at(7));
  CHECK(ledger->runs("other", 1)->front().outcome == RunOutcome::running);
}

TEST_CASE("a proof is recorded when it begins and completed when it ends", "[mirror][ledger]") {
  const Folder folder;
  auto ledger = Ledger::open(folder.path);
  REQUIRE(ledger);
  ProofRecord proof{.kind = ProofKind::scrub, .dataset = "tank", .started = at(0), .ended = at(0)};
  const auto id = ledger->record(proof);
  REQUIRE(id);
  proof.id = *id;
  proof.ended = at(60);
  proof.result = ProofResult::bad;
  proof.examined = 5_MiB;
  proof.files = 3;
  proof.what = "2 errors";
  proof.detail = "{}";
  REQUIRE(ledger->update(proof));
  REQUIRE(ledger->record(ProofRecord{.kind = ProofKind::scrub, .dataset = "other"}));
  const auto of_tank = ledger->proofs(ProofKind::scrub, "tank", 5);
  REQUIRE(of_tank);
  REQUIRE(of_tank->size() == 1);
  CHECK(of_tank->front().result == ProofResult::bad);
  CHECK(of_tank->front().examined == 5_MiB);
  CHECK(of_tank->front().what == "2 errors");
  CHECK(ledger->proofs(ProofKind::scrub, "", 5)->size() == 2);
  CHECK(ledger->proofs(ProofKind::drill, "", 5)->empty());
  proof.id = 99;
  const Status missing = ledger->update(proof);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == Errc::not_found);
}

TEST_CASE("pruning keeps the newest record of everything", "[mirror][ledger]") {
  const Folder folder;
  auto ledger = Ledger::open(folder.path);
  REQUIRE(ledger);
  REQUIRE(ledger->record({dataset(1, "tank/a", DatasetOutcome::mirrored, 1),
                          dataset(2, "tank/a", DatasetOutcome::mirrored, 2),
                          dataset(3, "tank/a", DatasetOutcome::failed, 3)}));
  REQUIRE(ledger->prune(at(1000)));
  CHECK(ledger->newest("data")->front().run == 3);
  CHECK(ledger->newest_good("data")->front().run == 2);
  CHECK(ledger->datasets_of(1)->empty());
}

TEST_CASE("two programs write one ledger without losing a record", "[mirror][ledger]") {
  const Folder folder;
  auto one = Ledger::open(folder.path);
  auto two = Ledger::open(folder.path);
  REQUIRE(one);
  REQUIRE(two);
  for (int i = 0; i < 20; ++i) {
    REQUIRE(one->record(dataset(1, "tank/a", DatasetOutcome::mirrored, i)));
    REQUIRE(two->record(dataset(1, "tank/b", DatasetOutcome::mirrored, i)));
  }
  CHECK(one->datasets_of(1)->size() == 40);
}

TEST_CASE("what is no ledger, or a newer one, is refused and left as it is", "[mirror][ledger]") {
  const Folder folder;
  const std::string path = folder.path + "/ledger.sqlite";
  REQUIRE(write_file(path, std::string(4096, 'x'), 0600));
  const auto garbage = Ledger::open(folder.path);
  REQUIRE_FALSE(garbage);
  CHECK(garbage.error().code == Errc::invalid);
  CHECK_THAT(garbage.error().what, Catch::Contains("move it away"));
  CHECK(*read_file(path, 1 << 20) == std::string(4096, 'x'));

  const Folder newer;
  REQUIRE(Ledger::open(newer.path));
  auto bytes = *read_file(newer.path + "/ledger.sqlite", 1 << 20);
  REQUIRE(bytes.size() > 64);
  bytes[63] = 99;  // user_version, big-endian, at offset 60 of the file's header
  REQUIRE(write_file(newer.path + "/ledger.sqlite", bytes, 0600));
  const auto refused = Ledger::open(newer.path);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::unsupported);

  REQUIRE(write_file(folder.path + "/file", "x", 0600));
  const auto no_folder = Ledger::open(folder.path + "/file/below");
  REQUIRE_FALSE(no_folder);
  CHECK_THAT(no_folder.error().what, Catch::Contains("cannot make the folder"));
}

}  // namespace lt::mirror

// A run with unmodified Syncoid between two scripted ZFS sites: what it carries, leaves, records and
// says when something is wrong.
#include "mirror/run.h"

#include <catch2/catch.hpp>
#include <ctime>
#include <thread>
#include <filesystem>

#include "mirror/lock.h"
#include "tests/mirror/run_stage.h"

using namespace lt;
using namespace lt::mirror;
using namespace lt::mirror::testing;

namespace {

// One further attempt: Syncoid names its snapshots by the second, and a test has several runs in one.
constexpr const char* data_job =
    "[[mirror.job]]\nname = \"data\"\nsource = \"tank/data\"\ntarget = \"peer:vault/data\"\n"
    "retries = 1\nretry_wait = \"1s\"\n";

const DatasetRecord& record_for(const JobReport& report, const std::string& source) {
  for (const DatasetRecord& record : report.datasets) {
    if (record.source == source) return record;
  }
  FAIL("no record of " + source);
  std::abort();
}

// Syncoid names its snapshots by the second: two runs of one second would meet in a name, and the second be tried again.
void let_the_second_pass() {
  const std::time_t before = std::time(nullptr);
  while (std::time(nullptr) == before) std::this_thread::yield();
}

}  // namespace

TEST_CASE("a run carries what was written, and records what was not as checked",
          "[mirror][run]") {
  RunStage stage;
  stage.create("tank/data");
  stage.create("tank/data/mail");
  stage.write("tank/data", "a", 300'000, 1);
  stage.write("tank/data/mail", "b", 100'000, 2);
  const auto config = stage.config(data_job);
  auto ledger = stage.ledger();
  Runner runner(config, stage.options(), ledger, stage.log);

  const JobReport first = require(runner.run(config.jobs[0], {}));
  INFO(first.run.what);
  REQUIRE(first.run.outcome == RunOutcome::done);
  CHECK(first.run.mirrored == 2);
  CHECK(stage.same_file("tank/data", "vault/data", "a"));
  CHECK(stage.same_file("tank/data/mail", "vault/data/mail", "b"));
  CHECK_FALSE(record_for(first, "tank/data").guid.empty());

  const JobReport second = require(runner.run(config.jobs[0], {}));
  CHECK(second.run.outcome == RunOutcome::done);
  CHECK(second.run.mirrored == 0);
  CHECK(second.run.unchanged == 2);
  CHECK(record_for(second, "tank/data").outcome == DatasetOutcome::unchanged);
  CHECK(record_for(second, "tank/data").guid == record_for(first, "tank/data").guid);

  stage.write("tank/data/mail", "c", 200'000, 3);
  const JobReport third = require(runner.run(config.jobs[0], {}));
  CHECK(third.run.mirrored == 1);
  CHECK(third.run.unchanged == 1);
  CHECK(record_for(third, "tank/data/mail").outcome == DatasetOutcome::mirrored);
  CHECK(stage.same_file("tank/data/mail", "vault/data/mail", "c"));
  CHECK(require(ledger.runs("data", 10)).size() == 3);
  CHECK(require(ledger.newest_good("data")).size() == 2);
}

TEST_CASE("a copy that is gone is made again, whatever the ledger says", "[mirror][run]") {
  RunStage stage;
  stage.create("tank/data");
  stage.write("tank/data", "a", 100'000, 1);
  const auto config = stage.config(data_job);
  auto ledger = stage.ledger();
  Runner runner(config, stage.options(), ledger, stage.log);
  REQUIRE(require(runner.run(config.jobs[0], {})).run.mirrored == 1);
  require(stage.offsite.zfs({"destroy", "-r", "vault/data"}));
  const JobReport again = require(runner.run(config.jobs[0], {}));
  CHECK(again.run.mirrored == 1);
  CHECK(stage.same_file("tank/data", "vault/data", "a"));
}

TEST_CASE("what goes wrong with one dataset is told with its cure and does not stop the others",
          "[mirror][run]") {
  RunStage stage;
  stage.create("tank/data");
  stage.create("tank/data/good");
  stage.create("tank/data/bad");
  const auto config = stage.config(data_job);
  auto ledger = stage.ledger();
  Runner runner(config, stage.options(), ledger, stage.log);
  REQUIRE(require(runner.run(config.jobs[0], {})).run.mirrored == 3);
  stage.write("tank/data/good", "g", 100'000, 1);
  stage.write("tank/data/bad", "b", 100'000, 2);
  struct Row {
    Fault fault;
    const char* word;
  };
  const auto full = Fault{.command = "receive",
                          .dataset = "vault/data/bad",
                          .message = "cannot receive incremental stream: out of space"};
  const auto modified =
      Fault{.command = "receive",
            .dataset = "vault/data/bad",
            .message = "cannot receive incremental stream: destination vault/data/bad has been "
                       "modified\nsince most recent snapshot"};
  const auto broken = Fault{.command = "send",
                            .dataset = "tank/data/bad",
                            .message = "warning: cannot send 'tank/data/bad@x': Input/output error"};
  let_the_second_pass();
  const Row row = GENERATE_COPY(Row{full, "no room for"}, Row{modified, "rollback = true"},
                                Row{broken, "zpool scrub"});
  require(row.fault.command == "send" ? stage.office.add_fault(row.fault)
                                      : stage.offsite.add_fault(row.fault));
  const JobReport report = require(runner.run(config.jobs[0], {}));
  CHECK(report.run.outcome == RunOutcome::failed);
  CHECK(report.run.failed == 1);
  CHECK(report.run.mirrored == 1);
  const DatasetRecord& bad = record_for(report, "tank/data/bad");
  CHECK(bad.outcome == DatasetOutcome::failed);
  // What only a person can mend is not tried again.
  CHECK((bad.attempts == 1) == (row.fault.command == "receive"));
  CHECK_THAT(bad.what, Catch::Contains(row.word));
  CHECK(record_for(report, "tank/data/good").outcome == DatasetOutcome::mirrored);
  // When the cause is gone, the next run carries what is missing.
  require(stage.office.clear_faults());
  require(stage.offsite.clear_faults());
  CHECK(require(runner.run(config.jobs[0], {})).run.mirrored == 1);
  CHECK(stage.same_file("tank/data/bad", "vault/data/bad", "b"));
}

TEST_CASE("a failure that passes is tried again after waits that double", "[mirror][run]") {
  RunStage stage;
  stage.create("tank/data");
  stage.write("tank/data", "a", 100'000, 1);
  const auto config = stage.config(data_job);
  auto ledger = stage.ledger();
  Runner runner(config, stage.options(), ledger, stage.log);
  require(stage.offsite.add_fault({.command = "receive",
                                   .message = "cannot receive: dataset is wobbly",
                                   .times = 1}));
  const JobReport report = require(runner.run(config.jobs[0], {}));
  INFO(report.run.what);
  CHECK(report.run.outcome == RunOutcome::done);
  CHECK(record_for(report, "tank/data").attempts == 2);
  CHECK(record_for(report, "tank/data").what.empty());
}

TEST_CASE("a target of others' snapshots is left as it is", "[mirror][run]") {
  RunStage stage;
  stage.create("tank/data");
  stage.write("tank/data", "a", 100'000, 1);
  require(stage.offsite.zfs({"create", "vault/data"}));
  require(stage.offsite.zfs({"snapshot", "vault/data@theirs"}));
  const auto config = stage.config(data_job);
  auto ledger = stage.ledger();
  Runner runner(config, stage.options(), ledger, stage.log);
  const JobReport report = require(runner.run(config.jobs[0], {}));
  CHECK(report.run.outcome == RunOutcome::failed);
  CHECK_THAT(report.run.what, Catch::Contains("none of them is one of tank/data") &&
                                  Catch::Contains("rename"));
  CHECK_THAT(require(stage.offsite.zfs({"list", "-H", "-t", "snapshot", "-o", "name"})),
             Catch::Contains("vault/data@theirs"));
  CHECK_THAT(require(stage.offsite.history()), !Catch::Contains("destroy") &&
                                                   !Catch::Contains("rollback") &&
                                                   !Catch::Contains("receive "));
}

TEST_CASE("a job whose source is not there, or whose peer is silent, says what to do",
          "[mirror][run]") {
  RunStage stage;
  const auto config = stage.config(data_job);
  auto ledger = stage.ledger();
  Runner runner(config, stage.options(), ledger, stage.log);
  const auto missing = runner.run(config.jobs[0], {});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == Errc::not_found);
  CHECK_THAT(missing.error().what, Catch::Contains("correct `source` of job data"));
  stage.create("tank/data");
  stage.cut();
  const auto silent = runner.run(config.jobs[0], {});
  REQUIRE_FALSE(silent);
  CHECK(silent.error().code == Errc::unreachable);
  CHECK_THAT(silent.error().what, Catch::Contains("linktune status"));
  CHECK(require(ledger.runs("data", 5)).front().outcome == RunOutcome::failed);
}

TEST_CASE("a Syncoid that is missing is named", "[mirror][run]") {
  RunStage stage;
  stage.create("tank/data");
  auto config = stage.config(data_job);
  config.syncoid = "/nowhere/syncoid";
  auto ledger = stage.ledger();
  Runner runner(config, stage.options(), ledger, stage.log);
  const JobReport report = require(runner.run(config.jobs[0], {}));
  CHECK_THAT(report.run.what, Catch::Contains("install the package sanoid"));
}

TEST_CASE("a target is mirrored by one run at a time", "[mirror][run]") {
  RunStage stage;
  stage.create("tank/data");
  const auto config = stage.config(data_job);
  auto ledger = stage.ledger();
  Runner runner(config, stage.options(), ledger, stage.log);
  {
    const Lock held = require(Lock::take(config.state_folder + "/locks", "peer:vault/data"));
    const auto refused = runner.run(config.jobs[0], {});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::busy);
  }
  CHECK(runner.run(config.jobs[0], {}));
}

TEST_CASE("a run that is ended by request says so and goes on the next time", "[mirror][run]") {
  RunStage stage;
  stage.create("tank/data");
  stage.write("tank/data", "a", 4'000'000, 1);
  const auto config = stage.config(data_job);
  auto ledger = stage.ledger();
  std::stop_source stop;
  RunOptions options = stage.options();
  options.progress = [&](const Progress&) { stop.request_stop(); };  // after the first second
  Runner runner(config, options, ledger, stage.log);
  require(stage.office.add_fault(
      {.command = "send", .act = Fault::Act::stall, .after_bytes = 1'000'000}));
  const JobReport report = require(runner.run(config.jobs[0], stop.get_token()));
  CHECK(report.run.outcome == RunOutcome::interrupted);
  CHECK(report.run.mirrored == 0);
  require(stage.office.clear_faults());
  const JobReport again = require(runner.run(config.jobs[0], {}));
  INFO(again.run.what);
  CHECK(again.run.mirrored == 1);
  CHECK(stage.same_file("tank/data", "vault/data", "a"));
}

TEST_CASE("many datasets to which nothing was written take three questions a side and no Syncoid",
          "[mirror][run]") {
  RunStage stage;
  stage.create("tank/data");
  constexpr int count = 40;
  for (int i = 0; i < count; ++i)
    stage.create("tank/data/d" + std::to_string(i));
  // The first copy by one recursive stream: what matters here is the run after it.
  require(stage.office.zfs({"snapshot", "-r", "tank/data@first"}));
  for (int i = -1; i < count; ++i) {
    const std::string below = i < 0 ? "" : "/d" + std::to_string(i);
    const auto sent = require(
        run_process({stage.office.bin() + "/zfs", "send", "tank/data" + below + "@first"}));
    const auto received = require(run_process(
        {stage.offsite.bin() + "/zfs", "receive", "vault/data" + below}, {.input = sent.out}));
    REQUIRE(received.exit_code == 0);
  }
  const auto config = stage.config(data_job);
  auto ledger = stage.ledger();
  Runner runner(config, stage.options(), ledger, stage.log);
  const auto commands = [&](const ScriptedZfs& site) {
    return split(require(site.history()), '\n').size();
  };
  const auto before = commands(stage.office);
  const auto before_peer = commands(stage.offsite);
  const JobReport report = require(runner.run(config.jobs[0], {}));
  INFO(report.run.what);
  CHECK(report.run.outcome == RunOutcome::done);
  CHECK(report.run.unchanged == count + 1);
  CHECK(commands(stage.office) - before <= 3);
  CHECK(commands(stage.offsite) - before_peer <= 3);
}

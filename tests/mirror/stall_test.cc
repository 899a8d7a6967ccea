#include "mirror/stall.h"

#include <signal.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "base/process.h"
#include "mirror/forecast.h"
#include "mirror/lag.h"
#include "mirror/metrics.h"
#include "mirror/orphan.h"
#include "mirror/scrub.h"
#include "mirror/syncoid.h"

namespace lt::mirror {

namespace {

MeterReading reading(std::uint64_t source, std::uint64_t received, std::uint64_t target,
                     ChildWait peer, Instant heard) {
  return {.streams = 1,
          .source = {source},
          .link = {received},
          .received = {received},
          .target = {target},
          .is_connected = true,
          .heard = heard,
          .peer_wait = peer};
}

/// A transfer that flows for a while and then stands still as `still` says. @return the verdict and
/// how long it took
std::pair<std::optional<Stage>, Milliseconds> verdict(const StallSample& still, bool is_silent) {
  ManualClock clock;
  StallWatch watch;
  for (std::uint64_t i = 1; i <= 20; ++i) {
    clock.advance(Milliseconds(500));
    auto sample = still;
    sample.reading = reading(i << 20, i << 20, i << 20, ChildWait::working, clock.now());
    CHECK_FALSE(watch.update(sample, clock.now()));
  }
  const Instant stood = clock.now();
  for (int i = 0; i < 40; ++i) {
    clock.advance(Milliseconds(500));
    auto sample = still;
    sample.reading.heard = is_silent ? stood : clock.now();
    if (const auto stall = watch.update(sample, clock.now()))
      return {stall->stage, std::chrono::floor<Milliseconds>(clock.now() - stood)};
  }
  return {std::nullopt, Milliseconds(20'000)};
}

}  // namespace

TEST_CASE("a stall is named with its stage within 10 s", "[mirror][stall]") {
  struct Row {
    const char* what;
    StallSample sample;
    bool is_silent;
    Stage stage;
  };
  constexpr std::uint64_t mib = 1 << 20;
  using enum ChildWait;
  const auto at = [](std::uint64_t source, std::uint64_t received, std::uint64_t target,
                     ChildWait peer) { return reading(source, received, target, peer, {}); };
  const Row row = GENERATE_COPY(
      Row{"zfs send sleeps in the kernel", {at(9 * mib, 9 * mib, 9 * mib, working), disk}, false,
          Stage::source_disk},
      Row{"zfs send is stopped", {at(9 * mib, 9 * mib, 9 * mib, working), stopped}, false,
          Stage::send},
      Row{"a filter holds the bytes", {at(9 * mib, 9 * mib, 9 * mib, working), working}, false,
          Stage::send},
      Row{"bytes leave and do not arrive", {at(9 * mib, 5 * mib, 5 * mib, working), working}, false,
          Stage::link},
      Row{"the peer is silent", {at(9 * mib, 9 * mib, 9 * mib, working), disk}, true, Stage::link},
      Row{"zfs receive is stopped", {at(9 * mib, 9 * mib, 5 * mib, stopped), working}, false,
          Stage::receive},
      Row{"zfs receive waits for its pool", {at(9 * mib, 9 * mib, 5 * mib, disk), working}, false,
          Stage::target_disk},
      Row{"all is sent, the pool does not take it",
          {at(9 * mib, 9 * mib, 9 * mib, disk), std::nullopt}, false, Stage::target_disk},
      Row{"pulling: the own pool does not take it", {at(9 * mib, 9 * mib, 5 * mib, working), disk, true},
          false, Stage::target_disk},
      Row{"pulling: the peer's pool gives nothing", {at(9 * mib, 9 * mib, 9 * mib, disk), working, true},
          false, Stage::source_disk});
  INFO(row.what);
  const auto [stage, time] = verdict(row.sample, row.is_silent);
  REQUIRE(stage);
  CHECK(name_of(*stage) == name_of(row.stage));
  CHECK(time <= Milliseconds(10'000));
}

TEST_CASE("a cut connection is the link, whatever the programs do", "[mirror][stall]") {
  StallSample sample{reading(9, 9, 9, ChildWait::disk, {}), ChildWait::disk};
  sample.reading.is_connected = false;
  CHECK(verdict(sample, false).first == Stage::link);
}

TEST_CASE("a pause, and a time without streams, is no stall", "[mirror][stall]") {
  StallSample paused{reading(9, 5, 5, ChildWait::working, {}), ChildWait::working};
  paused.is_paused = true;
  CHECK_FALSE(verdict(paused, false).first);
  StallSample none{reading(9, 9, 9, ChildWait::working, {}), std::nullopt};
  none.reading.streams = 0;
  CHECK_FALSE(verdict(none, false).first);
}

TEST_CASE("a program that somebody has stopped is told from one that waits", "[mirror][stall]") {
  const auto comes = [](auto condition) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    return condition();
  };
  auto child = Child::start({.argv = {"sleep", "60"}, .output_path = ""});
  REQUIRE(child);
  CHECK_FALSE(is_stopped_by_signal(child->pid()));
  child->signal(SIGSTOP);
  CHECK(comes([&] { return is_stopped_by_signal(child->pid()); }));
  CHECK(child_wait_of(child->pid()) == ChildWait::stopped);
  child->signal(SIGCONT);
  CHECK(comes([&] { return !is_stopped_by_signal(child->pid()); }));
  CHECK_FALSE(is_stopped_by_signal(0));
}

TEST_CASE("a stall ends with the next byte", "[mirror][stall]") {
  ManualClock clock;
  StallWatch watch;
  StallSample sample{reading(9, 9, 9, ChildWait::working, clock.now()), ChildWait::disk};
  CHECK_FALSE(watch.update(sample, clock.now()));
  clock.advance(Milliseconds(8000));
  sample.reading.heard = clock.now();
  CHECK(watch.update(sample, clock.now()));
  sample.reading.source += 1_B;
  CHECK_FALSE(watch.update(sample, clock.now()));
}

TEST_CASE("the remaining time is within 10 % after a minute, across a pause", "[mirror][forecast]") {
  ManualClock clock;
  RateEstimate rate;
  double sent = 0;
  const double true_rate = 40e6;  // bytes a second, swinging by a quarter
  for (int second = 0; second < 60; ++second) {
    clock.advance(std::chrono::seconds(1));
    if (second >= 20 && second < 30) {  // the link is away
      rate.skip_to({static_cast<std::uint64_t>(sent)}, clock.now());
      continue;
    }
    sent += true_rate * (second % 2 == 0 ? 1.25 : 0.75);
    rate.update({static_cast<std::uint64_t>(sent)}, clock.now());
  }
  REQUIRE(rate.bytes_per_second());
  CHECK(*rate.bytes_per_second() == Approx(true_rate).epsilon(0.1));
  const configs::MirrorJob job;
  const WallTime now(Seconds(1'800'000'000));
  const Outlook outlook = forecast(true_rate * 600, *rate.bytes_per_second(), Seconds(0), job, now);
  REQUIRE(outlook.done);
  CHECK(static_cast<double>((*outlook.done - now).count()) == Approx(600).epsilon(0.1));
}

TEST_CASE("a forecast knows the pauses ahead and says by how much it is late",
          "[mirror][forecast]") {
  configs::MirrorJob job;
  const configs::LocalTime base = configs::local_time_of(WallTime(Seconds(1'800'000'000)));
  // Midnight of that day, by the site's clock.
  const WallTime midnight =
      WallTime(Seconds(1'800'000'000)) -
      Seconds((base.hour * 60 + base.minute) * 60 + base.second);
  REQUIRE(configs::add_limit_row(job.limits, "02:00-06:00 pause"));
  job.finish_by = 7 * 60;
  // 100 minutes of work from 01:00: one hour, four of pause, forty minutes more: 06:40.
  const double rate = 1e6;
  const Outlook in_time = forecast(rate * 6000, rate, Seconds(0), job, midnight + Seconds(3600));
  REQUIRE(in_time.done);
  CHECK(*in_time.done == midnight + Seconds(6 * 3600 + 40 * 60));
  CHECK_FALSE(in_time.late_by);
  const Outlook late = forecast(rate * 9600, rate, Seconds(1200), job, midnight + Seconds(3600));
  REQUIRE(late.late_by);
  CHECK(*late.late_by == Seconds(3600));
  CHECK_THAT(outlook_text(late, job, midnight + Seconds(3600)),
             Catch::Contains("done at 08:00, will miss 07:00 by 1h"));
  CHECK_FALSE(forecast(1, 0, Seconds(0), job, midnight).done);
  CHECK_FALSE(forecast(1e18, 1, Seconds(0), job, midnight).done);
  CHECK(outlook_text({}, job, midnight) == "no end in sight");
}

TEST_CASE("a copy is as old as its snapshot, or as its last check", "[mirror][lag]") {
  const WallTime now(Seconds(1'800'000'000));
  configs::MirrorJob job;
  job.stale_after = Seconds(3600);
  const auto record = [&](const char* source, DatasetOutcome outcome, int snapshot_age,
                          int checked_age, Bytes written) {
    return DatasetRecord{.source = source,
                         .ended = now - Seconds(checked_age),
                         .outcome = outcome,
                         .snapshot_created = now - Seconds(snapshot_age),
                         .written = written};
  };
  const auto quiet = record("quiet", DatasetOutcome::unchanged, 900'000, 60, 0_B);
  const auto noisy = record("noisy", DatasetOutcome::unchanged, 7200, 60, 1_KiB);
  const auto fresh = record("fresh", DatasetOutcome::mirrored, 100, 50, 0_B);
  const auto broken = record("broken", DatasetOutcome::failed, 0, 10, 1_MiB);
  const auto never = record("never", DatasetOutcome::failed, 0, 10, 1_MiB);
  auto broken_good = record("broken", DatasetOutcome::mirrored, 5000, 4000, 0_B);
  const auto lags =
      lag_of(job, {quiet, noisy, fresh, broken, never}, {quiet, noisy, fresh, broken_good}, now);
  REQUIRE(lags.size() == 5);
  CHECK(lags[0].age == Seconds(60));
  CHECK_FALSE(lags[0].is_stale);
  CHECK(lags[1].age == Seconds(7200));
  CHECK(lags[1].is_stale);
  CHECK(lags[2].age == Seconds(100));
  CHECK(lags[3].age == Seconds(5000));
  CHECK(lags[3].is_stale);
  CHECK(lags[3].written == 1_MiB);
  CHECK_FALSE(lags[4].age);
  CHECK(lags[4].is_stale);
  CHECK_THAT(stale_text(lags[4], job), Catch::Contains("was never copied"));

  const std::string page =
      metrics_text({{.job = "d\"ata", .runs = {{.job = "data"}}, .datasets = lags}},
                   {{.dataset = "tank", .result = ProofResult::good}}, now);
  CHECK_THAT(page, Catch::Contains("linktune_mirror_lag_seconds{job=\"d\\\"ata\",dataset=\"quiet\"} 60\n") &&
                       Catch::Contains("linktune_mirror_stale{job=\"d\\\"ata\",dataset=\"never\"} 1\n") &&
                       Catch::Contains("linktune_mirror_scrub_ok{pool=\"tank\"} 1\n") &&
                       Catch::Contains("# TYPE linktune_mirror_lag_bytes gauge\n"));
}

TEST_CASE("what zpool says of a scrub is understood", "[mirror][scrub]") {
  const auto good = parse_pool_status(
      "  pool: tank\n state: ONLINE\n  scan: scrub repaired 0B in 00:10:02 with 0 errors on Sun Nov "
      "22 03:10:02 2026\nconfig:\n\n\tNAME STATE\n\ttank ONLINE\n\nerrors: No known data errors\n");
  CHECK(good.was_scrubbed);
  CHECK(good.errors == 0U);
  CHECK(good.is_healthy);
  CHECK_FALSE(good.is_scrubbing);
  const auto bad = parse_pool_status(
      " state: DEGRADED\n  scan: scrub repaired 4K in 00:00:02 with 3 errors on Sun Nov 22\n"
      "errors: 1 data errors, use '-v' for a list\n");
  CHECK(bad.errors == 3U);
  CHECK_FALSE(bad.is_healthy);
  const auto running = parse_pool_status(
      " state: ONLINE\n  scan: scrub in progress since Sun Nov 22 03:00:00 2026\n\t1G scanned\n");
  CHECK(running.is_scrubbing);
  const auto old = parse_pool_status(
      " state: ONLINE\n scrub: scrub completed after 0h0m with 0 errors on Sun Nov 22 03:00:00 2026\n"
      "errors: No known data errors\n");
  CHECK(old.was_scrubbed);
  CHECK(old.errors == 0U);
  CHECK_FALSE(parse_pool_status("").was_scrubbed);
}

TEST_CASE("what Syncoid says becomes one sentence with its cure", "[mirror][syncoid]") {
  struct Row {
    const char* words;
    Trouble trouble;
    bool is_passing;
  };
  const Row row = GENERATE(
      Row{"Cannot sync now: b is already target of a zfs receive process.", Trouble::busy, true},
      Row{"CRITICAL ERROR: ssh connection echo test failed for peer", Trouble::unreachable, true},
      Row{"cannot receive: incomplete stream\nlinktune ssh: the agent refuses: the session is gone: the agent was restarted, or it was away for too long",
          Trouble::restarted, true},
      Row{"linktune mirror agent: refused: a dataset outside the config: \"tank\"", Trouble::refused, false},
      Row{"cannot receive: out of space\nCRITICAL ERROR: zfs send | zfs receive failed: 256",
          Trouble::full, false},
      Row{"cannot receive: destination b has been modified\nsince most recent snapshot",
          Trouble::modified, false},
      Row{"CRITICAL ERROR: Target b exists but has no snapshots matching with a!", Trouble::diverged,
          false},
      Row{"cannot open 'tank/a': dataset does not exist", Trouble::no_source, false},
      Row{"cannot receive: invalid stream (checksum mismatch)", Trouble::damaged, true},
      Row{"something new", Trouble::other, true});
  const Failure failure = failure_of(row.words, 2, "tank/a", "peer:b");
  INFO(row.words << " -> " << failure.what);
  CHECK(failure.trouble == row.trouble);
  CHECK(failure.is_passing() == row.is_passing);
  CHECK(failure.is_gone_by() == (row.trouble == Trouble::restarted));
  CHECK(failure.what.size() > 20);
  CHECK(failure_of("", 127, "a", "b").trouble == Trouble::no_program);
}

TEST_CASE("a quiet Syncoid that ends without a word has met a busy target", "[mirror][syncoid]") {
  for (const int exit_code : {1, 2}) CHECK(failure_of("\n", exit_code, "a", "b").trouble == Trouble::busy);
  CHECK(failure_of("", 3, "a", "b").trouble == Trouble::other);
  CHECK(failure_of("something new", 2, "a", "b").trouble == Trouble::other);
}

TEST_CASE("a pull is begun without resume, which its agent would refuse", "[mirror][syncoid]") {
  configs::MirrorJob job;
  job.source = {true, "vault/a"};
  job.target = {false, "tank/a"};
  CHECK(syncoid_argv("syncoid", job, "vault/a", "tank/a") ==
        Argv{"syncoid", "--no-privilege-elevation", "--quiet", "--compress=none", "--no-rollback", "--no-resume",
             "root@peer:vault/a", "tank/a"});
}

TEST_CASE("Syncoid is told what the job says, and nothing that destroys", "[mirror][syncoid]") {
  configs::MirrorJob job;
  job.source = {false, "tank/a"};
  job.target = {true, "vault/a"};
  CHECK(syncoid_argv("syncoid", job, "tank/a", "vault/a") ==
        Argv{"syncoid", "--no-privilege-elevation", "--quiet", "--compress=none", "--no-rollback",
             "tank/a", "root@peer:vault/a"});
  job.rollback = true;
  job.sync_snapshot = false;
  job.identifier = "x";
  job.send_options = "w";
  CHECK(syncoid_argv("syncoid", job, "tank/a", "vault/a") ==
        Argv{"syncoid", "--no-privilege-elevation", "--quiet", "--compress=none", "--no-sync-snap",
             "--identifier=x", "--sendoptions=w", "tank/a", "root@peer:vault/a"});
}

TEST_CASE("a receive is known by its words", "[mirror][orphan]") {
  using namespace std::string_view_literals;
  CHECK(is_receive_into("zfs\0receive\0-s\0-F\0vault/a\0"sv, "vault/a"));
  CHECK(is_receive_into("/usr/sbin/zfs\0recv\0vault/a\0"sv, "vault/a"));
  CHECK_FALSE(is_receive_into("zfs\0receive\0vault/ab\0"sv, "vault/a"));
  CHECK_FALSE(is_receive_into("zfs\0list\0vault/a\0"sv, "vault/a"));
  CHECK_FALSE(is_receive_into("grep\0x\0zfs receive vault/a\0"sv, "vault/a"));
  CHECK_FALSE(is_receive_into(""sv, "vault/a"));
  CHECK(is_zfs_stream("zfs\0send\0tank/a@b\0"sv));
  CHECK_FALSE(is_zfs_stream("zfs\0destroy\0tank/a@b\0"sv));
}

}  // namespace lt::mirror

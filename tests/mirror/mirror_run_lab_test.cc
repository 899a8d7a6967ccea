// `linktune mirror run` over the real link: real Syncoid, agent, daemons and ZFS.
#include <signal.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <thread>

#include "base/json.h"
#include "mirror/run.h"
#include "tests/mirror/mirror_sites.h"

using namespace lt;
using namespace lt::mirror;
using namespace lt::mirror::testing;
using namespace std::chrono_literals;

namespace {

/// The office with a job: `linktune mirror run` in its gateway, beside its ZFS.
struct Office {
  explicit Office(MirrorSites& stage, const std::string& job_lines, const std::string& syncoid = syncoid_program()) : sites(stage) {
    state = require(sites.folder.add("state"));
    jobs = sites.folder.path() + "/jobs.toml";
    require(write_file(jobs,
                       "[mirror]\nwindow = \"4MiB\"\nstate_folder = \"" + state + "\"\nsyncoid = \"" + syncoid + "\"\n\n[[mirror.job]]\nname = \"home\"\n"
                       "source = \"tank/home\"\ntarget = \"peer:tank/backup/home\"\n" + job_lines,
                       0600));
  }
  [[nodiscard]] Argv command(const std::string& verb, const Argv& more = {}) const {
    Argv argv{program, "mirror", verb, "--json", "--config", sites.files.office.config_path, "--jobs", jobs};
    argv.insert(argv.end(), more.begin(), more.end());
    return sites.at_office(argv);
  }
  [[nodiscard]] Json ask(const std::string& verb, const Argv& more = {}) const {
    const auto output = require(run_process(command(verb, more), {.deadline = 90s}));
    INFO(output.out << output.err << sites.log("agent.log"));
    return require(parse_json(output.out, "mirror " + verb));
  }
  [[nodiscard]] std::string meter_path() const { return state + "/run/home.meter"; }

  MirrorSites& sites;
  std::string state;
  std::string jobs;
};

void write_at_office(MirrorSites& sites, std::uint64_t bytes, std::uint64_t seed) {
  require(write_noise(
      sites.zfs.office.seen_from_here(sites.zfs.office.mount_of("tank")) + "/home/file", bytes, seed));
}

}  // namespace

TEST_CASE("a run mirrors over the link, and its status tells the age of the copy",
          "[mirror][lab][netns]") {
  NEEDS_ZFS();
  MirrorSites sites("mirror-run", {"rate=200mbit", "delay=5ms"});
  sites.start_all();
  require(sites.zfs.office.zfs({"create", "tank/home"}));
  write_at_office(sites, 6'000'000, 1);
  Office office(sites, "retries = 2\nretry_wait = \"1s\"\n\n[mirror.verify]\nschedule = \"daily\"\n\n[mirror.drill]\nschedule = \"daily\"\nfiles = 1\n");

  const Json plan = office.ask("plan");
  INFO(to_pretty(plan));
  REQUIRE(plan["jobs"][0]["datasets"].size() == 1);
  CHECK(plan["jobs"][0]["datasets"][0]["need"] == "first");

  const Json report = office.ask("run");
  INFO(to_pretty(report) << sites.log("agent.log"));
  REQUIRE(report["jobs"][0]["outcome"] == "done");
  const Json& dataset = report["jobs"][0]["datasets"][0];
  CHECK(dataset["outcome"] == "mirrored");
  CHECK(dataset["sent_bytes"].get<std::uint64_t>() > 6'000'000);
  CHECK(MirrorSites::hash_of(sites.zfs.offsite, sites.zfs.offsite.mount_of("tank") + "/backup/home/file") ==
        MirrorSites::hash_of(sites.zfs.office, sites.zfs.office.mount_of("tank") + "/home/file"));

  const Json status = office.ask("status");
  INFO(to_pretty(status));
  CHECK(status["jobs"][0]["last_run"]["outcome"] == "done");
  CHECK(status["jobs"][0]["datasets"][0]["is_stale"] == false);
  REQUIRE(status["proofs"].size() == 2);
  CHECK(status["proofs"][0]["result"] == "never");

  // A timer finds the proofs due that never were, and not again the same day; the job has no schedule.
  const Json proven = office.ask("run", {"--due"});
  INFO(to_pretty(proven));
  CHECK(proven["jobs"].empty());
  REQUIRE(proven["proofs"].size() == 2);
  CHECK(proven["proofs"][0]["proof"] == "verify");
  CHECK(proven["proofs"][0]["good"] == true);
  CHECK(proven["proofs"][1]["proof"] == "drill");
  CHECK(proven["proofs"][1]["good"] == true);
  CHECK(office.ask("run", {"--due"})["proofs"].empty());
  CHECK(office.ask("status")["proofs"][1]["result"] == "good");
}

TEST_CASE("a new limit holds in a running transfer within a second, and is never exceeded",
          "[mirror][lab][netns]") {
  NEEDS_ZFS();
  MirrorSites sites("mirror-rate", {"rate=300mbit", "delay=10ms"});
  sites.start_all();
  require(sites.zfs.office.zfs({"create", "tank/home"}));
  write_at_office(sites, 60'000'000, 2);
  // The stream of a run whose rate this test sets through the meter, as the run does by its limits.
  sites.meter->set_rate(BitsPerSecond{20'000'000});
  Child child = require(Child::start({.argv = sites.syncoid("tank/home", "tank/backup/home", {"--quiet"}),
                                      .output_path = sites.folder.path() + "/rate.log"}));
  const auto link_bytes = [&] { return sites.meter->read().link.value; };
  INFO(sites.log("rate.log"));
  REQUIRE(comes_true([&] { return link_bytes() > 1'000'000; }, 60s));
  /// Mean rate, and the highest within 100 ms, over `time`.
  const auto measure = [&](Milliseconds time) {
    std::vector<std::pair<Instant, std::uint64_t>> samples;
    const Instant begin = SteadyClock().now();
    while (SteadyClock().now() - begin < time) {
      samples.emplace_back(SteadyClock().now(), link_bytes());
      std::this_thread::sleep_for(2ms);  // the sampling of a measurement
    }
    double most = 0;
    std::size_t first = 0;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      while (samples[i].first - samples[first].first > 100ms)
        ++first;
      const double span = std::chrono::duration<double>(samples[i].first - samples[first].first).count();
      if (span > 0.095)
        most = std::max(most, static_cast<double>(samples[i].second - samples[first].second) * 8 / span);
    }
    const double span = std::chrono::duration<double>(samples.back().first - samples.front().first).count();
    return std::pair(static_cast<double>(samples.back().second - samples.front().second) * 8 / span, most);
  };
  for (const std::uint64_t rate : {20'000'000U, 60'000'000U, 10'000'000U}) {
    sites.meter->set_rate(BitsPerSecond{rate});
    std::this_thread::sleep_for(1s);  // the second that a change may take
    const auto [mean, most] = measure(3s);
    std::printf("limit %.0f Mbit/s: mean %.2f, highest 100 ms %.2f\n", static_cast<double>(rate) / 1e6,
                mean / 1e6, most / 1e6);
    // How near it comes from below is ZFS's and the machine's; the gate's own share has a unit test.
    CHECK(mean <= 1.02 * static_cast<double>(rate));
    CHECK(mean > 0);
    CHECK(most <= 1.1 * static_cast<double>(rate));  // 1.05 by the gate; the rest is this sampling's
  }
  sites.meter->set_rate(BitsPerSecond{0});
  std::this_thread::sleep_for(1s);
  CHECK(measure(1s).first == 0);
  sites.meter->set_rate(std::nullopt);
  CHECK(child.wait(60s) == 0);

  // What is pulled is paced by the agent, at the rate that this side tells it.
  require(sites.zfs.offsite.zfs({"create", "tank/backup/there"}));
  require(write_noise(sites.zfs.offsite.seen_from_here(sites.zfs.offsite.mount_of("tank")) + "/backup/there/file", 30'000'000, 4));
  require(sites.zfs.offsite.zfs({"snapshot", "tank/backup/there@one"}));
  sites.meter->set_rate(BitsPerSecond{10'000'000});
  const std::uint64_t before = sites.meter->read().received.value;
  Child pull = require(Child::start({.argv = sites.at_office({syncoid_program(), "--compress=none", "--no-privilege-elevation", "--no-sync-snap", "--quiet",
                                                              "root@peer:tank/backup/there", "tank/there"}),
                                     .output_path = sites.folder.path() + "/pull.log"}));
  REQUIRE(comes_true([&] { return sites.meter->read().received.value > before + 1'000'000; }, 60s));
  for (const std::uint64_t rate : {10'000'000U, 40'000'000U}) {
    sites.meter->set_rate(BitsPerSecond{rate});
    std::this_thread::sleep_for(1s);
    const double mean = measure(2s).first;
    std::printf("limit %.0f Mbit/s, pulled: mean %.2f\n", static_cast<double>(rate) / 1e6, mean / 1e6);
    CHECK(mean <= 1.1 * static_cast<double>(rate));  // what arrives late arrives together: the line gives 30 times as much
    CHECK(mean > 0);
  }
  sites.meter->set_rate(std::nullopt);
  CHECK(pull.wait(60s) == 0);
  CHECK(MirrorSites::hash_of(sites.zfs.offsite, sites.zfs.offsite.mount_of("tank") + "/backup/there/file") ==
        MirrorSites::hash_of(sites.zfs.office, sites.zfs.office.mount_of("tank") + "/there/file"));
}

TEST_CASE("a stall is named with its stage within 10 s while a real transfer stands still",
          "[mirror][lab][netns]") {
  NEEDS_ZFS();
  MirrorSites sites("mirror-stall", {"rate=300mbit", "delay=5ms"});
  sites.start_all();
  require(sites.zfs.office.zfs({"create", "tank/home"}));
  write_at_office(sites, 80'000'000, 3);  // more than all buffers on the way together
  sites.meter->set_rate(BitsPerSecond{16'000'000});
  Child child = require(Child::start({.argv = sites.at_office({"setsid", syncoid_program(), "--compress=none", "--quiet",
                                                               "--no-privilege-elevation", "tank/home",
                                                               "root@peer:tank/backup/home"}),
                                      .output_path = sites.folder.path() + "/stall.log"}));
  INFO(sites.log("stall.log") << sites.log("agent.log"));
  REQUIRE(comes_true([&] { return sites.meter->read().received.value > 1'000'000; }, 60s));

  // The `zfs` of a kind, wherever it runs.
  const auto find = [](const std::string& verb) {
    const auto pids = require(run_process({"pgrep", "-x", "-f", "zfs " + verb + " .*"}));
    const auto first = parse_u64(trim(split(pids.out, '\n').front()));
    REQUIRE(first);
    return static_cast<int>(*first);
  };
  const int sending = find("send");
  const int receiving = find("receive");
  const auto verdict = [&] {
    StallWatch watch;
    const Instant begin = SteadyClock().now();
    while (SteadyClock().now() - begin < 20s) {
      const Instant now = SteadyClock().now();
      StallSample sample{.reading = sites.meter->read()};
      if (::kill(sending, 0) == 0) sample.own_wait = child_wait_of(sending);
      if (const auto stall = watch.update(sample, now)) {
        std::printf("stall: %s after %.1f s\n", std::string(name_of(stall->stage)).c_str(),
                    std::chrono::duration<double>(now - begin).count());
        CHECK(now - begin <= 10s + 3s);  // the buffers on the way drain or fill first
        return stall->stage;
      }
      std::this_thread::sleep_for(200ms);  // the sampling of a watch
    }
    FAIL("no verdict within 20 s");
    return Stage::link;
  };
  ::kill(sending, SIGSTOP);
  sites.meter->set_rate(std::nullopt);  // empties what is behind the send
  CHECK(name_of(verdict()) == "send");
  ::kill(receiving, SIGSTOP);
  ::kill(sending, SIGCONT);  // fills what is before the receive
  CHECK(name_of(verdict()) == "receive");
  ::kill(receiving, SIGCONT);
  child.end(1s);
}

TEST_CASE("a run names the disk or the link at which a real transfer stands still, and begins anew with its agent",
          "[mirror][lab][netns]") {
  NEEDS_ZFS();
  MirrorSites sites("mirror-still", {"rate=300mbit", "delay=5ms"});
  sites.start_all();
  require(sites.zfs.office.zfs({"create", "tank/home"}));
  write_at_office(sites, 90'000'000, 3);  // more than flows in all scenes
  // Buffers of a megabyte: what lies in them flows on before a transfer stands still.
  const std::string syncoid = sites.folder.path() + "/syncoid";
  require(write_file(syncoid, "#!/bin/sh\nexec " + syncoid_program() + " --mbuffer-size=1M \"$@\"\n", 0755));
  Office office(sites, "yields = false\nlimits = [\"otherwise 60Mbit/s\"]\n", syncoid);
  Child run = require(Child::start({.argv = office.command("run"), .output_path = sites.folder.path() + "/run.log"}));
  const auto received = [&]() -> std::uint64_t {
    const auto meter = Meter::open(office.meter_path());
    return meter ? meter->read().received.value : 0;
  };
  const auto flows_on = [&] {
    const std::uint64_t before = received();
    return comes_true([&] { return received() > before + 1'000'000; }, 60s);
  };
  INFO(sites.log("run.log") << sites.log("agent.log"));
  REQUIRE(flows_on());

  struct Scene {
    const char* stage;
    const char* word;  // as the log has it
    std::function<void()> strike;
    std::function<void()> mend;
  };
  const std::vector<Scene> scenes{
      {"source disk", "\"source disk\" ", [&] { sites.zfs.office.hang(); }, [&] { sites.zfs.office.let_go(); }},
      {"link", "link ", [&] { require(sites.sandbox.set_wan(lab::all_directions, {"blackout=on"})); },
       [&] { require(sites.sandbox.set_wan(lab::all_directions, {"blackout=off"})); }},
      {"target disk", "\"target disk\" ", [&] { sites.zfs.offsite.hang(); }, [&] { sites.zfs.offsite.let_go(); }}};
  for (const Scene& scene : scenes) {
    INFO(scene.stage);
    const std::size_t told = sites.log("run.log").size();
    const auto verdict = [&] {
      const std::string log = sites.log("run.log").substr(told);
      const auto line = log.find("stalled");
      const auto end = log.find('\n', line);
      return line == log.npos || end == log.npos ? std::string() : log.substr(line, end - line);
    };
    const Instant begin = SteadyClock().now();
    scene.strike();
    const bool is_told = comes_true([&] { return !verdict().empty(); }, 30s);
    const double seconds = std::chrono::duration<double>(SteadyClock().now() - begin).count();
    scene.mend();
    std::printf("stall of %s: %.1f s, %s\n", scene.stage, seconds, verdict().c_str());
    INFO(sites.log("run.log") << sites.log("agent.log"));
    REQUIRE(is_told);
    CHECK(verdict().find("stage=" + std::string(scene.word)) != std::string::npos);
    REQUIRE(flows_on());
  }

  // An agent that is started anew has lost the stream: it is sent again at once, whatever the back-off.
  sites.agent.end(10s);
  sites.start_agent();
  CHECK(comes_true([&] { return sites.log("run.log").find("the agent was restarted") != std::string::npos; }, 30s));
  CHECK(sites.log("run.log").find("again_in=0s") != std::string::npos);
  CHECK(flows_on());
  run.end(10s);
}

// Sweeps between two gateways, beside the link: what is measured, what is refused and how it is named, what bad luck
// counts as, and settings that are applied on trial. One scene stands for several tests in a row, since to build it takes
// longer than most of them.
#include "base/defer.h"
#include "tests/app/gateway_hosts.h"

using namespace lt;
using namespace lt::app;
using namespace lt::app::test;

namespace {

std::size_t count_of(const std::string& text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// Argv with `openvpn` being another file, for the program and what it starts.
Argv with_openvpn_as(const std::string& file, const Argv& argv) {
  const auto openvpn = find_program("openvpn");
  REQUIRE(openvpn);
  Argv inside{"unshare", "--mount", "sh", "-c", R"(mount --bind "$1" "$2" && shift 2 && exec "$@")", "sh", file, *openvpn};
  inside.insert(inside.end(), argv.begin(), argv.end());
  return inside;
}

void measures_and_leaves_nothing(Hosts& hosts) {
  const std::string before = hosts.settled();
  const std::string journal = hosts.folder.path() + "/whole.jsonl";
  auto sweep = require(Child::start({.argv = hosts.ranking_argv(journal, {"native mtu=9000", "openvpn proto=tcp"}), .output_path = hosts.folder.path() + "/report.json"}));

  // The asked owner sees it, and people's traffic goes on.
  CHECK(comes_true([&] { return hosts.status_text(lab::Host::office_gw).find("a sweep of offsite tries native mtu=9000, until 20") != std::string::npos; }, 60s));
  CHECK(hosts.ping(offsite_v4));
  const auto ended = sweep.wait(90s);
  const std::string report = read(hosts.folder.path() + "/report.json");
  INFO(report << hosts.log("office-agent.log"));
  REQUIRE(ended);
  CHECK((*ended == 0 || *ended == 5));
  const std::string written = read(journal);
  INFO(written);
  CHECK(count_of(written, "\"status\":\"measured\"") == 3);
  CHECK(comes_true([&] { return hosts.is_as(before); }, 10s));
  CHECK(difference(before, hosts.present()) == "");
  CHECK(hosts.status_text(lab::Host::office_gw).find("a sweep of") == std::string::npos);
  const std::string log = hosts.log("office-agent.log");
  for (const char* event : {"sweep_lease who=offsite until=", "sweep_trial who=offsite what=\"native mtu=9000\"", "sweep_over who=offsite"}) {
    CHECK_THAT(log, Catch::Contains(event));
  }
}

void names_a_second_sweep(Hosts& hosts) {
  const std::string journal = hosts.folder.path() + "/second";
  const std::size_t trials = count_of(hosts.log("office-agent.log"), "sweep_trial");
  auto first = require(Child::start({.argv = hosts.ranking_argv(journal + "0", {"native"}, "3"), .output_path = journal + ".log"}));
  REQUIRE(comes_true([&] { return count_of(hosts.log("office-agent.log"), "sweep_trial") > trials; }, 20s));
  const auto second = require(run_process(hosts.ranking_argv(journal + "1", {"native"}), {.deadline = 30s}));
  CHECK(second.exit_code == 1);
  CHECK_THAT(second.out + second.err, Catch::Contains("runs already"));
  // Ended by a signal it undoes what it did, and says how to go on.
  CHECK(first.end(20s) == 1);
  CHECK_THAT(read(journal + ".log"), Catch::Contains("linktune sweep --resume " + journal + "0"));
}

void counts_a_busy_port_as_the_bench_s_failure(Hosts& hosts) {
  const std::string journal = hosts.folder.path() + "/busy.jsonl";
  auto holder = require(Child::start({.argv = hosts.sandbox.exec(lab::Host::office_gw, {"iperf3", "-s", "-p", "5298"}), .output_path = ""}));
  REQUIRE(comes_true([&] {
    return require(run_checked(hosts.sandbox.exec(lab::Host::office_gw, {"ss", "-ltnH"}))).find(":5298") != std::string::npos;
  }, 5s));
  const auto busy = require(run_process(hosts.ranking_argv(journal, {"native"}), {.deadline = 60s}));
  INFO(busy.out << busy.err);
  const std::string written = read(journal);
  INFO(written);
  CHECK_THAT(written, Catch::Contains("is taken by another program"));
  CHECK(count_of(written, "\"status\":\"harness_failed\",\"attempts\":2") == 2);
  CHECK(count_of(written, "arm_failed") == 0);
  CHECK(busy.exit_code == 5);
  holder.end(2s);
}

// The journal's disk has room for the beginning of a sweep.
void stops_cleanly_when_the_disk_is_full(Hosts& hosts) {
  const std::string before = hosts.settled();
  const std::string small = hosts.folder.path() + "/small";
  std::filesystem::create_directory(small);
  require(run_checked({"mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", small}));
  LT_DEFER(static_cast<void>(run_process({"umount", "--lazy", small})));
  const auto full = require(run_process(hosts.ranking_argv(small + "/j", {"native"}, "2"), {.deadline = 90s}));
  INFO(full.out << full.err);
  CHECK(full.exit_code == 1);
  CHECK_THAT(full.out + full.err, Catch::Contains("space left"));
  CHECK_THAT(full.out + full.err, Catch::Contains("linktune sweep --resume " + small + "/j"));
  CHECK(comes_true([&] { return hosts.is_as(before); }, 10s));
  require(run_checked({"mount", "-o", "remount,size=1m", small}));
  Argv on{program, "sweep", "--json", "--resume", small + "/j", "--config", hosts.files.offsite.config_path, "--run-dir", hosts.folder.path()};
  const auto resumed = require(run_process(hosts.sandbox.exec(lab::Host::offsite_gw, on), {.deadline = 90s}));
  INFO(resumed.out << resumed.err);
  CHECK((resumed.exit_code == 0 || resumed.exit_code == 5));
  CHECK(Json::parse(resumed.out)["blocks_done"] == 2);
}

void names_an_openvpn_that_cannot_be_tried(Hosts& hosts) {
  hosts.office_agent.end(10s);
  const std::string journal = hosts.folder.path() + "/old";
  const std::string fake = hosts.folder.path() + "/openvpn";
  struct Case {
    std::string content;
    unsigned mode;
    std::string told;
  };
  for (const Case& row : {Case{"", 0600, "openvpn is not installed at office"},
                          Case{"#!/bin/sh\necho OpenVPN 2.3.18 x86_64-pc-linux-gnu\n", 0755, "OpenVPN 2.3.18 at office is too old"}}) {
    std::filesystem::remove(fake);
    require(write_file(fake, row.content, row.mode));
    hosts.office_agent = hosts.start_agent(lab::Host::office_gw, [&](const Argv& argv) { return with_openvpn_as(fake, argv); });
    const auto refused = require(run_process(hosts.ranking_argv(journal, {"openvpn proto=udp"}), {.deadline = 30s}));
    CHECK(refused.exit_code == 1);
    CHECK_THAT(refused.out + refused.err, Catch::Contains(row.told) && Catch::Contains("--no-openvpn"));
    CHECK_FALSE(std::filesystem::exists(journal));
    hosts.office_agent.end(10s);
  }
}

void names_a_missing_agent(const Hosts& hosts) {
  const auto alone = require(run_process(hosts.ranking_argv(hosts.folder.path() + "/alone", {"native"}), {.deadline = 30s}));
  CHECK(alone.exit_code == 4);
  CHECK_THAT(alone.out + alone.err, Catch::Contains("no sweep agent answers"));
}

void is_refused_by_who_does_not_allow_it(Hosts& hosts) {
  const std::string path = hosts.config_of(lab::Host::office_gw);
  const std::string allowed = read(path);
  std::string text = allowed;
  require(write_file(path, text.replace(text.find("allow = true"), 12, "allow = false"), 0644));
  hosts.office_agent = hosts.start_agent(lab::Host::office_gw);
  const auto refused = require(run_process(hosts.ranking_argv(hosts.folder.path() + "/refused", {"native"}), {.deadline = 30s}));
  CHECK(refused.exit_code == 1);
  CHECK_THAT(refused.out + refused.err, Catch::Contains("write allow = true below [sweep]"));
  CHECK_THAT(hosts.log("office-agent.log"), Catch::Contains("sweep_refused"));
  require(write_file(path, allowed, 0644));
  hosts.office_agent.end(10s);
}

// Shorter than a lease, longer than a path under test may be silent.
void counts_a_dropped_line_as_the_bench_s_failure(Hosts& hosts) {
  const std::string journal = hosts.folder.path() + "/dropped.jsonl";
  auto sweep = require(Child::start({.argv = hosts.sweep_argv(journal, {"--seed", "7", "--blocks", "1", "--seconds", "4", "--omit", "0", "--arm", "native mtu=9000"}),
                                     .output_path = journal + ".log"}));
  REQUIRE(comes_true([&] { return hosts.received_by_trial(lab::Host::office_gw).value_or(0) > 1'000'000; }, 60s));
  require(hosts.sandbox.set_wan(lab::all_directions, {"blackout=on"}));
  const bool is_told = comes_true([&] { return read(journal + ".log").find("dropped during the trial") != std::string::npos; }, 20s);
  require(hosts.sandbox.set_wan(lab::all_directions, {"blackout=off"}));
  CHECK(is_told);
  const auto ended = sweep.wait(90s);
  INFO(read(journal + ".log") << read(journal) << hosts.log("office-agent.log"));
  REQUIRE(ended);
  CHECK(count_of(read(journal), "arm_failed") == 0);
  hosts.wait_until_up();
}

}  // namespace

TEST_CASE("a sweep between two gateways measures beside the link and leaves nothing, and whatever hinders one is named", "[app][hosts][netns]") {
  Hosts hosts;
  hosts.start_agents();
  const std::string before = hosts.settled();
  measures_and_leaves_nothing(hosts);
  if (is_complete) {
    names_a_second_sweep(hosts);
    counts_a_busy_port_as_the_bench_s_failure(hosts);
    stops_cleanly_when_the_disk_is_full(hosts);
    counts_a_dropped_line_as_the_bench_s_failure(hosts);
  } else {
    WARN("a second sweep, a busy port, a full disk and a dropped line are tried with LINKTUNE_COMPLETE=1: a minute");
  }
  names_an_openvpn_that_cannot_be_tried(hosts);
  names_a_missing_agent(hosts);
  is_refused_by_who_does_not_allow_it(hosts);
  CHECK(comes_true([&] { return hosts.is_as(before); }, 10s));
  CHECK(difference(before, hosts.present()) == "");
}

namespace {

// As an owner who keeps configs elsewhere has it.
void put_a_link_in_the_place_of(const std::string& path) {
  std::filesystem::rename(path, path + ".kept");
  std::filesystem::create_symlink(path + ".kept", path);
}

void stay_when_confirmed_and_go_by_rollback(Hosts& hosts) {
  put_a_link_in_the_place_of(hosts.files.office.config_path);
  const std::string office = read(hosts.files.office.config_path);
  const std::string offsite = read(hosts.files.offsite.config_path);
  const auto applied = hosts.applied(lab::Host::offsite_gw, "apply", {"--arm", "native mtu=9000", "--within", "60"});
  INFO(applied.out << applied.err << hosts.log("office-agent.log"));
  REQUIRE(applied.exit_code == 0);
  const auto confirmed = hosts.applied(lab::Host::offsite_gw, "confirm");
  INFO(confirmed.out << confirmed.err);
  CHECK(confirmed.exit_code == 0);
  for (const std::string& path : {hosts.files.office.config_path, hosts.files.offsite.config_path}) {
    CHECK(read(path).find("mtu = 9000") != std::string::npos);
    CHECK(read(path).find("allow = true") != std::string::npos);
  }
  CHECK(std::filesystem::is_symlink(hosts.files.office.config_path));
  CHECK(hosts.status("office")["tunnel_mtu_bytes"].get<int>() == 9000);
  CHECK(read(hosts.state_of_site(lab::Host::office_gw) + "/office.link.log").find("started") != std::string::npos);
  // The time is over, and it stays.
  CHECK(hosts.applied(lab::Host::offsite_gw, "confirm").exit_code == 1);
  const auto back = hosts.applied(lab::Host::offsite_gw, "rollback");
  INFO(back.out << back.err);
  CHECK(back.exit_code == 0);
  CHECK(comes_true([&] { return read(hosts.files.office.config_path) == office && read(hosts.files.offsite.config_path) == offsite; }, 30s));
  for (const char* site : {"office", "offsite"}) {
    CHECK(comes_true([&] { return hosts.state(site) == "up" && hosts.status(site)["tunnel_mtu_bytes"] == 1500; }, 30s));
  }
}

void go_back_by_themselves_when_the_link_breaks(Hosts& hosts) {
  const std::string office = read(hosts.files.office.config_path);
  const std::string offsite = read(hosts.files.offsite.config_path);
  auto command = require(Child::start({.argv = hosts.applied_argv(lab::Host::offsite_gw, "apply", {"--arm", "native mtu=9000", "--within", "10"}),
                                       .output_path = hosts.folder.path() + "/apply.log"}));
  REQUIRE(comes_true([&] { return read(hosts.files.office.config_path) != office && read(hosts.files.offsite.config_path) != offsite; }, 20s));
  // The line is gone from here on: no confirmation can come.
  require(hosts.sandbox.set_wan(lab::all_directions, {"blackout=on"}));
  command.signal(SIGKILL);
  hosts.office_agent.signal(SIGKILL);
  const auto began = std::chrono::steady_clock::now();
  CHECK(comes_true([&] { return read(hosts.files.office.config_path) == office && read(hosts.files.offsite.config_path) == offsite; }, 40s));
  WARN("back after " << std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began).count() << " ms, of 10 s to confirm");
  require(hosts.sandbox.set_wan(lab::all_directions, {"blackout=off"}));
  CHECK(comes_true([&] { return hosts.state("office") == "up" && hosts.state("offsite") == "up"; }, 40s));
}

}  // namespace

TEST_CASE("settings on trial stay at both sites when confirmed, go by rollback, and go by themselves when they break the link, whoever is killed", "[app][hosts][apply][netns]") {
  Hosts hosts;
  hosts.start_agents();
  stay_when_confirmed_and_go_by_rollback(hosts);
  go_back_by_themselves_when_the_link_breaks(hosts);
  hosts.stop_links();
}

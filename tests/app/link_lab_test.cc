// Both daemons as users run them, in a lab: what they carry, what they survive, what they refuse, what they leave.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "app/iperf3.h"
#include "tests/app/link_sites.h"

using namespace lt;
using namespace lt::app;
using namespace lt::app::test;

TEST_CASE("two sites join, carry both families between their LANs, and leave the machine as it was", "[app][link][netns]") {
  Sites sites;
  const std::string office_before = sites.network_of(lab::Host::office_gw);
  const std::string offsite_before = sites.network_of(lab::Host::offsite_gw);
  sites.start_both();
  sites.wait_until_up();
  CHECK(sites.ping(offsite_v4));
  CHECK(comes_true([&] { return sites.ping(offsite_v6); }, 5s));  // IPv6 addresses of a new lab are tentative at first
  const auto server = require(Iperf3Server::start(sites.sandbox, lab::Host::offsite_lan));
  const auto moved = require(run_iperf3(sites.sandbox, lab::Host::office_lan, *IpAddress::parse(offsite_v4), {.seconds = 1, .omit_seconds = 0}));
  CHECK(moved.received.value > 1'000'000);

  const auto began = std::chrono::steady_clock::now();
  CHECK(sites.office.end(5s) == 0);
  CHECK(sites.offsite.end(5s) == 0);
  CHECK(std::chrono::steady_clock::now() - began < 5s);
  CHECK(sites.network_of(lab::Host::office_gw) == office_before);
  CHECK(sites.network_of(lab::Host::offsite_gw) == offsite_before);
}

TEST_CASE("a path that drops large packets and tells nobody carries full-size traffic all the same", "[app][link][netns][P-79]") {
  Sites sites;
  require(sites.sandbox.set_wan(lab::all_directions, {"mtu=1492", "icmp=drop"}));
  sites.start_both();
  REQUIRE(comes_true([&] { return sites.state("office") == "up" && sites.state("offsite") == "up"; }, 30s));
  CHECK(sites.status("offsite")["segment_bytes_max"] == 1340);
  CHECK(sites.log("offsite.log").find("path_narrow") != std::string::npos);
  const auto server = require(Iperf3Server::start(sites.sandbox, lab::Host::offsite_lan));
  const auto moved = require(run_iperf3(sites.sandbox, lab::Host::office_lan, *IpAddress::parse(offsite_v4),
                                        {.seconds = 1, .omit_seconds = 0, .both_ways = true}));
  CHECK(moved.goodput.value > 100'000'000);
  CHECK(moved.goodput_back.value > 100'000'000);
}

TEST_CASE("status says that the path loses packets, while cubic carries it, and says nothing of a sound one", "[app][link][netns]") {
  Sites sites;
  sites.start_both();
  sites.wait_until_up();
  const auto server = require(Iperf3Server::start(sites.sandbox, lab::Host::offsite_lan));
  const auto status_text = [&] {
    require(run_iperf3(sites.sandbox, lab::Host::office_lan, *IpAddress::parse(offsite_v4), {.seconds = 2, .omit_seconds = 0}));
    return require(run_process(sites.sandbox.exec(lab::Host::office_gw, {program, "status", "--site", "office", "--run-dir", sites.folder.path()}))).out;
  };
  const std::string of_sound = status_text();
  INFO(of_sound);
  CHECK(of_sound.find("loses packets") == std::string::npos);
  require(sites.sandbox.set_wan(lab::all_directions, {"loss=3%"}));
  std::string of_lossy;
  for (int turn = 0; turn < 10 && of_lossy.find("loses packets") == std::string::npos; ++turn) of_lossy = status_text();
  INFO(of_lossy);
  CHECK(of_lossy.find("congestion_control = \"bbr\"") != std::string::npos);
}

TEST_CASE("status names what packets were dropped for", "[app][link][netns]") {
  Sites sites;
  sites.start_both();
  sites.wait_until_up();
  require(run_checked(sites.sandbox.exec(lab::Host::office_lan, {"ip", "addr", "add", "203.0.113.77/32", "dev", "lo"})));
  require(run_process(sites.sandbox.exec(lab::Host::office_lan, {"ping", "-n", "-q", "-c", "3", "-i", "0.2", "-W", "1", "-I", "203.0.113.77", offsite_v4})));
  const auto status = require(run_process(sites.sandbox.exec(lab::Host::office_gw, {program, "status", "--site", "office", "--run-dir", sites.folder.path()})));
  INFO(status.out << status.err);
  CHECK(status.out.find(" dropped (source_not_allowed ") != std::string::npos);
  CHECK(status.out.find(" 0 dropped\n") != std::string::npos);  // of the other direction there is nothing to name
}

namespace {

// How often lanes of a site have ended, for whatever reason.
unsigned lanes_ended(const Json& ends) {
  unsigned count = 0;
  for (const auto& each : ends) count += each.get<unsigned>();
  return count;
}

}  // namespace

TEST_CASE("an inner TCP connection outlives kill -9 of a daemon", "[app][link][netns]") {
  Sites sites;
  sites.start_both();
  sites.wait_until_up();
  const auto server = require(Iperf3Server::start(sites.sandbox, lab::Host::offsite_lan));
  auto transfer = require(Child::start({.argv = sites.sandbox.exec(lab::Host::office_lan, {"iperf3", "-c", offsite_v4, "-t", "7", "-C", "cubic", "-J"}),
                                        .output_path = sites.folder.path() + "/iperf.json"}));
  const auto carried = [&] { return sites.status("office")["outbound"]["packet_bytes"].get<std::uint64_t>(); };
  REQUIRE(comes_true([&] { return carried() > 1'000'000; }, 10s));
  sites.offsite.signal(SIGKILL);
  REQUIRE(sites.offsite.wait(5s));
  sites.offsite = sites.start(lab::Host::offsite_gw, sites.files.offsite.config_path, "offsite.log");
  sites.wait_until_up();
  const auto ended = transfer.wait(30s);
  REQUIRE(ended);
  CHECK(*ended == 0);
  CHECK(parse_iperf3(sites.log("iperf.json")));
  CHECK(sites.status("office")["sessions"].get<int>() == 2);
  // Bulk and express. The kernel may take its time to close what a killed daemon had in io_uring: where the fresh session
  // is faster, it replaces the lane (P-22).
  const Json ends = sites.status("office")["session_ends"];
  INFO(ends.dump());
  CHECK(ends.value("closed", 0U) + ends.value("local_stop", 0U) == 2);
  CHECK(lanes_ended(ends) == 2);
}

TEST_CASE("a peer that comes back replaces the session whose end was never heard", "[app][link][netns][P-22]") {
  Sites sites;
  sites.start_both();
  sites.wait_until_up();
  const auto filter = [&](const Argv& words) {
    Argv argv{"nft"};
    argv.insert(argv.end(), words.begin(), words.end());
    require(run_checked(sites.sandbox.exec(lab::Host::offsite_gw, argv)));
  };
  // As when the power goes: no FIN, no reset.
  filter({"add", "table", "inet", "silence"});
  filter({"add", "chain", "inet", "silence", "out", "{ type filter hook output priority 0 ; }"});
  filter({"add", "rule", "inet", "silence", "out", "tcp", "flags", "&", "(fin|rst)", "!=", "0", "drop"});
  sites.offsite.signal(SIGKILL);
  REQUIRE(sites.offsite.wait(5s));
  sites.offsite = sites.start(lab::Host::offsite_gw, sites.files.offsite.config_path, "offsite.log");
  REQUIRE(comes_true([&] { return sites.state("offsite") == "up" && sites.status("office")["sessions"] == 2; }, 15s));
  CHECK(comes_true([&] { return lanes_ended(sites.status("office")["session_ends"]) == 2; }, 10s));
  const Json ends = sites.status("office")["session_ends"];
  INFO(ends.dump());
  CHECK(ends.value("local_stop", 0U) == 2);
  CHECK(sites.ping(offsite_v4));
}

TEST_CASE("status says up only while full-size payload passes, and the link comes back by itself", "[app][link][netns][P-63]") {
  Sites sites;
  sites.start_both();
  sites.wait_until_up();
  require(sites.sandbox.set_wan(lab::all_directions, {"blackout=on"}));
  CHECK(comes_true([&] { return sites.state("office") != "up" && sites.state("offsite") != "up"; }, 5s));
  CHECK(comes_true([&] { return sites.status("office")["session_ends"].contains("dead"); }, 10s));
  CHECK_FALSE(sites.ping(offsite_v4));
  require(sites.sandbox.set_wan(lab::all_directions, {"blackout=off"}));
  CHECK(comes_true([&] { return sites.state("office") == "up" && sites.state("offsite") == "up"; }, 15s));
  CHECK(sites.ping(offsite_v4));
}

TEST_CASE("one direction dead is a link that is not up", "[app][link][netns][P-63]") {
  Sites sites;
  sites.start_both();
  sites.wait_until_up();
  require(sites.sandbox.set_wan(lab::Direction::to_office, [] {
    lab::WanSettings settings;
    settings.blackout = true;
    return settings;
  }()));
  CHECK(comes_true([&] { return sites.state("office") != "up" && sites.state("offsite") != "up"; }, 6s));
}

TEST_CASE("a second daemon of the same link is refused and the first is unhurt", "[app][link][netns]") {
  Sites sites;
  sites.start_both();
  sites.wait_until_up();
  auto second = sites.start(lab::Host::office_gw, sites.files.office.config_path, "second.log");
  const auto ended = second.wait(10s);
  REQUIRE(ended);
  CHECK(*ended == 1);
  CHECK(sites.log("second.log").find("up already") != std::string::npos);
  CHECK(sites.state("office") == "up");
  CHECK(sites.ping(offsite_v4));
}

TEST_CASE("a site with another key is refused by name, and no byte reaches the LAN", "[app][link][netns][P-7]") {
  Sites sites;
  // The off-site gateway gets a key of its own making; the office still expects the old one.
  const std::string key = sites.files.offsite.key_path;
  std::filesystem::remove(key);
  const std::string public_key = require(keygen(key));
  std::string config = require(read_file(sites.files.offsite.config_path, 1 << 16));
  const auto at = config.find(sites.files.offsite.public_key);
  REQUIRE(at != std::string::npos);
  config.replace(at, sites.files.offsite.public_key.size(), public_key);
  require(write_file(sites.files.offsite.config_path, config, 0600));

  sites.start_both();
  REQUIRE(comes_true([&] { return sites.log("office.log").find("handshake_failed") != std::string::npos; }, 10s));
  CHECK(sites.log("office.log").find(public_key) != std::string::npos);
  CHECK(comes_true([&] { return sites.log("offsite.log").find("handshake_failed") != std::string::npos; }, 10s));
  CHECK(sites.state("office") == "listening");
  CHECK(sites.state("offsite") == "connecting");
  CHECK_FALSE(sites.ping(offsite_v4));
  CHECK(sites.status("office")["inbound"]["packets"] == 0);
}

TEST_CASE("linktune down ends a link and says when there is none", "[app][link][netns]") {
  Sites sites;
  sites.start_both();
  sites.wait_until_up();
  const Argv down{program, "down", "--site", "office", "--run-dir", sites.folder.path()};
  CHECK(require(run_process(down)).exit_code == 0);
  CHECK(sites.office.wait(5s) == 0);
  const auto again = require(run_process(down));
  CHECK(again.exit_code == 1);
  CHECK(again.err.find("no link answers") != std::string::npos);
}

TEST_CASE("either I/O port, either AEAD backend and plain packets carry the same traffic", "[app][link][netns]") {
  const std::string setting = GENERATE(values<std::string>({"native.io=epoll", "native.aead=openssl", "native.offload=off", "native.mtu=9000", "native.congestion_control=reno"}));
  INFO(setting);
  Sites sites;
  sites.office = sites.start(lab::Host::office_gw, sites.files.office.config_path, "office.log", {"--set", setting});
  sites.offsite = sites.start(lab::Host::offsite_gw, sites.files.offsite.config_path, "offsite.log");
  sites.wait_until_up();
  if (setting == "native.aead=openssl") CHECK(sites.status("office")["aead"] == "openssl");
  const auto server = require(Iperf3Server::start(sites.sandbox, lab::Host::offsite_lan));
  for (const std::string& target : {offsite_v4, offsite_v6}) {
    CHECK(run_iperf3(sites.sandbox, lab::Host::office_lan, *IpAddress::parse(target), {.seconds = 1, .omit_seconds = 0}));
  }
}

namespace {

// The median of a packet's round trip from LAN to LAN beside one flow that fills the line, bulk as that flow is (unit: us).
double wait_beside_bulk(const std::string& flow_queues) {
  Sites sites("dsl");
  sites.office = sites.start(lab::Host::office_gw, sites.files.office.config_path, "office.log", {"--set", "native.flow_queues=" + flow_queues});
  sites.offsite = sites.start(lab::Host::offsite_gw, sites.files.offsite.config_path, "offsite.log");
  sites.wait_until_up();
  const std::string control = "unix:" + sites.folder.path() + "/probe";
  const auto server = require(Child::start({.argv = sites.sandbox.exec(lab::Host::offsite_lan, {program, "probe", "--serve", "--control", control, "--open", "--once"})}));
  REQUIRE(comes_true([&] { return std::filesystem::exists(sites.folder.path() + "/probe"); }, 5s));
  const auto result = require(run_process(sites.sandbox.exec(lab::Host::office_lan, {program, "probe", "--control", control, "--data", offsite_v4, "--seconds", "4", "--omit", "3", "--json"})));
  INFO(result.out << result.err);
  REQUIRE(result.exit_code == 0);
  return Json::parse(result.out).at("loaded").at("latency").at("us_p50").get<double>();
}

}  // namespace

TEST_CASE("a packet does not wait for another flow's backlog, but where flows share one queue", "[app][link][netns][flow-turns]") {
  const double shared = wait_beside_bulk("1");
  const double apart = wait_beside_bulk("64");
  CAPTURE(shared, apart);
  CHECK(apart < shared / 2);
}

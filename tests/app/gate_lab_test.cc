// The gate and the physics in a lab, with the OpenVPN that is installed: what works passes, each planted fault is
// caught, and the boundaries of tun-mtu are found by sending and not by a table.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <iostream>

#include "app/lab_bench.h"
#include "lab/netns.h"
#include "tests/app/link_sites.h"
#include "tuner/largest_mtu.h"
#include "tuner/line_survey.h"
#include "tuner/space.h"

using namespace lt;
using namespace lt::app;
using namespace lt::app::test;

namespace {

// A lab with a bench on it, quick enough for a test.
struct Stage {
  explicit Stage(const std::string& profile, const std::vector<std::string>& words = {}, bool with_openvpn = true)
      : sandbox(require(lab::Sandbox::build({.name = "gate", .profile = profile, .settings = words, .seed = seed}))),
        bench(require(LabBench::create(sandbox, profile, with_openvpn))) {
    bench->watch_for(800ms);
  }

  tuner::GateOutcome gate_of(const std::string& text) {
    const auto started = require(bench->prepare(require(tuner::parse_arm(text)), {}));
    if (started.failure) FAIL(text << " did not start: " << started.failure->text());
    auto outcome = require(bench->gate({}));
    require(bench->dismantle());
    return outcome;
  }

  // Physics of short loads: what is asked of them here is not how fast the line is.
  tuner::Physics physics() {
    tuner::Physics found;
    tuner::BareSegments segments;
    const auto client = require(bench->probe_client());
    require(lab::run_inside(sandbox.topology().namespace_of(lab::Host::office_gw), [&]() -> Status {
      LT_TRY(found, tuner::survey_line({.client = client,
                                        .data = sandbox.topology().offsite.wan_v4.address,
                                        .duration = 500ms,
                                        .omit = 200ms,
                                        .flows = 1},
                                       segments, {}));
      return {};
    }));
    return found;
  }

  lab::Sandbox sandbox;
  std::unique_ptr<LabBench> bench;
};

// Everything, however long it takes.
bool is_complete() {
  const char* const said = std::getenv("LINKTUNE_COMPLETE");
  return said != nullptr && std::string_view(said) == "1";
}

tuner::GateVerdict verdict_of(const tuner::GateOutcome& outcome, std::string_view name) {
  for (const tuner::GateCheck& check : outcome.checks)
    if (check.name == name) return check.verdict;
  return tuner::GateVerdict::skipped;
}

std::string text_of(const tuner::GateOutcome& outcome) { return to_line(tuner::to_json(outcome)); }

// OpenVPN's files with another tun-mtu than the knob table allows, started with no more than small packets.
OpenVpnPair start_beyond_the_table(Stage& stage, const std::string& folder, configs::OpenVpnKnobs knobs, std::uint32_t tun_mtu) {
  const std::string clients = folder + "/clients";
  auto files = require(write_lab_pair(stage.sandbox.topology(), stage.bench->openvpn_keys(), knobs,
                                      stage.bench->openvpn_version(), clients));
  const std::string said = "tun-mtu " + std::to_string(knobs.tun_mtu);
  for (std::string* file : {&files.server, &files.client}) {
    const auto at = file->find(said);
    REQUIRE(at != std::string::npos);
    file->replace(at, said.size(), "tun-mtu " + std::to_string(tun_mtu));
  }
  std::filesystem::create_directory(clients);
  require(write_file(clients + "/offsite", *files.client_config, 0600));
  require(write_file(folder + "/server.conf", files.server, 0600));
  require(write_file(folder + "/client.conf", files.client, 0600));
  return require(OpenVpnPair::start(stage.sandbox, {.server_file = folder + "/server.conf",
                                                    .client_file = folder + "/client.conf",
                                                    .log_folder = folder,
                                                    .tun_mtu = 1'000}));
}

}  // namespace

TEST_CASE("the pairs that are written for several arms start and carry full-size traffic both ways", "[app][gate][netns]") {
  Stage stage("raw");
  std::vector<std::string> arms{"openvpn proto=udp",
                                "openvpn proto=tcp tun_mtu=9000 mssfix=0 txqueuelen=100 tcp_queue_limit=1024 tcp_nodelay=on"};
  const std::vector<std::string> more{"openvpn proto=udp tun_mtu=1448 mssfix=0",
                                      "openvpn proto=udp fragment=1472 mssfix=1472",
                                      "openvpn proto=tcp",
                                      "openvpn proto=tcp tun_mtu=48000 mssfix=0",
                                      "openvpn proto=tcp mode=p2p tun_mtu=9000 mssfix=0",
                                      "openvpn proto=udp cipher=CHACHA20-POLY1305 sndbuf=1MiB rcvbuf=1MiB"};
  if (is_complete()) arms.insert(arms.end(), more.begin(), more.end());
  std::cout << arms.size() << " pairs of " << 2 + more.size() << " (all with LINKTUNE_COMPLETE=1)\n";
  for (const std::string& arm : arms) {
    const auto outcome = stage.gate_of(arm);
    CAPTURE(arm, text_of(outcome));
    CHECK_FALSE(outcome.failure);
    for (const char* check : {"full_size", "udp_sizes", "black_hole", "stall", "reassembly"})
      CHECK(verdict_of(outcome, check) == tuner::GateVerdict::passed);
  }
}

TEST_CASE("the largest tun-mtu that works is found by sending, and one more never passes the gate", "[app][gate][netns]") {
  Stage stage("raw");
  const auto [proto, largest] = GENERATE(table<const char*, std::uint32_t>({{"tcp", 65'511}, {"udp", 65'483}}));
  const auto folder = require(ScratchFolder::create("boundary"));
  const std::string arm = std::string("openvpn mssfix=0 proto=") + proto;
  CAPTURE(arm);
  const auto found = require(tuner::find_largest_mtu(*stage.bench, require(tuner::parse_arm(arm)), 1'400, largest, {}));
  CHECK(found.largest == largest);
  CHECK(tuner::ruled_out(require(tuner::parse_arm(arm + " tun_mtu=" + std::to_string(largest + 1))), {}));

  auto knobs = require(openvpn_knobs_of(require(tuner::parse_arm(arm + " tun_mtu=1500"))));
  auto pair = start_beyond_the_table(stage, folder.path(), knobs, largest + 1);
  const auto outcome = require(stage.bench->walk(*IpAddress::parse(openvpn_offsite_address), largest + 1, {}));
  CAPTURE(text_of(outcome));
  REQUIRE(outcome.failure);
  CHECK(outcome.failure->what.find("full_size") == 0);
  pair.end();
}

TEST_CASE("the largest tun-mtu over TCP passes on a gigabit line whose queue holds four of its packets", "[app][gate][netns]") {
  if (!is_complete()) {
    std::cout << "not run: with LINKTUNE_COMPLETE=1\n";
    return;
  }
  Stage stage("lan");
  for (int turn = 0; turn < 5; ++turn) {
    const auto outcome = stage.gate_of("openvpn mssfix=0 proto=tcp tcp_nodelay=on tcp_queue_limit=1024 txqueuelen=100 tun_mtu=65511");
    CAPTURE(turn, text_of(outcome));
    CHECK(verdict_of(outcome, "full_size") == tuner::GateVerdict::passed);
  }
}

TEST_CASE("a WireGuard arm starts where wireguard-go is named, and is refused with the cure where it is not", "[app][gate][netns]") {
  Stage stage("raw", {}, false);
  const std::string arm = "wireguard mtu=1440";
  if (const auto program = find_wireguard_go(); !program) {
    std::cout << "without wireguard-go: " << program.error().what << "\n";
    const auto started = stage.bench->prepare(require(tuner::parse_arm(arm)), {});
    REQUIRE_FALSE(started);
    CHECK(started.error().code == Errc::unsupported);
    CHECK(started.error().what.find("WIREGUARD_GO") != std::string::npos);
    return;
  }
  const auto outcome = stage.gate_of(arm);
  CAPTURE(text_of(outcome));
  CHECK(verdict_of(outcome, "full_size") == tuner::GateVerdict::passed);
  CHECK_FALSE(outcome.failure);
}

TEST_CASE("an end with a smaller tun-mtu is a black hole that the gate sees", "[app][gate][netns]") {
  Stage stage("raw");
  const auto folder = require(ScratchFolder::create("hole"));
  auto knobs = require(openvpn_knobs_of(require(tuner::parse_arm("openvpn proto=tcp tun_mtu=9000 mssfix=0"))));
  auto files = require(write_lab_pair(stage.sandbox.topology(), stage.bench->openvpn_keys(), knobs,
                                      stage.bench->openvpn_version(), folder.path() + "/clients"));
  // The widespread mistake: raised at the server alone; its push is what a client of 2.6 makes 1600 of.
  const auto at = files.client.find("tun-mtu 9000");
  REQUIRE(at != std::string::npos);
  files.client.replace(at, 12, "tun-mtu 1600");
  std::filesystem::create_directory(folder.path() + "/clients");
  require(write_file(folder.path() + "/clients/offsite", *files.client_config, 0600));
  require(write_file(folder.path() + "/server.conf", files.server, 0600));
  require(write_file(folder.path() + "/client.conf", files.client, 0600));
  auto pair = require(OpenVpnPair::start(stage.sandbox, {.server_file = folder.path() + "/server.conf",
                                                         .client_file = folder.path() + "/client.conf",
                                                         .log_folder = folder.path(),
                                                         .tun_mtu = 1'000}));
  const auto outcome = require(stage.bench->walk(*IpAddress::parse(openvpn_offsite_address), 9'000, {}));
  CAPTURE(text_of(outcome));
  REQUIRE(outcome.failure);
  CHECK(outcome.failure->what.find("full_size: the device takes packets of 9000 bytes, but only") == 0);
  pair.end();
}

TEST_CASE("fragments that are lost under load are counted, and cost the arm its place", "[app][gate][netns]") {
  Stage stage("fibre", {"loss=1%", "delay=1ms"});
  const auto outcome = stage.gate_of("openvpn proto=udp tun_mtu=9000 mssfix=0");
  CAPTURE(text_of(outcome));
  CHECK(verdict_of(outcome, "reassembly") == tuner::GateVerdict::failed);
  CHECK(outcome.failure);
  const auto whole = stage.gate_of("openvpn proto=udp tun_mtu=1448 mssfix=0");
  CAPTURE(text_of(whole));
  CHECK(verdict_of(whole, "reassembly") == tuner::GateVerdict::passed);
}

TEST_CASE("a line that stands still under load is seen, whatever passed before", "[app][gate][netns]") {
  Stage stage("lan");
  const auto arm = require(tuner::parse_arm("openvpn proto=udp"));
  REQUIRE_FALSE(require(stage.bench->prepare(arm, {})).failure);
  stage.bench->watch_for(8s);
  // Bulk flows once the load of the gate is on: the sizes before it are a few hundred small datagrams.
  const auto bytes_up = [&] { return require(stage.sandbox.report(lab::Direction::to_offsite)).counters.bytes_out; };
  const auto before = bytes_up();
  std::jthread cutter([&] {
    if (comes_true([&] { return bytes_up() > before + 20'000'000; }, 30s))
      require(stage.sandbox.set_wan(lab::all_directions, {"blackout=on"}));
  });
  const auto outcome = require(stage.bench->gate({}));
  cutter.join();
  CAPTURE(text_of(outcome));
  REQUIRE(outcome.failure);
  CHECK(verdict_of(outcome, "full_size") == tuner::GateVerdict::passed);
  require(stage.bench->dismantle());
}

TEST_CASE("the physics of a line are found by sending, where nobody tells of them", "[app][gate][netns]") {
  Stage stage("noicmp", {}, false);
  const auto physics = stage.physics();
  CAPTURE(to_line(tuner::to_json(physics)));
  CHECK(physics.up.mtu == 1492U);
  CHECK(physics.down.mtu == 1492U);
  CHECK(physics.carries_fragments() == true);
  CHECK(physics.idle.us_p50 > 19'000);
  CHECK(physics.idle.us_p50 < 30'000);
  // TCP of hosts that think 1500 bytes pass gets nothing through; behind a router that clamps its segments it does.
  REQUIRE(physics.up.goodput);
  CHECK(physics.up.goodput->value > 50'000'000);
  REQUIRE(physics.down.goodput);
  REQUIRE_FALSE(physics.notes.empty());
  CHECK(physics.notes.back().find("measured with 1340 bytes at most") != std::string::npos);
}

TEST_CASE("a line that drops fragments rules out the arms that it would starve, and the gate agrees", "[app][gate][netns]") {
  Stage stage("nofragments");
  const auto physics = stage.physics();
  CHECK(physics.mtu() == 1500U);
  CHECK(physics.carries_fragments() == false);
  const auto jumbo = require(tuner::parse_arm("openvpn mssfix=0 proto=udp tun_mtu=1500"));
  CHECK(tuner::ruled_out(jumbo, physics));
  if (is_complete()) {  // it takes the whole patience of a start
    const auto started = require(stage.bench->prepare(jumbo, {}));
    CHECK(started.failure);  // its full-size packets do not come back
    require(stage.bench->dismantle());
  }
  const auto fitted = stage.gate_of("openvpn proto=udp mssfix=0 tun_mtu=1448");
  CAPTURE(text_of(fitted));
  CHECK_FALSE(fitted.failure);
}

// Both daemons as users run them, in a lab: what they carry, what they survive, what they refuse, what they leave.
#include <signal.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <thread>

#include "app/cmd_init.h"
#include "app/control.h"
#include "app/iperf3.h"
#include "app/scratch_folder.h"
#include "base/text.h"
#include "lab/sandbox.h"

using namespace lt;
using namespace lt::app;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t seed = 20261122;
const std::string program = std::string(LINKTUNE_BINARY_DIR) + "/app/linktune";

template <class T>
T require(Result<T> result) {
  if (!result) FAIL(result.error().text());
  return std::move(*result);
}
void require(const Status& status) {
  if (!status) FAIL(status.error().text());
}

// Waits for an event that is to come, never for time to pass.
template <class Condition>
bool comes_true(Condition condition, std::chrono::milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(10ms);
  }
  return true;
}

// Two sites in a lab, their configs in a folder, their daemons as children.
class Sites {
 public:
  explicit Sites(const std::string& profile = "lan")
      : sandbox(require(lab::Sandbox::build({.name = "e2e", .profile = profile, .seed = seed}))),
        folder(require(ScratchFolder::create("test"))) {
    INFO("seed " << seed);
    const lab::Topology& topology = sandbox.topology();
    files = require(init_pair({.out = folder.path() + "/pair",
                               .endpoint = Endpoint{topology.office.wan_v4.address.text(), 5198}.text(),
                               .lan = {topology.office.gateway_v4.network().text(), topology.office.gateway_v6.network().text()},
                               .peer_lan = {topology.offsite.gateway_v4.network().text(),
                                            topology.offsite.gateway_v6.network().text()}}));
  }

  Child start(lab::Host host, const std::string& config, const std::string& log, const std::vector<std::string>& more = {}) {
    Argv argv{program, "up", "--config", config, "--run-dir", folder.path()};
    argv.insert(argv.end(), more.begin(), more.end());
    return require(Child::start({.argv = sandbox.exec(host, argv), .output_path = folder.path() + "/" + log}));
  }
  void start_both() {
    office = start(lab::Host::office_gw, files.office.config_path, "office.log");
    offsite = start(lab::Host::offsite_gw, files.offsite.config_path, "offsite.log");
  }
  [[nodiscard]] std::string state(const std::string& site) const {
    const auto status = ask_daemon(control_path(folder.path(), site), "status");
    return status ? status->value("state", "starting") : "no daemon";
  }
  [[nodiscard]] Json status(const std::string& site) const {
    return require(ask_daemon(control_path(folder.path(), site), "status"));
  }
  void wait_until_up() {
    REQUIRE(comes_true([&] { return state("office") == "up" && state("offsite") == "up"; }, 15s));
  }
  [[nodiscard]] bool ping(const std::string& target) const {
    const auto result = require(run_process(sandbox.exec(lab::Host::office_lan, {"ping", "-n", "-q", "-c", "1", "-W", "1", target})));
    return result.exit_code == 0;
  }
  [[nodiscard]] std::string log(const std::string& name) const {
    return require(read_file(folder.path() + "/" + name, 16 << 20));
  }
  // Devices, addresses, routes and rules of a gateway: what a link may change and must put back.
  [[nodiscard]] std::string network_of(lab::Host host) const {
    std::string text;
    for (const Argv& ask : {Argv{"ip", "-o", "addr"}, Argv{"ip", "rule"}, Argv{"ip", "-6", "rule"},
                            Argv{"ip", "route", "show", "table", "all"}, Argv{"ip", "-6", "route", "show", "table", "all"}}) {
      const std::string answer = require(run_checked(sandbox.exec(host, ask)));
      for (const std::string_view line : split(answer, '\n')) {
        // What the kernel itself adds while a new device settles is not the link's.
        const bool is_kernels = line.find("fe80:") != line.npos || line.find("anycast") != line.npos || line.find("multicast") != line.npos;
        const auto address_only = line.substr(0, line.find('\\'));
        if (!is_kernels) text += std::string(address_only) + "\n";
      }
    }
    return text;
  }

  lab::Sandbox sandbox;
  ScratchFolder folder;
  InitPairReport files;
  Child office;
  Child offsite;
};

const std::string offsite_v4 = "192.168.20.2";
const std::string offsite_v6 = "fd00:20::2";

}  // namespace

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

TEST_CASE("an inner TCP connection outlives kill -9 of a daemon", "[app][link][netns]") {
  Sites sites;
  sites.start_both();
  sites.wait_until_up();
  const auto server = require(Iperf3Server::start(sites.sandbox, lab::Host::offsite_lan));
  auto transfer = require(Child::start({.argv = sites.sandbox.exec(lab::Host::office_lan, {"iperf3", "-c", offsite_v4, "-t", "6", "-C", "cubic", "-J"}),
                                        .output_path = sites.folder.path() + "/iperf.json"}));
  const auto carried = [&] { return sites.status("office")["outbound"]["packet_bytes"].get<std::uint64_t>(); };
  REQUIRE(comes_true([&] { return carried() > 10'000'000; }, 5s));
  sites.offsite.signal(SIGKILL);
  REQUIRE(sites.offsite.wait(5s));
  sites.offsite = sites.start(lab::Host::offsite_gw, sites.files.offsite.config_path, "offsite.log");
  sites.wait_until_up();
  const auto ended = transfer.wait(30s);
  REQUIRE(ended);
  CHECK(*ended == 0);
  CHECK(parse_iperf3(sites.log("iperf.json")));
  CHECK(sites.status("office")["sessions"].get<int>() == 2);
  CHECK(sites.status("office")["session_ends"].value("closed", 0) == 1);
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

TEST_CASE("either I/O port and plain packets carry the same traffic", "[app][link][netns]") {
  const std::string setting = GENERATE(values<std::string>({"native.io=epoll", "native.offload=off", "native.mtu=9000", "native.congestion_control=reno"}));
  INFO(setting);
  Sites sites;
  sites.office = sites.start(lab::Host::office_gw, sites.files.office.config_path, "office.log", {"--set", setting});
  sites.offsite = sites.start(lab::Host::offsite_gw, sites.files.offsite.config_path, "offsite.log");
  sites.wait_until_up();
  const auto server = require(Iperf3Server::start(sites.sandbox, lab::Host::offsite_lan));
  for (const std::string& target : {offsite_v4, offsite_v6}) {
    CHECK(run_iperf3(sites.sandbox, lab::Host::office_lan, *IpAddress::parse(target), {.seconds = 1, .omit_seconds = 0}));
  }
}

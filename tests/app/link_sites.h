// Two sites in a lab with their daemons as users run them: the stage of the end-to-end tests.
#pragma once

#include <signal.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "app/cmd_init.h"
#include "app/control.h"
#include "app/scratch_folder.h"
#include "base/process.h"
#include "base/text.h"
#include "lab/sandbox.h"
#include "tests/require.h"

namespace lt::app::test {

using namespace std::chrono_literals;

inline constexpr std::uint64_t seed = 20261122;
inline const std::string program = std::string(LINKTUNE_BINARY_DIR) + "/app/linktune";

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
  explicit Sites(const std::string& profile = "lan", const std::string& name = "e2e")
      : sandbox(require(lab::Sandbox::build({.name = name, .profile = profile, .seed = seed}))),
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

inline const std::string offsite_v4 = "192.168.20.2";
inline const std::string offsite_v6 = "fd00:20::2";

}  // namespace lt::app::test

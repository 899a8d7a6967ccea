// Two gateways as two hosts, by the programs as they are run: a sweep from end to end beside the link, kills of either
// end at random moments, and settings that are applied on trial. Both sites share a file system and a process table
// here, so each has its own folder and its own site name; all else is as between two machines.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <random>

#include "app/left_overs.h"
#include "tests/app/link_sites.h"

using namespace lt;
using namespace lt::app;
using namespace lt::app::test;

namespace {

const bool is_complete = std::getenv("LINKTUNE_COMPLETE") != nullptr;
const std::string sweep_section = "\n[sweep]\nallow = true\n";

std::string read(const std::string& path) { return require(read_file(path, 16 << 20)); }

// The office listens, the off-site gateway connects; each has its agent.
class Hosts : public Sites {
 public:
  explicit Hosts(const std::string& more = sweep_section, const std::string& profile = "lan") : Sites(profile) {
    for (const std::string& path : {files.office.config_path, files.offsite.config_path}) {
      require(write_file(path, read(path) + more, 0644));
    }
    start_both();
    wait_until_up();
  }
  ~Hosts() {
    office_agent.end(8s);
    offsite_agent.end(8s);
  }

  Child start_agent(lab::Host host) {
    const bool is_office = host == lab::Host::office_gw;
    return require(Child::start({.argv = sandbox.exec(host, {program, "sweep", "agent", "--config", config_of(host), "--run-dir", folder.path(),
                                                             "--state-dir", state_of_site(host)}),
                                 .output_path = folder.path() + (is_office ? "/office-agent.log" : "/offsite-agent.log")}));
  }
  void start_agents() {
    office_agent = start_agent(lab::Host::office_gw);
    offsite_agent = start_agent(lab::Host::offsite_gw);
    for (const std::string name : {"office-agent.log", "offsite-agent.log"}) {
      REQUIRE(comes_true([&] { return log(name).find("sweep_listening") != std::string::npos; }, 10s));
    }
  }
  [[nodiscard]] std::string config_of(lab::Host host) const {
    return host == lab::Host::office_gw ? files.office.config_path : files.offsite.config_path;
  }
  [[nodiscard]] std::string state_of_site(lab::Host host) const {
    return folder.path() + (host == lab::Host::office_gw ? "/state-office" : "/state-offsite");
  }
  [[nodiscard]] Argv sweep_argv(const std::string& journal, const std::vector<std::string>& arms, const std::string& blocks = "1") const {
    Argv argv{program, "sweep", "--json", "--config", files.offsite.config_path, "--run-dir", folder.path(), "--journal", journal, "--seed", "7",
              "--blocks", blocks, "--seconds", "1", "--omit", "0"};
    for (const std::string& arm : arms) argv.insert(argv.end(), {"--arm", arm});
    return sandbox.exec(lab::Host::offsite_gw, argv);
  }
  [[nodiscard]] ProcessOutput run_at(lab::Host host, const Argv& argv, std::chrono::seconds deadline = 90s) const {
    return require(run_process(sandbox.exec(host, argv), {.deadline = deadline}));
  }
  [[nodiscard]] ProcessOutput applied(lab::Host host, const std::string& word, const Argv& more = {}) const {
    Argv argv{program, word, "--config", config_of(host), "--run-dir", folder.path(), "--state-dir", state_of_site(host)};
    argv.insert(argv.end(), more.begin(), more.end());
    return run_at(host, argv);
  }

  // All that trials may make: devices, addresses, routes, rules of both gateways; processes; files.
  [[nodiscard]] std::string present() const {
    return network_of(lab::Host::office_gw) + network_of(lab::Host::offsite_gw) + trial_processes() + trial_files();
  }
  [[nodiscard]] std::string trial_processes() const {
    std::string found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const auto arguments = read_file(entry.path().string() + "/cmdline", 1 << 16);
      if (arguments && arguments->find(folder.path() + "/sweep-") != std::string::npos) found += printable(*arguments, 300) + "\n";
    }
    return found;
  }
  [[nodiscard]] std::string trial_files() const {
    std::string found;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("sweep-")) found += name + "\n";
    }
    return found;
  }

  Child office_agent;
  Child offsite_agent;
};

}  // namespace

TEST_CASE("a sweep between two gateways measures bare line, native and OpenVPN beside the link, and leaves nothing", "[app][hosts][netns]") {
  Hosts hosts;
  hosts.start_agents();
  const std::string before = hosts.present();
  const std::string journal = hosts.folder.path() + "/sweep.jsonl";
  auto sweep = require(Child::start({.argv = hosts.sweep_argv(journal, {"native mtu=9000", "openvpn proto=tcp"}), .output_path = hosts.folder.path() + "/report.json"}));

  // The asked owner sees it, and people's traffic goes on.
  const auto status = [&] {
    return hosts.run_at(lab::Host::office_gw, {program, "status", "--config", hosts.files.office.config_path, "--run-dir", hosts.folder.path()}).out;
  };
  CHECK(comes_true([&] { return status().find("a sweep of offsite tries native mtu=9000") != std::string::npos; }, 40s));
  CHECK(hosts.ping(offsite_v4));
  const auto ended = sweep.wait(90s);
  const std::string report = read(hosts.folder.path() + "/report.json");
  INFO(report << hosts.log("office-agent.log"));
  REQUIRE(ended);
  CHECK((*ended == 0 || *ended == 5));

  const std::string written = read(journal);
  std::size_t measured = 0;
  for (const std::string_view line : split(written, '\n')) measured += line.find("\"status\":\"measured\"") != line.npos ? 1U : 0U;
  INFO(written);
  CHECK(measured == 3);
  CHECK(comes_true([&] { return hosts.present() == before; }, 10s));
  CHECK(hosts.present() == before);
  CHECK(status().find("a sweep of") == std::string::npos);
  CHECK(hosts.log("office-agent.log").find("sweep_over") != std::string::npos);
}

TEST_CASE("a site that does not allow sweeps refuses in a sentence with the cure", "[app][hosts][netns]") {
  Hosts hosts("\n[sweep]\nallow = false\n");
  hosts.start_agents();
  const std::string before = hosts.present();
  const auto refused = require(run_process(hosts.sweep_argv(hosts.folder.path() + "/no.jsonl", {"native"}), {.deadline = 30s}));
  CHECK(refused.exit_code == 1);
  CHECK((refused.out + refused.err).find("write allow = true below [sweep]") != std::string::npos);
  CHECK(hosts.present() == before);
}

TEST_CASE("without an agent, with a second sweep, and with the port of trials taken, each is named", "[app][hosts][netns]") {
  Hosts hosts;
  const std::string journal = hosts.folder.path() + "/j";
  const auto alone = require(run_process(hosts.sweep_argv(journal + "0", {"native"}), {.deadline = 30s}));
  CHECK(alone.exit_code == 4);
  CHECK((alone.out + alone.err).find("no sweep agent answers") != std::string::npos);

  hosts.start_agents();
  auto holder = require(Child::start({.argv = hosts.sandbox.exec(lab::Host::office_gw, {"iperf3", "-s", "-p", "5298"}), .output_path = ""}));
  REQUIRE(comes_true([&] {
    return require(run_checked(hosts.sandbox.exec(lab::Host::office_gw, {"ss", "-ltnH"}))).find(":5298") != std::string::npos;
  }, 5s));
  const auto busy = require(run_process(hosts.sweep_argv(journal + "1", {"native"}), {.deadline = 60s}));
  INFO(busy.out << busy.err);
  const std::string written = read(journal + "1");
  CHECK(written.find("is taken by another program") != std::string::npos);
  CHECK(written.find("arm_failed") == std::string::npos);
  holder.end(2s);

  auto first = require(Child::start({.argv = hosts.sweep_argv(journal + "2", {"native"}, "3"), .output_path = hosts.folder.path() + "/first.log"}));
  REQUIRE(comes_true([&] { return hosts.log("office-agent.log").find("sweep_trial") != std::string::npos; }, 20s));
  const auto second = require(run_process(hosts.sweep_argv(journal + "3", {"native"}), {.deadline = 30s}));
  CHECK(second.exit_code == 1);
  CHECK((second.out + second.err).find("runs already") != std::string::npos);
  first.end(20s);
}

namespace {

enum class Blow : std::uint8_t { kill_asker, kill_agent, cut_line };
constexpr std::array<std::string_view, 3> blow_names{"the asker is killed", "the agent is killed", "the line is cut"};

// @return how long until all was as before (unit: ms), or nothing within 30 s
std::optional<long> restored_after(Hosts& hosts, Blow blow, std::chrono::milliseconds moment, const std::string& before, const std::string& journal) {
  auto sweep = require(Child::start({.argv = hosts.sweep_argv(journal, {"native mtu=9000", "openvpn proto=tcp"}, "20"), .output_path = journal + ".log"}));
  const auto struck_at = std::chrono::steady_clock::now() + moment;
  REQUIRE(comes_true([&] { return !hosts.trial_files().empty() || std::chrono::steady_clock::now() > struck_at; }, 10s));
  std::this_thread::sleep_until(struck_at);  // the random moment is what is tested
  if (blow == Blow::kill_asker) sweep.signal(SIGKILL);
  if (blow == Blow::kill_agent) hosts.office_agent.signal(SIGKILL);
  if (blow == Blow::cut_line) require(hosts.sandbox.set_wan(lab::all_directions, {"blackout=on"}));
  const auto began = std::chrono::steady_clock::now();
  // A sweep whose line is cut goes on by itself when it can; while it cannot, nothing of it may stand.
  const auto stands = [&] {
    const std::string now = hosts.present();
    return now == before;
  };
  const bool is_restored = comes_true(stands, 30s);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
  if (!is_restored) WARN("left: " << hosts.present() << "\nof: " << before);
  sweep.end(20s);
  if (blow == Blow::cut_line) {
    require(hosts.sandbox.set_wan(lab::all_directions, {"blackout=off"}));
    hosts.wait_until_up();
  }
  if (blow == Blow::kill_agent) {
    static_cast<void>(hosts.office_agent.wait(5s));
    hosts.office_agent = hosts.start_agent(lab::Host::office_gw);
  }
  REQUIRE(comes_true([&] { return hosts.present() == before; }, 30s));
  return is_restored ? std::optional(took.count()) : std::nullopt;
}

}  // namespace

TEST_CASE("whenever an end of a sweep is killed or the line is cut, both ends are as they were within 30 s", "[app][hosts][netns]") {
  const std::size_t blows = is_complete ? 200 : 6;
  WARN(blows << " blows" << (is_complete ? "" : " (LINKTUNE_COMPLETE=1 tries 200)") << ", seed " << seed);
  Hosts hosts;
  hosts.start_agents();
  const std::string before = hosts.present();
  std::mt19937 dice(seed);
  std::array<long, 3> slowest{};
  for (std::size_t i = 0; i < blows; ++i) {
    const auto blow = static_cast<Blow>(i % 3);
    const std::chrono::milliseconds moment(dice() % 12'000);
    const auto took = restored_after(hosts, blow, moment, before, hosts.folder.path() + "/blow" + std::to_string(i) + ".jsonl");
    INFO("blow " << i << ": " << blow_names.at(i % 3) << " after " << moment.count() << " ms");
    CHECK(took);
    if (took) slowest.at(i % 3) = std::max(slowest.at(i % 3), *took);
  }
  for (std::size_t i = 0; i < slowest.size(); ++i) WARN(blow_names.at(i) << ": at most " << slowest.at(i) << " ms");
}

TEST_CASE("settings that are confirmed stay at both sites, and go by rollback", "[app][hosts][apply][netns]") {
  Hosts hosts;
  hosts.start_agents();
  const std::string office = read(hosts.files.office.config_path);
  const std::string offsite = read(hosts.files.offsite.config_path);
  const auto applied = hosts.applied(lab::Host::offsite_gw, "apply", {"--arm", "native mtu=9000", "--within", "40"});
  INFO(applied.out << applied.err << hosts.log("office-agent.log"));
  REQUIRE(applied.exit_code == 0);
  const auto confirmed = hosts.applied(lab::Host::offsite_gw, "confirm");
  INFO(confirmed.out << confirmed.err);
  CHECK(confirmed.exit_code == 0);
  for (const std::string& path : {hosts.files.office.config_path, hosts.files.offsite.config_path}) {
    CHECK(read(path).find("mtu = 9000") != std::string::npos);
    CHECK(read(path).find("allow = true") != std::string::npos);
  }
  CHECK(hosts.status("office")["tunnel_mtu_bytes"].get<int>() == 9000);
  // The time is over, and it stays.
  const auto again = hosts.applied(lab::Host::offsite_gw, "confirm");
  CHECK(again.exit_code == 1);
  const auto back = hosts.applied(lab::Host::offsite_gw, "rollback");
  INFO(back.out << back.err);
  CHECK(back.exit_code == 0);
  CHECK(comes_true([&] { return read(hosts.files.office.config_path) == office && read(hosts.files.offsite.config_path) == offsite; }, 30s));
  CHECK(comes_true([&] { return hosts.state("office") == "up" && hosts.status("office")["tunnel_mtu_bytes"] == 1500; }, 30s));
  for (const char* site : {"office", "offsite"}) require(ask_daemon(control_path(hosts.folder.path(), site), "stop"));
  CHECK(comes_true([&] { return hosts.state("office") == "no daemon" && hosts.state("offsite") == "no daemon"; }, 10s));
}

TEST_CASE("settings that break the link go back by themselves, even with command and agent killed", "[app][hosts][apply][netns]") {
  Hosts hosts;
  hosts.start_agents();
  const std::string office = read(hosts.files.office.config_path);
  const std::string offsite = read(hosts.files.offsite.config_path);
  auto command = require(Child::start({.argv = hosts.sandbox.exec(lab::Host::offsite_gw, {program, "apply", "--arm", "native mtu=9000", "--within", "10", "--config",
                                                                  hosts.files.offsite.config_path, "--run-dir", hosts.folder.path(), "--state-dir",
                                                                  hosts.state_of_site(lab::Host::offsite_gw)}),
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
  for (const char* site : {"office", "offsite"}) require(ask_daemon(control_path(hosts.folder.path(), site), "stop"));
  CHECK(comes_true([&] { return hosts.state("office") == "no daemon" && hosts.state("offsite") == "no daemon"; }, 10s));
}

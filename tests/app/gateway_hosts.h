// Two gateways as two hosts, by the programs as they are run: each with its link, its sweep agent and its own folders.
// Both share a file system and a process table here; all else is as between two machines.
#pragma once

#include <fcntl.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <set>
#include <utility>

#include "configs/toml_writer.h"
#include "lab/netns.h"
#include "tests/app/link_sites.h"

namespace lt::app::test {

inline const bool is_complete = std::getenv("LINKTUNE_COMPLETE") != nullptr;
inline const std::string sweep_allowed = "\n[sweep]\nallow = true\n";
inline const std::string trial_device = "lttrial";

inline std::string read(const std::string& path) { return require(read_file(path, 16 << 20)); }

// What the kernel counts or finds out by itself, and nobody has set.
inline bool is_kernels_own(const std::string& name) {
  return name == "nf_conntrack_count" || name.starts_with("tcp_available_");
}

// All switches of the calling thread's namespace.
inline std::string switches_here() {
  std::vector<std::string> lines;
  std::error_code error;
  for (auto entry = std::filesystem::recursive_directory_iterator("/proc/sys/net", error); entry != std::filesystem::end(entry); entry.increment(error)) {
    if (error) break;
    if (!entry->is_regular_file(error) || is_kernels_own(entry->path().filename().string())) continue;
    const auto value = read_file(entry->path().string(), 1 << 16);
    if (value) lines.push_back(entry->path().string() + " = " + std::string(trim(*value)) + "\n");
  }
  std::sort(lines.begin(), lines.end());
  return join(lines, "");
}

// Everything in a gateway's kernel that a link can change: devices, addresses, routes, rules, filters, queues, switches.
inline std::string kernel_of(const std::string& name_space) {
  std::string text;
  require(lab::run_inside(name_space, [&]() -> Status {
    for (const Argv& ask : {Argv{"ip", "-d", "-o", "link"}, Argv{"ip", "-o", "addr"}, Argv{"ip", "rule"}, Argv{"ip", "-6", "rule"},
                            Argv{"ip", "route", "show", "table", "all"}, Argv{"ip", "-6", "route", "show", "table", "all"},
                            Argv{"nft", "list", "ruleset"}, Argv{"tc", "qdisc"}}) {
      LT_TRY(const std::string answer, run_checked(ask));
      text += answer;
    }
    text += switches_here();
    return {};
  }));
  return text;
}

// The lines of one text that the other has not, both ways.
inline std::string difference(const std::string& before, const std::string& now) {
  const auto lines = [](const std::string& text) {
    std::multiset<std::string> all;
    for (const std::string_view line : split(text, '\n')) all.emplace(line);
    return all;
  };
  const auto was = lines(before);
  const auto is = lines(now);
  std::vector<std::string> gone;
  std::vector<std::string> come;
  std::set_difference(was.begin(), was.end(), is.begin(), is.end(), std::back_inserter(gone));
  std::set_difference(is.begin(), is.end(), was.begin(), was.end(), std::back_inserter(come));
  std::string text;
  for (const std::string& line : gone) text += "gone: " + line + "\n";
  for (const std::string& line : come) text += "come: " + line + "\n";
  return text;
}

struct HostsOptions {
  std::string more{sweep_allowed};  // behind both configs
  std::string profile{"lan"};
  std::string name{"hosts"};
  configs::NativeKnobs knobs{};  // of both links
};

// The office listens, the off-site gateway connects and asks; each has its agent.
class Hosts : public Sites {
 public:
  explicit Hosts(const HostsOptions& options = {}) : Sites(options.profile, options.name) {
    for (const std::string& path : {files.office.config_path, files.offsite.config_path}) {
      require(write_file(path, configs::with_knobs(read(path) + options.more, options.knobs), 0644));
    }
    start_both();
    wait_until_up();
  }
  ~Hosts() {
    office_agent.end(8s);
    offsite_agent.end(8s);
  }

  // Listens when it returns. `as`: what the program is started by.
  Child start_agent(lab::Host host, const std::function<Argv(const Argv&)>& as = [](const Argv& argv) { return argv; }) {
    const std::string name = site_of(host) + "-agent.log";
    std::filesystem::remove(folder.path() + "/" + name);
    auto agent = require(Child::start({.argv = sandbox.exec(host, as({program, "sweep", "agent", "--config", config_of(host), "--run-dir", folder.path(),
                                                                      "--state-dir", state_of_site(host)})),
                                       .output_path = folder.path() + "/" + name}));
    REQUIRE(comes_true([&] { return std::filesystem::exists(folder.path() + "/" + name) && log(name).find("sweep_listening") != std::string::npos; }, 20s));
    return agent;
  }
  void start_agents() {
    office_agent = start_agent(lab::Host::office_gw);
    offsite_agent = start_agent(lab::Host::offsite_gw);
  }
  [[nodiscard]] static std::string site_of(lab::Host host) { return host == lab::Host::office_gw ? "office" : "offsite"; }
  [[nodiscard]] std::string config_of(lab::Host host) const {
    return host == lab::Host::office_gw ? files.office.config_path : files.offsite.config_path;
  }
  [[nodiscard]] std::string state_of_site(lab::Host host) const { return folder.path() + "/state-" + site_of(host); }

  [[nodiscard]] Argv sweep_argv(const std::string& journal, const Argv& more) const {
    Argv argv{program, "sweep", "--json", "--config", files.offsite.config_path, "--run-dir", folder.path(), "--journal", journal};
    argv.insert(argv.end(), more.begin(), more.end());
    return sandbox.exec(lab::Host::offsite_gw, argv);
  }
  // A ranking of short tests.
  [[nodiscard]] Argv ranking_argv(const std::string& journal, const std::vector<std::string>& arms, const std::string& blocks = "1",
                                  std::uint64_t order = 7) const {
    Argv more{"--seed", std::to_string(order), "--blocks", blocks, "--seconds", "1", "--omit", "0"};
    for (const std::string& arm : arms) more.insert(more.end(), {"--arm", arm});
    return sweep_argv(journal, more);
  }
  [[nodiscard]] ProcessOutput run_at(lab::Host host, const Argv& argv, std::chrono::seconds deadline = 90s) const {
    return require(run_process(sandbox.exec(host, argv), {.deadline = deadline}));
  }
  [[nodiscard]] std::string status_text(lab::Host host) const {
    return run_at(host, {program, "status", "--config", config_of(host), "--run-dir", folder.path()}).out;
  }
  // `linktune apply`, `confirm` or `rollback`.
  [[nodiscard]] Argv applied_argv(lab::Host host, const std::string& word, const Argv& more = {}) const {
    Argv argv{program, word, "--config", config_of(host), "--run-dir", folder.path(), "--state-dir", state_of_site(host)};
    argv.insert(argv.end(), more.begin(), more.end());
    return sandbox.exec(host, argv);
  }
  [[nodiscard]] ProcessOutput applied(lab::Host host, const std::string& word, const Argv& more = {}) const {
    return require(run_process(applied_argv(host, word, more), {.deadline = 90s}));
  }
  // A daemon that was started anew is nobody's child here.
  void stop_links() {
    for (const char* site : {"office", "offsite"}) require(ask_daemon(control_path(folder.path(), site), "stop"));
    CHECK(comes_true([&] { return state("office") == "no daemon" && state("offsite") == "no daemon"; }, 20s));
  }

  // Whether a link under trial has its device at that gateway, now.
  [[nodiscard]] bool stands_at(lab::Host host) const { return received_by_trial(host).has_value(); }
  // By the device of trials, while there is one (unit: B).
  [[nodiscard]] std::optional<std::uint64_t> received_by_trial(lab::Host host) const {
    const pid_t inside = (host == lab::Host::office_gw ? office : offsite).pid();
    const std::string devices = read("/proc/" + std::to_string(inside) + "/net/dev");
    const auto at = devices.find(trial_device + ":");
    if (at == std::string::npos) return std::nullopt;
    const std::string_view rest = trim(std::string_view(devices).substr(at + trial_device.size() + 1));
    return parse_u64(rest.substr(0, rest.find(' ')));
  }
  [[nodiscard]] bool stands_anywhere() const { return stands_at(lab::Host::office_gw) || stands_at(lab::Host::offsite_gw); }

  // All that a sweep may change: both kernels, the processes at both gateways, the files of trials.
  [[nodiscard]] std::string present() const {
    std::string text = processes() + trial_files();
    for (const lab::Host host : {lab::Host::office_gw, lab::Host::offsite_gw}) text += kernel_of(sandbox.topology().namespace_of(host));
    return text;
  }
  // The same, once the kernel has done with what it does to new devices by itself.
  [[nodiscard]] std::string settled() const {
    std::string text;
    REQUIRE(comes_true([&] {
      const std::string last = std::exchange(text, present());
      return text == last && text.find("tentative") == std::string::npos && text.find("NO-CARRIER") == std::string::npos;
    }, 20s));
    return text;
  }
  // Whether all is as `before`; the quick looks first.
  [[nodiscard]] bool is_as(const std::string& before) const {
    return !stands_anywhere() && trial_files().empty() && present() == before;
  }
  // At either gateway, by their arguments; but for the asker and the agents, which tests start and kill.
  [[nodiscard]] std::string processes() const {
    const auto space_of = [](const std::string& pid) {
      std::error_code error;
      return std::filesystem::read_symlink("/proc/" + pid + "/ns/net", error).string();
    };
    const std::set<std::string> spaces{space_of(std::to_string(office.pid())), space_of(std::to_string(offsite.pid()))};
    std::multiset<std::string> found;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
      const std::string pid = entry.path().filename().string();
      if (!parse_u64(pid) || !spaces.contains(space_of(pid))) continue;
      const auto arguments = read_file(entry.path().string() + "/cmdline", 1 << 16);
      if (!arguments || arguments->empty()) continue;
      const std::string text = printable(*arguments, 400);
      const bool is_tests = arguments->find(std::string("sweep\0agent", 11)) != std::string::npos || arguments->find(std::string("sweep\0--json", 12)) != std::string::npos;
      if (!is_tests) found.insert(text + "\n");
    }
    return join(std::vector(found.begin(), found.end()), "");
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

}  // namespace lt::app::test

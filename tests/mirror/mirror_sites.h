// MirrorSites: an office and an off-site in a lab, each with a ZFS of its own, joined by real daemons, with
// a mirror agent at the off-site: the stage on which real Syncoid runs over the real link.
#pragma once

#include <string>

#include "app/mirror_site.h"
#include "app/ssh_shim.h"
#include "lab/netns.h"
#include "mirror/meter.h"
#include "tests/app/link_sites.h"
#include "tests/mirror/syncoid_program.h"
#include "tests/mirror/zfs_stage.h"

// Ends a test, with the reason, on a machine that has no ZFS or no Syncoid.
#define NEEDS_ZFS()                                                  \
  if (const auto why = lt::mirror::testing::ZfsStage::why_not()) {   \
    WARN("not checked: " << *why);                                   \
    return;                                                          \
  }                                                                  \
  if (const auto why = lt::mirror::testing::why_no_syncoid()) {      \
    WARN("not checked: " << *why);                                   \
    return;                                                          \
  }

namespace lt::mirror::testing {

using app::test::comes_true;
using app::test::program;

inline constexpr std::uint64_t mirror_seed = 20261123;
inline constexpr std::size_t stage_window_bytes = 4 << 20;

class MirrorSites {
 public:
  /// @param line  words over the lab's profile `wan`
  explicit MirrorSites(const std::string& name, const std::vector<std::string>& line, std::uint64_t disk_bytes = stage_disk_bytes,
                       std::size_t window = stage_window_bytes, const std::string& congestion_control = "bbr")
      : sandbox(require(lab::Sandbox::build({.name = name, .profile = "wan", .settings = line, .seed = mirror_seed}))),
        zfs(require(ZfsStage::build(disk_bytes))),
        folder(require(app::ScratchFolder::create("mirror"))) {
    const lab::Topology& topology = sandbox.topology();
    configs::NativeKnobs knobs;
    knobs.congestion_control = congestion_control;
    files = require(app::init_pair({.out = folder.path() + "/pair",
                                    .endpoint = Endpoint{topology.office.wan_v4.address.text(), 5198}.text(),
                                    .lan = {topology.office.gateway_v4.network().text()},
                                    .peer_lan = {topology.offsite.gateway_v4.network().text()},
                                    .knobs = knobs}));
    const std::string window_line = "window = \"" + std::to_string(window >> 20) + "MiB\"\n";
    add_to(files.office.config_path, "\n[mirror]\n" + window_line);
    add_to(files.offsite.config_path, "\n[mirror]\n" + window_line + "\n[[mirror.receive]]\ndataset = \"tank/backup\"\n");
    require(zfs.offsite.zfs({"create", "tank/backup"}));
    shim_folder = require(folder.add("bin"));
    require(app::install_ssh_shim(shim_folder, program));
    meter.emplace(require(Meter::create(folder.path() + "/meter")));
  }

  /// @param before_agent  words in front of the agent's own command
  void start_all(const Argv& before_agent = {}) {
    office = start_daemon(lab::Host::office_gw, files.office.config_path, "office.log");
    offsite = start_daemon(lab::Host::offsite_gw, files.offsite.config_path, "offsite.log");
    start_agent(before_agent);
    REQUIRE(comes_true([&] { return is_up("office") && is_up("offsite"); }, std::chrono::seconds(20)));
    REQUIRE(comes_true([&] { return log("agent.log").find("mirror_listening") != std::string::npos; }, std::chrono::seconds(10)));
  }
  void start_agent(const Argv& before = {}) {
    Argv argv = before;
    argv.insert(argv.end(), {program, "mirror", "agent", "--config", files.offsite.config_path});
    agent = require(Child::start({.argv = at_offsite(argv), .output_path = folder.path() + "/agent.log"}));
  }
  Child start_daemon(lab::Host host, const std::string& config, const std::string& log_name) {
    return require(Child::start({.argv = sandbox.exec(host, {program, "up", "--config", config, "--run-dir", folder.path()}),
                                 .output_path = folder.path() + "/" + log_name}));
  }
  [[nodiscard]] bool is_up(const std::string& site) const {
    const auto status = app::ask_daemon(app::control_path(folder.path(), site), "status");
    return status && status->value("state", "") == "up";
  }

  /// `argv` beside the office's ZFS, in the office's gateway, with the shim as its ssh.
  [[nodiscard]] Argv at_office(const Argv& argv) const {
    Argv inside{"env", "PATH=" + shim_folder + ":/usr/sbin:/usr/bin:/sbin:/bin",
                std::string(app::mirror_config_variable) + "=" + files.office.config_path,
                std::string(meter_variable) + "=" + meter->path()};
    inside.insert(inside.end(), argv.begin(), argv.end());
    return zfs.office.exec(lab::namespace_path(sandbox.topology().namespace_of(lab::Host::office_gw)), inside);
  }
  [[nodiscard]] Argv at_offsite(const Argv& argv) const {
    return zfs.offsite.exec(lab::namespace_path(sandbox.topology().namespace_of(lab::Host::offsite_gw)), argv);
  }
  /// Unmodified Syncoid, pushing `source` to the off-site's `target`.
  [[nodiscard]] Argv syncoid(const std::string& source, const std::string& target, const Argv& more = {}) const {
    Argv argv{syncoid_program(), "--compress=none", "--no-privilege-elevation"};
    argv.insert(argv.end(), more.begin(), more.end());
    argv.insert(argv.end(), {source, "root@peer:" + target});
    return at_office(argv);
  }

  [[nodiscard]] std::string log(const std::string& name) const {
    const auto text = read_file(folder.path() + "/" + name, 16 << 20);
    return text ? *text : std::string();
  }
  [[nodiscard]] static std::string hash_of(const lab::ZfsSite& site, const std::string& path) {
    return require(run_checked(site.exec({"sha256sum", path}))).substr(0, 64);
  }
  /// "name guid" of each snapshot's own part, sorted by creation.
  [[nodiscard]] static std::string snapshots_of(const lab::ZfsSite& site, const std::string& dataset) {
    const std::string lines = require(site.zfs({"list", "-H", "-r", "-t", "snapshot", "-o", "name", "-s", "creation", dataset}));
    std::string text;
    for (const std::string_view line : split(trim(lines), '\n')) {
      if (line.empty()) continue;
      const std::string name(line);
      text += name.substr(name.find('@')) + " " + std::string(trim(require(site.zfs({"get", "-Hp", "-o", "value", "guid", name})))) + "\n";
    }
    return text;
  }

  lab::Sandbox sandbox;
  ZfsStage zfs;
  app::ScratchFolder folder;
  app::InitPairReport files;
  std::string shim_folder;
  std::optional<Meter> meter;
  Child office;
  Child offsite;
  Child agent;

 private:
  static void add_to(const std::string& path, const std::string& text) {
    require(write_file(path, require(read_file(path, 1 << 16)) + text, 0600));
  }
};

}  // namespace lt::mirror::testing

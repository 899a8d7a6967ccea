#include "app/mirror_pair.h"

#include <chrono>
#include <filesystem>
#include <thread>

#include "app/control.h"
#include "app/mirror_site.h"
#include "app/native_pair.h"
#include "base/fd.h"
#include "base/text.h"
#include "lab/netns.h"

namespace lt::app {

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr std::uint16_t port = 5198;

Status make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  return error ? fail_errno(error.value(), "cannot make " + path) : Status{};
}

}  // namespace

Result<MirrorPair> MirrorPair::start(const lab::Sandbox& sandbox, const MirrorPairOptions& options) {
  LT_CHECK(lab::check_machine_for_zfs());
  MirrorPair pair;
  pair.options_ = options;
  const lab::Topology& topology = sandbox.topology();
  pair.office_network_ = lab::namespace_path(topology.namespace_of(lab::Host::office_gw));
  pair.offsite_network_ = lab::namespace_path(topology.namespace_of(lab::Host::offsite_gw));
  for (const char* name : {"/zfs-office", "/zfs-offsite", "/bin", "/state"}) LT_CHECK(make_folder(options.folder + name));
  LT_TRY(pair.files_, init_pair({.out = options.folder + "/pair",
                                 .endpoint = Endpoint{topology.office.wan_v4.address.text(), port}.text(),
                                 .lan = {topology.office.gateway_v4.network().text()},
                                 .peer_lan = {topology.offsite.gateway_v4.network().text()}}));
  LT_CHECK(pair.write_jobs());
  LT_TRY(pair.office_zfs_, lab::ZfsSite::start({.folder = options.folder + "/zfs-office"}));
  LT_TRY(pair.offsite_zfs_, lab::ZfsSite::start({.folder = options.folder + "/zfs-offsite"}));
  LT_CHECK(pair.office_zfs_.create_pool("tank", options.disk_bytes));
  LT_CHECK(pair.offsite_zfs_.create_pool("backup", options.disk_bytes));
  LT_TRY(const std::string data, pair.office_zfs_.zfs({"create", "tank/data"}));
  LT_TRY(const std::string home, pair.offsite_zfs_.zfs({"create", "backup/office"}));
  LT_CHECK(pair.start_daemons());
  return pair;
}

Status MirrorPair::write_jobs() const {
  std::error_code error;
  fs::create_symlink(options_.program, options_.folder + "/bin/ssh", error);
  if (error) return fail_errno(error.value(), "cannot make " + options_.folder + "/bin/ssh");
  LT_CHECK(write_file(options_.folder + "/office-jobs.toml",
                      "[mirror]\nstate_folder = \"" + options_.folder + "/state\"\nscratch = \"tank\"\n\n"
                      "[[mirror.job]]\nname = \"data\"\nsource = \"tank/data\"\ntarget = \"peer:backup/office/data\"\n",
                      0600));
  return write_file(options_.folder + "/offsite-jobs.toml",
                    "[mirror]\nstate_folder = \"" + options_.folder + "/state-offsite\"\n\n[[mirror.receive]]\ndataset = \"backup/office\"\n", 0600);
}

Status MirrorPair::start_daemons() {
  const auto up = [&](const std::string& network, const std::string& config, const std::string& log) {
    return Child::start({.argv = {"ip", "netns", "exec", fs::path(network).filename(), options_.program, "up", "--config", config, "--run-dir", options_.folder},
                         .output_path = options_.folder + "/" + log});
  };
  LT_TRY(office_, up(office_network_, files_.office.config_path, "office.log"));
  LT_TRY(offsite_, up(offsite_network_, files_.offsite.config_path, "offsite.log"));
  LT_CHECK(wait_until_up());
  return restart_agent();
}

Status MirrorPair::restart_agent() {
  (void)agent_.end(5s);
  const std::string log = options_.folder + "/agent.log";
  LT_TRY(agent_, Child::start({.argv = at_offsite({options_.program, "--json", "mirror", "agent", "--config", files_.offsite.config_path, "--jobs", options_.folder + "/offsite-jobs.toml"}),
                               .output_path = log}));
  const auto until = std::chrono::steady_clock::now() + options_.patience;
  while (true) {
    // The first to ask is the first proof that it answers.
    const auto answer = run_process(at_office({options_.folder + "/bin/ssh", "root@peer", "echo -n"}), {.deadline = options_.patience});
    if (answer && answer->exit_code == 0) return {};
    if (!agent_.is_running()) return fail(Errc::closed, "the agent ended: " + last_line(log));
    if (std::chrono::steady_clock::now() > until) {
      return fail(Errc::timed_out, "the agent does not answer: " + (answer ? printable(trim(answer->err), 300) : answer.error().text()));
    }
    std::this_thread::sleep_for(20ms);
  }
}

Status MirrorPair::wait_until_up() const {
  const auto until = std::chrono::steady_clock::now() + options_.patience;
  for (const char* site : {"office", "offsite"}) {
    while (true) {
      const auto status = ask_daemon(control_path(options_.folder, site), "status");
      if (status && status->value("state", "") == "up") break;
      if (std::chrono::steady_clock::now() > until) {
        return fail(Errc::timed_out, std::string("the link does not come up: ") + last_line(options_.folder + "/" + site + ".log"));
      }
      std::this_thread::sleep_for(20ms);
    }
  }
  return {};
}

Argv MirrorPair::at_office(const Argv& argv) const {
  Argv inside{"env", "PATH=" + options_.folder + "/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
              std::string(mirror_config_variable) + "=" + files_.office.config_path, std::string(mirror_jobs_variable) + "=" + options_.folder + "/office-jobs.toml"};
  inside.insert(inside.end(), argv.begin(), argv.end());
  return office_zfs_.exec(office_network_, inside);
}

Argv MirrorPair::at_offsite(const Argv& argv) const {
  Argv inside{"env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
  inside.insert(inside.end(), argv.begin(), argv.end());
  return offsite_zfs_.exec(offsite_network_, inside);
}

Argv MirrorPair::mirror_command(const Argv& words) const {
  Argv argv{options_.program, "mirror"};
  argv.insert(argv.end(), words.begin(), words.end());
  argv.insert(argv.end(), {"--config", files_.office.config_path, "--jobs", options_.folder + "/office-jobs.toml"});
  return at_office(argv);
}

Argv MirrorPair::syncoid_command() const {
  return at_office({options_.syncoid, "--quiet", "--compress=none", "--no-privilege-elevation", "tank/data", "root@peer:backup/office/data"});
}

Result<std::uint64_t> MirrorPair::bytes_sent() const {
  LT_TRY(const Json status, ask_daemon(control_path(options_.folder, "office"), "status"));
  const Json* const outbound = status.contains("outbound") ? &status["outbound"] : nullptr;
  if (outbound == nullptr || !outbound->contains("packet_bytes")) return fail(Errc::protocol, "the link does not tell what it has sent");
  return (*outbound)["packet_bytes"].get<std::uint64_t>();
}

}  // namespace lt::app

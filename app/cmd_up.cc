#include "app/cmd_up.h"

#include <poll.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "app/control.h"
#include "app/daemon.h"
#include "app/link_json.h"
#include "app/sweep_agent.h"
#include "base/text.h"
#include "configs/knob.h"
#include "configs/toml_reader.h"

namespace lt::app {

namespace {

namespace fs = std::filesystem;

Status apply_settings(configs::NativeKnobs& knobs, const std::vector<std::string>& settings) {
  for (const std::string& setting : settings) {
    const auto equals = setting.find('=');
    if (equals == std::string::npos) {
      return fail(Errc::invalid, "--set " + setting + ": write it as KNOB=VALUE, for example native.mtu=9000");
    }
    const auto set = configs::set_knob(knobs, setting.substr(0, equals), setting.substr(equals + 1));
    if (!set) return fail(with_context(set.error(), "--set"));
  }
  return {};
}

// The sites whose daemons have a socket here.
Result<std::vector<std::string>> running_sites(const std::string& run_directory) {
  std::vector<std::string> sites;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run_directory, error)) {
    if (entry.path().extension() == ".sock") sites.push_back(entry.path().stem().string());
  }
  if (error == std::errc::permission_denied) return fail(Errc::not_permitted, run_directory + " is not open to this user: run this as root");
  return sites;
}

// A config that is not there is a usage error like one that is wrong.
Result<configs::LinkConfig> load_config(const std::string& path) {
  auto config = configs::load_link_config(path);
  if (config || config.error().code != Errc::not_found) return config;
  return fail(Errc::invalid, path + " is not there: make a pair of configs with `linktune init --pair`");
}

Result<std::string> find_control_path(const AskOptions& options) {
  if (!options.config_path.empty()) {
    LT_TRY(const auto config, load_config(options.config_path));
    return control_path(options.run_directory, config.site);
  }
  if (!options.site.empty()) return control_path(options.run_directory, options.site);
  LT_TRY(const auto sites, running_sites(options.run_directory));
  if (sites.empty()) return fail(Errc::not_found, "no link runs here: start one with `linktune up --config FILE`");
  if (sites.size() > 1) {
    return fail(Errc::invalid, "several links run here (" + join(sites, ", ") + "): name one with --site");
  }
  return control_path(options.run_directory, sites.front());
}

}  // namespace

Status run_up(const UpOptions& options, Log& log) {
  LT_TRY(auto config, load_config(options.config_path));
  LT_CHECK(apply_settings(config.knobs, options.settings));
  SandboxMode sandbox = default_sandbox_mode();
  if (!options.sandbox.empty()) {
    LT_TRY(sandbox, parse_sandbox_mode(options.sandbox));
  }
  return run_daemon({.config = std::move(config), .run_directory = options.run_directory, .user = options.user, .sandbox = sandbox}, log);
}

Result<Outcome> run_status(const AskOptions& options) {
  LT_TRY(const std::string path, find_control_path(options));
  LT_TRY(Json status, ask_daemon(path, "status"));
  if (!status.contains("state")) return fail(Errc::protocol, "the link is still starting");
  const bool is_up = status["state"] == "up";
  const auto sweep = running_sweep(options.run_directory, fs::path(path).stem().string());
  status["sweep"] = sweep ? *sweep : Json();
  return Outcome{status, status_text(status) + (sweep ? running_sweep_text(*sweep) : ""), is_up ? exit_done : exit_failed};
}

Result<Outcome> run_down(const AskOptions& options) {
  LT_TRY(const std::string path, find_control_path(options));
  LT_TRY(const Json answer, ask_daemon(path, "stop"));
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (::access(path.c_str(), F_OK) == 0) {
    if (std::chrono::steady_clock::now() > until) return fail(Errc::timed_out, "the link does not end");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return Outcome{{{"schema", "linktune.down.1"}, {"ended", true}}, "the link is down\n"};
}

}  // namespace lt::app

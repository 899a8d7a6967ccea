#include "app/native_pair.h"

#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "app/cmd_init.h"
#include "app/control.h"
#include "base/text.h"

namespace lt::app {

std::string own_program() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "linktune" : path.string();
}

std::string last_line(const std::string& path) {
  const auto text = read_file(path, 1 << 20);
  if (!text) return {};
  const std::string_view lines = trim(*text);
  const auto at = lines.rfind('\n');
  return printable(at == std::string_view::npos ? lines : lines.substr(at + 1), 200);
}

namespace {

bool is_up(const std::string& folder, const char* site) {
  const auto status = ask_daemon(control_path(folder, site), "status");
  return status && status->contains("state") && (*status)["state"] == "up";
}

Result<Child> start_daemon(const lab::Sandbox& sandbox, lab::Host host, const std::string& config,
                           const std::string& folder, const std::string& log) {
  return Child::start({.argv = sandbox.exec(host, {own_program(), "up", "--config", config, "--run-dir", folder}),
                       .output_path = log});
}

}  // namespace

Result<NativePair> NativePair::start(const lab::Sandbox& sandbox, const NativePairOptions& options) {
  const lab::Topology& topology = sandbox.topology();
  const std::string endpoint = Endpoint{topology.office.wan_v4.address.text(), options.place.port}.text();
  LT_TRY(const auto files, init_pair({.out = options.folder,
                                      .endpoint = endpoint,
                                      .lan = {topology.office.gateway_v4.network().text(),
                                              topology.office.gateway_v6.network().text()},
                                      .peer_lan = {topology.offsite.gateway_v4.network().text(),
                                                   topology.offsite.gateway_v6.network().text()},
                                      .tunnel = options.place.office.text(),
                                      .peer_tunnel = options.place.offsite.text(),
                                      .device = options.place.device,
                                      .knobs = options.knobs}));
  NativePair pair;
  pair.folder_ = options.folder;
  pair.office_config_ = files.office.config_path;
  LT_TRY(pair.office_, start_daemon(sandbox, lab::Host::office_gw, files.office.config_path, options.folder,
                                    options.folder + "/office.log"));
  LT_TRY(pair.offsite_, start_daemon(sandbox, lab::Host::offsite_gw, files.offsite.config_path, options.folder,
                                     options.folder + "/offsite.log"));
  LT_CHECK(pair.wait_until_up(options.patience));
  return pair;
}

Status NativePair::wait_until_up(std::chrono::milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!is_up(folder_, "office") || !is_up(folder_, "offsite")) {
    for (auto [child, site] : {std::pair{&office_, "office"}, std::pair{&offsite_, "offsite"}}) {
      if (!child->is_running()) {
        return fail(Errc::closed, std::string("the ") + site + " end of the link ended: " +
                                      last_line(folder_ + "/" + site + ".log"));
      }
    }
    if (std::chrono::steady_clock::now() > until) {
      return fail(Errc::timed_out, "the two ends did not join: " + last_line(folder_ + "/offsite.log"));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return {};
}

Result<Json> NativePair::status() const { return ask_daemon(control_path(folder_, "office"), "status"); }

bool NativePair::end() {
  office_.signal(SIGTERM);
  offsite_.signal(SIGTERM);
  const int office = office_.end(std::chrono::seconds(4));
  const int offsite = offsite_.end(std::chrono::seconds(4));
  return office == 0 && offsite == 0;
}

}  // namespace lt::app

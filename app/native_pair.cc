#include "app/native_pair.h"

#include <array>

#include "app/cmd_init.h"
#include "app/control.h"

namespace lt::app {

namespace {

Enter enter_of(const lab::Sandbox& sandbox, lab::Host host) {
  return [&sandbox, host](const Argv& argv) { return sandbox.exec(host, argv); };
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
  LT_TRY(pair.office_, TrialSide::start_native(enter_of(sandbox, lab::Host::office_gw), files.office.config_path,
                                               options.folder, "office"));
  LT_TRY(pair.offsite_, TrialSide::start_native(enter_of(sandbox, lab::Host::offsite_gw), files.offsite.config_path,
                                                options.folder, "offsite"));
  const std::array<TrialSide*, 2> sides{&pair.office_, &pair.offsite_};
  LT_CHECK(wait_for_sides(sides, [] { return true; }, options.patience, "the two ends did not join"));
  return pair;
}

Result<Json> NativePair::status() const { return ask_daemon(control_path(folder_, "office"), "status"); }

bool NativePair::end() {
  office_.tell_to_end();
  offsite_.tell_to_end();
  const bool office = office_.end();
  const bool offsite = offsite_.end();
  return office && offsite;
}

}  // namespace lt::app

#include "app/cmd_mirror_agent.h"

#include "app/cmd_mirror_proof.h"
#include "app/mirror_site.h"

namespace lt::app {

namespace {

void log_event(Log& log, const mirror::AgentEvent& event) {
  using Kind = mirror::AgentEvent::Kind;
  const Log::Fields fields = {{"detail", event.text}};
  switch (event.kind) {
    case Kind::listening: return log.info("mirror_listening", fields);
    case Kind::stranger: return log.warn("mirror_stranger", fields);
    case Kind::attached: return log.debug("mirror_attached", fields);
    case Kind::refused: return log.warn("mirror_refused", fields);
    case Kind::started: return log.info("mirror_started", fields);
    case Kind::ended: return log.debug("mirror_ended", fields);
    case Kind::lost: return log.warn("mirror_lost", fields);
  }
}

}  // namespace

Status run_mirror_agent(const MirrorAgentOptions& options, std::map<std::string, mirror::RequestHandler> requests,
                        std::stop_token stop, Log& log) {
  LT_TRY(const MirrorSite site, MirrorSite::load(options.config_path, options.jobs_path));
  const configs::MirrorConfig& config = site.mirror();
  requests.merge(proof_requests({.receive = config.receive, .read = config.read}));
  LT_TRY(auto agent, mirror::Agent::create({.own = site.own_address(),
                                            .peer = site.peer_address(),
                                            .port = config.agent_port,
                                            .device = site.link().device,
                                            .identification = site.identification(),
                                            .services = {.rules = {.receive = config.receive, .read = config.read},
                                                         .requests = std::move(requests),
                                                         .on_event = [&log](const mirror::AgentEvent& event) { log_event(log, event); }},
                                            .session_hold = config.session_hold,
                                            .window_max = config.window.value}));
  if (config.receive.empty() && config.read.empty()) {
    log.warn("mirror_nothing_allowed", {{"cure", "name what the other site may write into: [[mirror.receive]] with dataset = \"POOL/DATASET\""}});
  }
  const Status ended = agent.run(stop);
  log.info("mirror_stopped");
  return ended;
}

}  // namespace lt::app

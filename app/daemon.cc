#include "app/daemon.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <iterator>
#include <thread>

#include "app/control.h"
#include "app/keeper.h"
#include "app/link_json.h"
#include "app/notify.h"
#include "app/route_guard.h"
#include "app/warm_up.h"
#include "base/defer.h"
#include "crypto/aead.h"
#include "crypto/identity.h"
#include "crypto/kdf.h"
#include "crypto/tls_channel.h"
#include "tunnel/link.h"
#include "tunnel/queue_plan.h"
#include "tunnel/netlink.h"
#include "tunnel/steering.h"
#include "tunnel/tun_device.h"
#include "tunnel/uring_port.h"

namespace lt::app {

namespace {

using configs::IoChoice;
using configs::LinkConfig;

// A service manager hands keys over in a folder of this one service's; what lies there goes before the config's path.
std::string credential_or(const char* name, const std::string& path) {
  const char* const folder = ::secure_getenv("CREDENTIALS_DIRECTORY");
  const std::string handed = folder == nullptr ? "" : std::string(folder) + "/" + name;
  return !handed.empty() && ::access(handed.c_str(), F_OK) == 0 ? handed : path;
}

// All that stays of the keys: the private one lives on in OpenSSL's locked pages only.
struct Keys {
  crypto::PublicKey own;
  crypto::TlsContext tls;
  std::optional<crypto::Secret<32>> psk;
};

// A key file that the config names and that is not there is a fault of the config: starting again does not mend it.
template <class T>
Result<T> named_by_config(Result<T> loaded) {
  if (!loaded && loaded.error().code == Errc::not_found) loaded.error().code = Errc::invalid;
  return loaded;
}

Result<Keys> load_keys(const LinkConfig& config) {
  const std::string path = credential_or("key", config.key_path);
  LT_TRY(const auto identity, named_by_config(crypto::Identity::load(path)));
  if (config.public_key && !crypto::equal_constant_time(*config.public_key, identity.public_key())) {
    return fail(Errc::invalid, path + " is not the key of this config (it is " +
                                   crypto::public_key_text(identity.public_key()) +
                                   "): put back the right file, or correct public_key");
  }
  LT_TRY(auto tls, crypto::TlsContext::create(identity));
  std::optional<crypto::Secret<32>> psk;
  if (config.psk_path) {
    LT_TRY(psk, named_by_config(crypto::load_psk(credential_or("psk", *config.psk_path))));
  }
  return Keys{identity.public_key(), std::move(tls), std::move(psk)};
}

Result<tunnel::IoBackend> choose_io(IoChoice choice, int tun_fd, Log& log) {
  if (choice == IoChoice::epoll) return tunnel::IoBackend::epoll;
  const auto usable = tunnel::UringPort::probe(tun_fd);
  if (usable) return tunnel::IoBackend::io_uring;
  if (choice == IoChoice::io_uring) return fail(with_context(usable.error(), "io = \"io_uring\" is not possible here"));
  log.info("io_fallback", {{"to", "epoll"}, {"why", usable.error().text()}});
  return tunnel::IoBackend::epoll;
}

// The processor is asked once, before the sandbox closes.
Result<crypto::AeadBackend> choose_aead(configs::AeadChoice choice) {
  using enum crypto::AeadBackend;
  switch (choice) {
    case configs::AeadChoice::automatic: return crypto::resolve(automatic);
    case configs::AeadChoice::openssl: return crypto::resolve(openssl);
    case configs::AeadChoice::ipsec_mb: return crypto::resolve(ipsec_mb);
  }
  return crypto::resolve(automatic);
}

// A daemon that was killed leaves its device until the kernel has ended its I/O, which takes some tenths of a second
// with io_uring: the next start waits for that instead of giving up.
constexpr auto device_patience = std::chrono::seconds(3);

Result<tunnel::TunDevice> create_device(const LinkConfig& config, std::size_t queues) {
  const auto until = std::chrono::steady_clock::now() + device_patience;
  for (;;) {
    auto device = tunnel::TunDevice::create(
        {.name = config.device, .queues = queues, .offload = config.knobs.offload, .nonblocking = true});
    const bool is_taken = !device && device.error().code == Errc::busy;
    if (!is_taken || std::chrono::steady_clock::now() > until) return device;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

struct SteeredDevice {
  tunnel::TunDevice device;
  std::optional<tunnel::Steering> steering;  // none: one queue, one lane
  tunnel::QueuePlan plan;
};

// Queues for each lane, and a program that tells the kernel which. Without either there is one lane with one queue, which is no
// worse for one flow, and ping waits behind bulk.
Result<SteeredDevice> create_steered_device(const LinkConfig& config, Log& log) {
  const tunnel::QueuePlan plan = tunnel::plan_queues(config.knobs.lanes, config.knobs.express, config.knobs.flow_queues);
  Error why;
  if (plan.total() > 1) {
    auto device = create_device(config, plan.total());
    if (!device && device.error().code != Errc::unsupported) return fail(device.error());
    if (device) {
      auto steering = tunnel::Steering::attach(device->fd());
      if (steering) return SteeredDevice{std::move(*device), std::move(*steering), plan};
      why = steering.error();
    } else {
      why = device.error();
    }
    log.warn("lanes_fallback", {{"to", "one lane with one queue, without express"}, {"why", why.text()}});
  }
  LT_TRY(auto device, create_device(config, 1));
  return SteeredDevice{std::move(device), std::nullopt, {}};
}

// The device, up and tested, without addresses.
Result<SteeredDevice> make_device(const LinkConfig& config, Log& log) {
  LT_TRY(auto steered, create_steered_device(config, log));
  tunnel::TunDevice& device = steered.device;
  LT_TRY(const auto remarks, tunnel::bring_up({.name = config.device, .mtu = config.knobs.mtu, .queue = config.knobs.tun_queue}));
  for (const std::string& remark : remarks) log.warn("device_switch", {{"remark", remark}});
  if (const auto tested = tunnel::self_test(device); !tested) {
    log.warn("offload_fallback", {{"to", "plain packets"}, {"why", tested.error().text()}});
    LT_CHECK(device.disable_offload());
  }
  return steered;
}

// Flows go to the lanes that run; without an express lane what is urgent goes with the bulk, and the other way round.
void steer(tunnel::Steering& steering, const tunnel::QueuePlan& plan, const tunnel::LanesUp& up) {
  const auto express = up.express ? std::optional(plan.of_lane(*up.express).front()) : std::nullopt;
  std::vector<std::uint32_t> queues;
  for (std::size_t lane = 0; lane < up.bulk.size(); ++lane) {
    if (up.bulk[lane]) std::ranges::copy(plan.of_lane(lane), std::back_inserter(queues));
  }
  if (queues.empty() && express) queues.push_back(*express);
  if (queues.empty()) return;  // nothing runs: what comes waits where it always went
  steering.spread_over(queues);
  steering.steer_express_to(express.value_or(queues.front()));
}

std::vector<std::vector<int>> queues_of(const tunnel::TunDevice& device, const tunnel::QueuePlan& plan) {
  std::vector<std::vector<int>> lanes(plan.lanes());
  for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
    for (const std::uint32_t queue : plan.of_lane(lane)) lanes[lane].push_back(device.queue_fd(queue));
  }
  return lanes;
}

void log_event(Log& log, const tunnel::LinkEvent& event) {
  using Kind = tunnel::LinkEventKind;
  const Log::Fields fields = {{"peer", event.peer}, {"detail", event.detail}};
  switch (event.kind) {
    case Kind::listening: return log.info("listening", fields);
    case Kind::connect_failed: return log.warn("connect_failed", fields);
    case Kind::handshake_failed: return log.warn("handshake_failed", fields);
    case Kind::stranger: return log.debug("stranger", fields);
    case Kind::session_up: return log.info("session_up", fields);
    case Kind::lane_up: return log.info("lane_up", fields);
    case Kind::lane_ended: return log.info("lane_ended", fields);
    case Kind::path_narrow: return log.warn("path_narrow", fields);
  }
}

}  // namespace

namespace {

// From all privileges to none. @return whether files are restricted, too
Result<bool> give_up_privileges(const ServiceUser& user, SandboxMode sandbox, tunnel::IoBackend io,
                                std::atomic<Stage>& stage, Log& log) {
  LT_CHECK(warm_up_tls());
  if (const auto locked = lock_memory(); !locked) log.warn("memory_not_locked", {{"why", locked.error().text()}});
  stage = Stage::memory_guarded;
  LT_CHECK(become(user));
  if (!user.is_own()) log.warn("keeps_root", {{"why", "there is no user linktune, and no other could be taken: `useradd --system linktune`"}});
  stage = Stage::user_changed;
  LT_CHECK(drop_capabilities());
  stage = Stage::without_capabilities;
  bool restricted = false;
  if (sandbox == SandboxMode::enforce) {
    LT_TRY(restricted, restrict_files());
  }
  LT_CHECK(close_sandbox(sandbox, io == tunnel::IoBackend::io_uring));
  if (sandbox == SandboxMode::enforce) stage = Stage::sandboxed;
  return restricted;
}

}  // namespace

Status run_daemon(const DaemonOptions& options, Log& log) {
  const LinkConfig& config = options.config;
  std::atomic<Stage> stage{Stage::starting};
  clear_surroundings();
  forbid_dumps();

  LT_TRY(const auto user, find_service_user(options.user));
  tunnel::StreamOptions stream{.congestion_control = config.knobs.congestion_control,
                               .notsent_lowat = config.knobs.notsent_lowat,
                               .mark = tunnel::outer_mark};  // unmarked, it would follow the routes of its own link
  const std::string socket_path = control_path(options.run_directory, config.site);
  LT_TRY(const auto keeper, Keeper::start({.routes = {.device = config.device,
                                                      .tunnel_addresses = config.tunnel_addresses,
                                                      .peer_prefixes = config.peer_prefixes,
                                                      .bypass_user = user.is_own() ? std::optional(user.uid) : std::nullopt},
                                           .stream = stream,
                                           .mtu_max = config.knobs.mtu,
                                           .control_path = socket_path,
                                           .sandbox = options.sandbox}));
  stream.make_socket = [&keeper](Family family) { return keeper->make_socket(family); };
  // Beyond this point no process is made.

  LT_TRY(auto keys, load_keys(config));
  stage = Stage::configured;
  // Beyond this point no key file is read.

  tunnel::Link* running = nullptr;
  std::function<Json()> status;
  ControlServer* server = nullptr;
  LT_TRY(const auto control, ControlServer::create(socket_path, [&](const std::string& request) -> Json {
    if (request == "status" && running != nullptr) return status();
    if (request == "stop") server->stop();
    if (request == "stop" || request == "ping") return {{"schema", "linktune.answer.1"}, {"answer", "yes"}};
    return {{"schema", "linktune.error.1"}, {"error", "unknown request"}};
  }));
  server = control.get();
  std::atomic<bool> leaves_traces{false};
  LT_DEFER(if (!leaves_traces) keeper->finish());

  LT_TRY(auto steered, make_device(config, log));
  tunnel::TunDevice& device = steered.device;
  LT_TRY(const auto io, choose_io(config.knobs.io, device.fd(), log));
  LT_TRY(const auto aead, choose_aead(config.knobs.aead));
  LT_TRY(const auto link, tunnel::Link::create(
      {.listen = config.listen,
       .connect = config.connect,
       .tls = &keys.tls,
       .own_key = keys.own,
       .peer_key = config.peer_public_key,
       .psk = std::move(keys.psk),
       .tun_queues = queues_of(device, steered.plan),
       .lanes = static_cast<std::uint8_t>(steered.plan.lanes()),
       .express = steered.steering.has_value() && config.knobs.express,
       .tun_offload = device.offload(),
       .io = io,
       .tun_mtu = config.knobs.mtu,
       .record_bytes_max = config.knobs.record_size.value,
       .admission = {.local_prefixes = config.local_prefixes,
                     .peer_prefixes = config.peer_prefixes,
                     .tunnel_addresses = config.tunnel_addresses,
                     .mtu = config.knobs.mtu},
       .stream = stream,
       .queue_target = std::chrono::milliseconds(config.knobs.queue_delay),
       .aead = aead,
       .on_event = [&log](const tunnel::LinkEvent& event) { log_event(log, event); },
       .on_agreed_mtu = [&keeper](std::uint32_t mtu) { return keeper->set_mtu(mtu); },
       .on_lanes = [&steered](const tunnel::LanesUp& up) {
         if (steered.steering) steer(*steered.steering, steered.plan, up);
       }}));
  LT_CHECK(keeper->install());
  stage = Stage::listening;
  // Beyond this point the far prefixes lead into the link or nowhere.

  LT_TRY(const bool files_restricted, give_up_privileges(user, options.sandbox, io, stage, log));
  control->leave_socket();
  // Beyond this point there is no privilege, and only now is anybody spoken to.

  Error mishap;
  LT_TRY(const auto guard, RouteGuard::start(config.device, *keeper, log, [&](Error error) {
    mishap = std::move(error);
    leaves_traces = true;  // rules and unreachable routes: nothing leaves in clear until the next start
    server->stop();
  }));
  running = link.get();
  status = [&] {
    Json json = status_json(config, link->snapshot(), io, device.offload());
    json["aead"] = std::string(crypto::name_of(aead));
    json["sandbox"] = sandbox_json(stage, user, files_restricted);
    return json;
  };
  log.info("started", {{"site", config.site}, {"device", config.device},
                       {"io", io == tunnel::IoBackend::io_uring ? "io_uring" : "epoll"},
                       {"aead", crypto::name_of(aead)},
                       {"offload", device.offload() ? "on" : "off"},
                       {"stage", name_of(stage)}, {"user", user.name}});
  Status ended;
  std::thread runner([&] {
    ended = link->run();
    server->stop();
  });
  {
    const Notifier notifier("the link of " + config.site + " is being kept", [&] { static_cast<void>(link->snapshot()); });
    control->run();
  }
  link->stop();
  runner.join();
  if (leaves_traces) return fail(mishap);
  log.info("stopped", {{"site", config.site}});
  return ended;
}

}  // namespace lt::app

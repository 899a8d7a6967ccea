#include "app/daemon.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <thread>

#include "app/control.h"
#include "app/link_json.h"
#include "crypto/identity.h"
#include "crypto/kdf.h"
#include "crypto/tls_channel.h"
#include "tunnel/link.h"
#include "tunnel/netlink.h"
#include "tunnel/tun_device.h"
#include "tunnel/uring_port.h"

namespace lt::app {

namespace {

using configs::IoChoice;
using configs::LinkConfig;

// Keys never reach a core file, another process's debugger, or a log of TLS secrets.
void guard_secrets() {
  ::prctl(PR_SET_DUMPABLE, 0);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::unsetenv("SSLKEYLOGFILE");  // newer OpenSSL can be built to obey it
}

Result<crypto::Identity> load_identity(const LinkConfig& config) {
  LT_TRY(auto identity, crypto::Identity::load(config.key_path));
  if (config.public_key && !crypto::equal_constant_time(*config.public_key, identity.public_key())) {
    return fail(Errc::invalid, config.key_path + " is not the key of this config (it is " +
                                   crypto::public_key_text(identity.public_key()) +
                                   "): put back the right file, or correct public_key");
  }
  return identity;
}

Result<tunnel::IoBackend> choose_io(IoChoice choice, int tun_fd, Log& log) {
  if (choice == IoChoice::epoll) return tunnel::IoBackend::epoll;
  const auto usable = tunnel::UringPort::probe(tun_fd);
  if (usable) return tunnel::IoBackend::io_uring;
  if (choice == IoChoice::io_uring) return fail(with_context(usable.error(), "io = \"io_uring\" is not possible here"));
  log.info("io_fallback", {{"to", "epoll"}, {"why", usable.error().text()}});
  return tunnel::IoBackend::epoll;
}

// A daemon that was killed leaves its device until the kernel has ended its I/O, which takes some tenths of a second
// with io_uring: the next start waits for that instead of giving up.
constexpr auto device_patience = std::chrono::seconds(3);

Result<tunnel::TunDevice> create_device(const LinkConfig& config) {
  const auto until = std::chrono::steady_clock::now() + device_patience;
  for (;;) {
    auto device = tunnel::TunDevice::create(
        {.name = config.device, .offload = config.knobs.offload, .nonblocking = true});
    const bool is_taken = !device && device.error().code == Errc::busy;
    if (!is_taken || std::chrono::steady_clock::now() > until) return device;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

// The device, up and tested, without addresses.
Result<tunnel::TunDevice> make_device(const LinkConfig& config, Log& log) {
  LT_TRY(auto device, create_device(config));
  LT_TRY(const auto remarks, tunnel::bring_up({.name = config.device, .mtu = config.knobs.mtu, .queue = config.knobs.tun_queue}));
  for (const std::string& remark : remarks) log.warn("device_switch", {{"remark", remark}});
  if (const auto tested = tunnel::self_test(device); !tested) {
    log.warn("offload_fallback", {{"to", "plain packets"}, {"why", tested.error().text()}});
    LT_CHECK(device.disable_offload());
  }
  return device;
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
    case Kind::lane_ended: return log.info("lane_ended", fields);
  }
}

}  // namespace

Status run_daemon(const DaemonOptions& options, Log& log) {
  const LinkConfig& config = options.config;
  guard_secrets();
  std::signal(SIGPIPE, SIG_IGN);

  LT_TRY(const auto identity, load_identity(config));
  LT_TRY(const auto tls, crypto::TlsContext::create(identity));
  std::optional<crypto::Secret<32>> psk;
  if (config.psk_path) {
    LT_TRY(psk, crypto::load_psk(*config.psk_path));
  }
  // Beyond this point no key file is read.

  tunnel::Link* running = nullptr;
  std::function<Json()> status;
  ControlServer* server = nullptr;
  LT_TRY(const auto control, ControlServer::create(control_path(options.run_directory, config.site), [&](const std::string& request) -> Json {
    if (request == "status" && running != nullptr) return status();
    if (request == "stop") server->stop();
    if (request == "stop" || request == "ping") return {{"schema", "linktune.answer.1"}, {"answer", "yes"}};
    return {{"schema", "linktune.error.1"}, {"error", "unknown request"}};
  }));
  server = control.get();

  LT_TRY(auto device, make_device(config, log));
  LT_TRY(const auto io, choose_io(config.knobs.io, device.fd(), log));
  // Unmarked, the link's own packets would follow the routes that it is about to make.
  const tunnel::StreamOptions stream{.congestion_control = config.knobs.congestion_control,
                                     .notsent_lowat = config.knobs.notsent_lowat,
                                     .mark = tunnel::outer_mark};
  LT_TRY(const auto link, tunnel::Link::create(
      {.listen = config.listen,
       .connect = config.connect,
       .tls = &tls,
       .own_key = identity.public_key(),
       .peer_key = config.peer_public_key,
       .psk = std::move(psk),
       .tun_fd = device.fd(),
       .tun_offload = device.offload(),
       .io = io,
       .tun_mtu = config.knobs.mtu,
       .record_bytes_max = config.knobs.record_size.value,
       .admission = {.local_prefixes = config.local_prefixes,
                     .peer_prefixes = config.peer_prefixes,
                     .tunnel_addresses = config.tunnel_addresses,
                     .mtu = config.knobs.mtu},
       .stream = stream,
       .on_event = [&log](const tunnel::LinkEvent& event) { log_event(log, event); },
       .on_agreed_mtu = [&config](std::uint32_t mtu) -> Status {
         LT_TRY(auto netlink, tunnel::Netlink::open());
         return netlink.set_mtu(config.device, mtu);
       }}));
  LT_TRY(const auto routes, tunnel::SiteRoutes::install({.device = config.device,
                                                         .tunnel_addresses = config.tunnel_addresses,
                                                         .peer_prefixes = config.peer_prefixes}));
  // Beyond this point the far prefixes lead into the link or nowhere.

  running = link.get();
  status = [&] { return status_json(config, link->snapshot(), io, device.offload()); };
  log.info("started", {{"site", config.site}, {"device", config.device},
                       {"io", io == tunnel::IoBackend::io_uring ? "io_uring" : "epoll"},
                       {"offload", device.offload() ? "on" : "off"}});
  Status ended;
  std::thread runner([&] {
    ended = link->run();
    server->stop();
  });
  control->run();
  link->stop();
  runner.join();
  log.info("stopped", {{"site", config.site}});
  return ended;
}

}  // namespace lt::app

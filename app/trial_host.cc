#include "app/trial_host.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "app/arm_knobs.h"
#include "app/cmd_openvpn.h"
#include "base/socket_address.h"
#include "configs/toml_writer.h"

namespace lt::app {

namespace {

constexpr unsigned certificate_days = 30;  // of keys that live as long as a lease

// A port that another program holds is no fault of the arm.
Status check_free(const Endpoint& endpoint) {
  const auto address = IpAddress::parse(endpoint.host);
  if (!address) return {};
  const SocketAddress at = SocketAddress::of(*address, endpoint.port);
  for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
    const Fd socket(::socket(at.storage.ss_family, type | SOCK_CLOEXEC, 0));
    if (!socket.is_open()) return fail_errno(errno, "cannot make a socket");
    const int on = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(socket.get(), at.raw(), at.length) == 0) continue;
    return fail(Errc::busy, "the port of trials, " + endpoint.text() + (type == SOCK_STREAM ? " TCP" : " UDP") +
                                ", is taken by another program: end it, or write another trial_port below [sweep] at both sites");
  }
  return {};
}

Argv here(const Argv& argv) { return argv; }

}  // namespace

std::optional<configs::OpenVpnVersion> openvpn_here() {
  auto version = installed_openvpn_version();
  return version ? std::optional(*version) : std::nullopt;
}

Result<std::unique_ptr<TrialHost>> TrialHost::create(const configs::LinkConfig& config, const std::string& run_directory) {
  LT_TRY(const Prefix address, configs::trial_address(config));
  LT_TRY(auto folder, TrialFolder::take(run_directory, config.site, config.sweep.device));
  LT_TRY(auto identity, crypto::Identity::generate());
  std::unique_ptr<TrialHost> host(new TrialHost(config, address, std::move(folder), std::move(identity)));
  LT_TRY(host->certificate_, crypto::make_self_signed(config.site, certificate_days));
  return host;
}

TrialHost::~TrialHost() { stop(); }

TrialKeysShown TrialHost::shown() const {
  return {identity_.public_key(), certificate_.certificate, certificate_.fingerprint_sha256};
}

Endpoint TrialHost::endpoint() const {
  return {(config_.listen ? config_.listen : config_.connect)->host, config_.sweep.trial_port};
}

Status TrialHost::start(const tuner::Arm& arm, const TrialPeer& peer) {
  stop();
  if (!address_.contains(peer.trial_address) || peer.trial_address == address_.address) {
    return fail(Errc::invalid, "the sites' addresses of trials, " + address_.text() + " here and " + peer.trial_address.text() +
                                   " there, are no pair: write two addresses of one network below [sweep]");
  }
  if (arm.carrier == tuner::ArmCarrier::bare) return {};
  if (config_.listen) LT_CHECK(check_free(endpoint()));
  const std::string folder = folder_.path() + "/start-" + std::to_string(++starts_);
  if (::mkdir(folder.c_str(), 0700) != 0) return fail_errno(errno, "cannot make " + folder);
  switch (arm.carrier) {
    case tuner::ArmCarrier::native: return start_native(arm, peer, folder);
    case tuner::ArmCarrier::openvpn: return start_openvpn(arm, peer, folder);
    case tuner::ArmCarrier::bare:
    case tuner::ArmCarrier::wireguard: break;
  }
  return fail(Errc::unsupported, "WireGuard is not tried between two hosts");
}

Status TrialHost::start_native(const tuner::Arm& arm, const TrialPeer& peer, const std::string& folder) {
  configs::LinkConfig trial;
  trial.site = config_.site;
  trial.key_path = folder + "/trial.key";
  trial.peer_public_key = peer.keys.native;
  (config_.listen ? trial.listen : trial.connect) = endpoint();
  trial.device = config_.sweep.device;
  trial.tunnel_addresses = {address_};
  trial.sweep.device = config_.device;  // no trials within a trial: what is its own is not free for them
  trial.sweep.port = config_.sweep.trial_port;
  trial.sweep.trial_port = config_.sweep.port;
  LT_TRY(trial.knobs, native_knobs_of(arm));
  LT_CHECK(identity_.save(trial.key_path));
  const std::string path = folder + "/trial.toml";
  LT_CHECK(write_file(path, configs::write_link_config(trial), 0600));
  LT_TRY(side_, TrialSide::start_native(here, path, folder, config_.site));
  return {};
}

Status TrialHost::start_openvpn(const tuner::Arm& arm, const TrialPeer& peer, const std::string& folder) {
  LT_TRY(const auto knobs, openvpn_knobs_of(arm));
  LT_TRY(const auto version, installed_openvpn_version());
  configs::OpenVpnSite own{.name = config_.site,
                           .certificate = certificate_.certificate,
                           .private_key = certificate_.private_key,
                           .fingerprint = certificate_.fingerprint_sha256,
                           .tunnel_addresses = {address_},
                           .local_prefixes = {},
                           .endpoint = endpoint(),
                           .device = config_.sweep.device,
                           .client_config_dir = folder + "/clients"};
  configs::OpenVpnSite other = own;  // its private half stays with it: only our own file is written
  other.name = peer.site;
  other.certificate = peer.keys.certificate;
  other.fingerprint = peer.keys.fingerprint;
  other.tunnel_addresses = {Prefix{peer.trial_address, address_.length}};
  const bool serves = config_.listen.has_value();
  LT_TRY(const auto pair, configs::write_openvpn_pair(serves ? own : other, serves ? other : own, knobs, version));
  const std::string path = folder + "/openvpn.conf";
  LT_CHECK(write_file(path, serves ? pair.server : pair.client, 0600));
  if (serves && pair.client_config) {
    if (::mkdir(own.client_config_dir.c_str(), 0700) != 0) return fail_errno(errno, "cannot make " + own.client_config_dir);
    LT_CHECK(write_file(own.client_config_dir + "/" + peer.site, *pair.client_config, 0600));
  }
  LT_TRY(side_, TrialSide::start_openvpn(here, "openvpn", path, folder + "/openvpn.log", "OpenVPN of " + config_.site));
  return {};
}

Result<bool> TrialHost::is_ready() { return side_ ? side_->is_ready() : Result<bool>(true); }

void TrialHost::note(const TrialNotice& notice) const {
  const Json json{{"schema", "linktune.sweep.notice.1"}, {"who", notice.who}, {"what", notice.what}, {"until", notice.until}};
  if (const Status written = write_file(folder_.path() + "/notice.json", to_line(json) + "\n", 0600); !written) return;
}

void TrialHost::stop() {
  if (side_) side_->end();
  side_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(folder_.path() + "/start-" + std::to_string(starts_), ignored);
}

}  // namespace lt::app

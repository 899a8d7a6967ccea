#include "app/mirror_site.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <csignal>

#include "configs/toml_reader.h"

namespace lt::app {

namespace {

void guard_secrets() {
  ::prctl(PR_SET_DUMPABLE, 0);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  std::signal(SIGPIPE, SIG_IGN);
}

// A config that is not there is a usage error like one that is wrong.
template <class Config>
Result<Config> found(Result<Config> config, const std::string& path) {
  if (config || config.error().code != Errc::not_found) return config;
  return fail(Errc::invalid, path + " is not there: name the site's config with --config");
}

}  // namespace

Result<MirrorSite> MirrorSite::load(const std::string& config_path, const std::string& jobs_path) {
  guard_secrets();
  MirrorSite site;
  const std::string& mirror_path = jobs_path.empty() ? config_path : jobs_path;
  LT_TRY(site.link_, found(configs::load_link_config(config_path), config_path));
  LT_TRY(site.mirror_, found(configs::load_mirror_config(mirror_path), mirror_path));
  LT_TRY(site.peer_, configs::mirror_peer_address(site.mirror_, site.link_.tunnel_addresses));
  std::optional<IpAddress> own = site.mirror_.agent_address;
  for (const Prefix& address : site.link_.tunnel_addresses) {
    if (!own && address.address.family == site.peer_.family) own = address.address;
  }
  if (!own || own->family != site.peer_.family) {
    return fail(Errc::invalid, mirror_path + ": mirror.agent_address: has to be an address of this site in the tunnel, of the same family as the peer's");
  }
  site.own_ = *own;
  LT_TRY(auto identity, crypto::Identity::load(site.link_.key_path));
  site.identity_ = std::make_shared<const crypto::Identity>(std::move(identity));
  return site;
}

mirror::Identification MirrorSite::identification() const {
  return {.sign = [identity = identity_](ByteView text) { return identity->sign(text); },
          .is_peer = [key = link_.peer_public_key](ByteView text, const mirror::Signature& signature) {
            return crypto::is_signed(text, signature, key);
          }};
}

mirror::RemoteOptions MirrorSite::remote_options() const {
  return {.own = own_,
          .peer = peer_,
          .port = mirror_.agent_port,
          .device = link_.device,
          .identification = identification(),
          .window = mirror_.window.value,
          .hold = mirror_.session_hold};
}

}  // namespace lt::app

#include "app/cmd_init.h"

#include <algorithm>
#include <optional>

#include "app/new_files.h"
#include "base/fd.h"
#include "configs/toml_reader.h"
#include "configs/toml_writer.h"
#include "crypto/identity.h"

namespace lt::app {

namespace {

constexpr unsigned config_mode = 0644;  // holds no secret

using configs::LinkConfig;

tl::unexpected<Error> bad_option(std::string_view option, std::string_view what) {
  return fail(Errc::invalid, std::string(option) + ": " + std::string(what));
}

Result<std::vector<Prefix>> read_prefixes(std::string_view option,
                                          const std::vector<std::string>& texts) {
  std::vector<Prefix> prefixes;
  for (const std::string& text : texts) {
    const auto prefix = Prefix::parse(text);
    if (!prefix)
      return bad_option(
          option, "`" + text + "` is not a network; write ADDRESS/LENGTH, such as 10.1.0.0/16");
    prefixes.push_back(*prefix);
  }
  return prefixes;
}

Result<Prefix> read_tunnel(std::string_view option, const std::string& text) {
  const auto prefix = Prefix::parse(text);
  if (!prefix)
    return bad_option(option,
                      "`" + text + "` is not an address with its length; write 10.77.0.1/30");
  return *prefix;
}

/// The address that differs in the last bit but one way or the other, so that both stay usable in a
/// /30.
Prefix neighbour(const Prefix& own) {
  const auto moved = [&](int step) {
    Prefix other = own;
    for (std::size_t i = other.address.raw().size(); i-- > 0;) {
      const int sum = other.address.bytes[i] + step;
      other.address.bytes[i] = static_cast<Byte>(sum);
      if (sum >= 0 && sum <= 255) break;
    }
    return other;
  };
  const Prefix next = moved(1);
  const bool next_is_usable =
      own.contains(next.address) &&
      (own.length + 1 >= own.address.bit_length() || own.contains(moved(2).address));
  return next_is_usable ? next : moved(-1);
}

}  // namespace

Result<SitePair> plan_pair(const InitPairOptions& options) {
  const auto endpoint = Endpoint::parse(options.endpoint);
  if (!endpoint) {
    return bad_option("--endpoint",
                      "`" + options.endpoint +
                          "` is not ADDRESS:PORT; write where the offsite site reaches "
                          "the office, such as 203.0.113.5:5198");
  }
  LT_TRY(const auto lan, read_prefixes("--lan", options.lan));
  LT_TRY(const auto peer_lan, read_prefixes("--peer-lan", options.peer_lan));
  LT_TRY(const Prefix tunnel, read_tunnel("--tunnel", options.tunnel));
  Prefix peer_tunnel = neighbour(tunnel);
  if (!options.peer_tunnel.empty()) {
    LT_TRY(peer_tunnel, read_tunnel("--peer-tunnel", options.peer_tunnel));
  }
  if (peer_tunnel == tunnel || peer_tunnel.network() != tunnel.network()) {
    return bad_option("--peer-tunnel", peer_tunnel.text() + " and " + tunnel.text() +
                                           " are no pair; write two addresses of one network");
  }
  SitePair pair;
  pair.office.site = "office";
  pair.office.key_path = "office.key";
  const auto listening_on = IpAddress::parse(endpoint->host);
  const bool any_v6 = listening_on && listening_on->family == Family::v6;
  pair.office.listen = Endpoint{any_v6 ? "::" : "0.0.0.0", endpoint->port};
  pair.office.device = options.device;
  pair.office.tunnel_addresses = {tunnel};
  pair.office.local_prefixes = lan;
  pair.office.peer_prefixes = peer_lan;
  pair.office.knobs = options.knobs;
  pair.offsite = pair.office;
  pair.offsite.site = "offsite";
  pair.offsite.key_path = "offsite.key";
  pair.offsite.listen.reset();
  pair.offsite.connect = endpoint;
  pair.offsite.tunnel_addresses = {peer_tunnel};
  std::swap(pair.offsite.local_prefixes, pair.offsite.peer_prefixes);
  return pair;
}

namespace {

/// The option that a fault of one site's config comes from.
std::string option_of(const std::string& key, bool is_office) {
  const std::string local = is_office ? "--lan" : "--peer-lan";
  const std::string peer = is_office ? "--peer-lan" : "--lan";
  if (key.starts_with("networks.local")) return local;
  if (key.starts_with("networks.peer")) return peer;
  if (key.starts_with("tunnel.")) return is_office ? "--tunnel" : "--peer-tunnel";
  if (key == "link.device") return "--device";
  if (key.starts_with("link.")) return "--endpoint";
  return key;
}

Status check_site(const LinkConfig& config, bool is_office) {
  const auto faults = configs::faults_of(config);
  if (faults.empty()) return {};
  return bad_option(option_of(faults.front().key, is_office), faults.front().what);
}

}  // namespace

Status check_pair(const SitePair& pair) {
  LT_CHECK(check_site(pair.office, true));
  return check_site(pair.offsite, false);
}

namespace {

Status write_site(const LinkConfig& config, const crypto::Identity& identity,
                  const SiteFiles& files, NewFiles& made) {
  LT_CHECK(identity.save(files.key_path));
  made.add(files.key_path);
  LT_CHECK(made.add_file(files.config_path, configs::write_link_config(config), config_mode));
  auto read = configs::load_link_config(files.config_path);  // what we hand out, we can read
  if (!read) return fail(std::move(read).error());
  return {};
}

SiteFiles files_of(const std::string& folder, const std::string& site,
                   const crypto::Identity& identity) {
  return {folder + "/" + site + ".toml", folder + "/" + site + ".key",
          crypto::public_key_text(identity.public_key())};
}

Json site_json(const SiteFiles& site) {
  return {{"config", site.config_path}, {"key", site.key_path}, {"public_key", site.public_key}};
}

}  // namespace

Result<InitPairReport> init_pair(const InitPairOptions& options) {
  if (options.out.empty()) return bad_option("--out", "there is no folder; write --out DIR");
  LT_TRY(SitePair pair, plan_pair(options));
  LT_TRY(const auto office_identity, crypto::Identity::generate());
  LT_TRY(const auto offsite_identity, crypto::Identity::generate());
  pair.office.public_key = pair.offsite.peer_public_key = office_identity.public_key();
  pair.offsite.public_key = pair.office.peer_public_key = offsite_identity.public_key();
  LT_CHECK(check_pair(pair));

  const InitPairReport report{files_of(options.out, "office", office_identity),
                              files_of(options.out, "offsite", offsite_identity)};
  NewFiles made;
  LT_CHECK(NewFiles::refuse_existing({report.office.config_path, report.office.key_path,
                                      report.offsite.config_path, report.offsite.key_path}));
  LT_CHECK(made.add_folder(options.out));
  LT_CHECK(write_site(pair.office, office_identity, report.office, made));
  LT_CHECK(write_site(pair.offsite, offsite_identity, report.offsite, made));
  made.keep();
  return report;
}

Result<std::string> keygen(const std::string& path) {
  LT_TRY(const auto identity, crypto::Identity::generate());
  LT_CHECK(identity.save(path));
  return crypto::public_key_text(identity.public_key());
}

Result<std::string> pubkey(const std::string& path) {
  LT_TRY(const auto identity, crypto::Identity::load(path));
  return crypto::public_key_text(identity.public_key());
}

std::string init_text(const InitPairReport& report) {
  return "A pair of sites is ready.\n"
         "  here:      " +
         report.office.config_path + ", " + report.office.key_path +
         "\n"
         "  off-site:  " +
         report.offsite.config_path + ", " + report.offsite.key_path +
         "\n"
         "Move the two off-site files to the other machine (the key by a safe way, mode 0600), "
         "then on each:\n"
         "  linktune up --config FILE\n";
}

Json init_json(const InitPairReport& report) {
  return {{"schema", "linktune.init.1"},
          {"office", site_json(report.office)},
          {"offsite", site_json(report.offsite)}};
}

}  // namespace lt::app

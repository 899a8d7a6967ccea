#include "app/openvpn_pair.h"

#include <sys/stat.h>

#include <array>
#include <cerrno>

namespace lt::app {

namespace {

constexpr unsigned certificate_days = 3650;
constexpr std::uint16_t openvpn_port = 1194;

}  // namespace

Result<OpenVpnKeys> OpenVpnKeys::make() {
  OpenVpnKeys keys;
  LT_TRY(keys.server, crypto::make_self_signed("office", certificate_days));
  LT_TRY(keys.client, crypto::make_self_signed("offsite", certificate_days));
  return keys;
}

namespace {

configs::OpenVpnSite openvpn_site(const std::string& name, const crypto::CertificatePem& keys, const lab::Site& site,
                                  const std::string& tunnel_address, const std::string& endpoint_host) {
  configs::OpenVpnSite result;
  result.name = name;
  result.certificate = keys.certificate;
  result.private_key = keys.private_key;
  result.fingerprint = keys.fingerprint_sha256;
  result.tunnel_addresses = {*Prefix::parse(tunnel_address + "/24")};
  result.local_prefixes = {site.gateway_v4.network()};
  result.endpoint = {endpoint_host, openvpn_port};
  return result;
}

}  // namespace

Result<configs::OpenVpnPair> write_lab_pair(const lab::Topology& topology, const OpenVpnKeys& keys,
                                            const configs::OpenVpnKnobs& knobs, const configs::OpenVpnVersion& version,
                                            const std::string& client_config_folder) {
  auto server = openvpn_site("office", keys.server, topology.office, openvpn_office_address, "0.0.0.0");
  server.client_config_dir = client_config_folder;
  const auto client = openvpn_site("offsite", keys.client, topology.offsite, openvpn_offsite_address,
                                   topology.office.wan_v4.address.text());
  return configs::write_openvpn_pair(server, client, knobs, version);
}

Result<OpenVpnPair> OpenVpnPair::start(const lab::Sandbox& sandbox, const OpenVpnPairOptions& options) {
  const auto enter = [&sandbox](lab::Host host) {
    return [&sandbox, host](const Argv& argv) { return sandbox.exec(host, argv); };
  };
  OpenVpnPair pair;
  LT_TRY(pair.server_, TrialSide::start_openvpn(enter(lab::Host::office_gw), options.program, options.server_file,
                                                options.log_folder + "/openvpn-server.log", "OpenVPN's server"));
  LT_TRY(pair.client_, TrialSide::start_openvpn(enter(lab::Host::offsite_gw), options.program, options.client_file,
                                                options.log_folder + "/openvpn-client.log", "OpenVPN's client"));
  const IpAddress office = *IpAddress::parse(openvpn_office_address);
  const auto is_carried = [&] { return carries_packet(enter(lab::Host::offsite_gw), office, options.tun_mtu); };
  const std::array<TrialSide*, 2> sides{&pair.server_, &pair.client_};
  LT_CHECK(wait_for_sides(sides, is_carried, options.patience,
                          "OpenVPN carried no packet of " + std::to_string(options.tun_mtu) + " bytes"));
  return pair;
}

Result<OpenVpnPair> OpenVpnPair::write_and_start(const lab::Sandbox& sandbox, const OpenVpnKeys& keys,
                                                const configs::OpenVpnKnobs& knobs,
                                                const configs::OpenVpnVersion& version, const std::string& folder) {
  const std::string client_configs = folder + "/clients";
  LT_TRY(const auto files, write_lab_pair(sandbox.topology(), keys, knobs, version, client_configs));
  const OpenVpnPairOptions options{.server_file = folder + "/server.conf",
                                   .client_file = folder + "/client.conf",
                                   .log_folder = folder,
                                   .tun_mtu = knobs.tun_mtu};
  LT_CHECK(write_file(options.server_file, files.server, 0600));
  LT_CHECK(write_file(options.client_file, files.client, 0600));
  if (files.client_config) {
    if (::mkdir(client_configs.c_str(), 0700) != 0) return fail_errno(errno, "cannot make " + client_configs);
    LT_CHECK(write_file(client_configs + "/offsite", *files.client_config, 0600));
  }
  return start(sandbox, options);
}

void OpenVpnPair::end() {
  server_.tell_to_end();
  client_.tell_to_end();
  server_.end();
  client_.end();
}

}  // namespace lt::app

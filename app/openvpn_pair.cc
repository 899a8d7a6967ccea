#include "app/openvpn_pair.h"

#include <signal.h>
#include <sys/stat.h>

#include <cerrno>
#include <thread>

#include "app/native_pair.h"

namespace lt::app {

namespace {

constexpr unsigned certificate_days = 3650;
constexpr std::uint16_t openvpn_port = 1194;
constexpr std::string_view started_line = "Initialization Sequence Completed";

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

namespace {

bool has_started(const std::string& log) {
  const auto text = read_file(log, 16 << 20);
  return text && text->find(started_line) != std::string::npos;
}

// One packet of the device's full size, there and back.
bool carries_full_size(const lab::Sandbox& sandbox, std::uint32_t mtu) {
  const std::string payload = std::to_string(mtu - 28);  // IPv4 and ICMP headers
  const auto ping = run_process(sandbox.exec(lab::Host::offsite_gw, {"ping", "-n", "-q", "-c", "1", "-W", "1", "-M", "do",
                                                                     "-s", payload, openvpn_office_address}),
                                {.deadline = std::chrono::seconds(3)});
  return ping && ping->exit_code == 0;
}

}  // namespace

Result<OpenVpnPair> OpenVpnPair::start(const lab::Sandbox& sandbox, const OpenVpnPairOptions& options) {
  const auto program = find_program(options.program);
  if (!program) {
    return fail(Errc::not_found, "openvpn is not installed: sudo apt-get install openvpn (or sweep the native link only)");
  }
  const std::string server_log = options.log_folder + "/openvpn-server.log";
  const std::string client_log = options.log_folder + "/openvpn-client.log";
  OpenVpnPair pair;
  LT_TRY(pair.server_, Child::start({.argv = sandbox.exec(lab::Host::office_gw, {*program, "--config", options.server_file}),
                                     .output_path = server_log}));
  LT_TRY(pair.client_, Child::start({.argv = sandbox.exec(lab::Host::offsite_gw, {*program, "--config", options.client_file}),
                                     .output_path = client_log}));
  const auto until = std::chrono::steady_clock::now() + options.patience;
  while (!has_started(server_log) || !has_started(client_log) || !carries_full_size(sandbox, options.tun_mtu)) {
    if (!pair.server_.is_running()) return fail(Errc::closed, "OpenVPN's server ended: " + last_line(server_log));
    if (!pair.client_.is_running()) return fail(Errc::closed, "OpenVPN's client ended: " + last_line(client_log));
    if (std::chrono::steady_clock::now() > until) {
      return fail(Errc::timed_out, "OpenVPN carried no packet of " + std::to_string(options.tun_mtu) + " bytes: " + last_line(client_log));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
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
  server_.signal(SIGTERM);
  client_.signal(SIGTERM);
  server_.end(std::chrono::seconds(4));
  client_.end(std::chrono::seconds(4));
}

}  // namespace lt::app

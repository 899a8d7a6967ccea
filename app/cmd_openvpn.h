// linktune openvpn export: a pair of OpenVPN files for two sites, checked by running them.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "configs/openvpn_writer.h"

namespace lt::app {

/// The version of the openvpn on PATH. @error not_found: none, says what to install
[[nodiscard]] Result<configs::OpenVpnVersion> installed_openvpn_version();

/// The two sites of a pair, with fresh keys and certificates, and no tuning yet.
struct OpenVpnSites {
  configs::OpenVpnSite server;
  configs::OpenVpnSite client;
};

/// Gives both sites a certificate of their own, good for `days`, and, where `with_tls_crypt`, a
/// tls-crypt-v2 key made by the installed openvpn. @error as crypto::make_self_signed and
/// installed_openvpn_version
[[nodiscard]] Status give_openvpn_keys(OpenVpnSites& sites, unsigned days, bool with_tls_crypt);

/// Starts both files with the installed openvpn in two network namespaces of their own, joined by a
/// veth pair, and requires of both `Initialization Sequence Completed`, and of the tunnel: pings
/// both ways, whole packets of tun-mtu both ways, and pings between the networks behind the sites.
/// Nothing of it touches the machine's own interfaces or stays.
///
/// The files are run as they are but for the lines remote, local and client-config-dir, which name
/// the test bed.
/// @error not_permitted: not root · not_found: no openvpn, no /dev/net/tun · timed_out, closed:
/// what did not work, with
///        the last words of OpenVPN's log
/// @thread one that lives until the check ends: the kernel ends the children with it
[[nodiscard]] Status check_openvpn_pair(
    const configs::OpenVpnPair& pair, const OpenVpnSites& sites, const configs::OpenVpnKnobs& knobs,
    std::chrono::milliseconds deadline = std::chrono::seconds(30));

/// As the command line gives it. The sites come from two configs, or from an endpoint and networks
/// as in `linktune init`.
struct OpenVpnExportOptions {
  std::string out;          // the folder of server.conf and client.conf; made when it is not there
  std::string config;       // a site's config ...
  std::string peer_config;  // ... and the other's
  std::string endpoint;     // or: ADDR:PORT where the client reaches the server,
  std::vector<std::string> lan;       // networks behind the server
  std::vector<std::string> peer_lan;  // networks behind the client
  std::string tunnel{"10.77.0.1/30"};
  std::string peer_tunnel;
  std::optional<unsigned> port;  // instead of the configs' own port: 1194 is OpenVPN's
  bool recipe{false};            // begin with the jumbo recipe instead of OpenVPN's defaults
  std::vector<std::pair<std::string, std::string>> knobs;  // name and text, applied in order
  std::string target_version;  // the OpenVPN the files are for; empty: the installed one
  /// Site and version, as a sweep found them; "" is the site that swept. Below target_version.
  std::vector<std::pair<std::string, std::string>> found_versions;
  std::string basis;           // where the knobs come from; empty: from the options alone
  std::string install_dir;     // where the server's files will stand; empty: `out`
  unsigned days{3650};         // of the certificates
  bool tls_crypt{true};
  bool check{true};
};

struct OpenVpnExportReport {
  std::vector<std::string> files;
  configs::OpenVpnVersion version;         // of the server's end
  configs::OpenVpnVersion client_version;  // of the client's
  configs::OpenVpnKnobs knobs;
  std::string basis;
  bool is_checked{false};
  std::string unchecked_because;  // empty when checked
};

/// Writes server.conf and client.conf (0600), and ccd/<client> where the server needs it. They are
/// checked first: a pair that does not work is not written. All or nothing.
/// @error invalid: an option, with its cure · exists · as check_openvpn_pair
[[nodiscard]] Result<OpenVpnExportReport> export_openvpn(const OpenVpnExportOptions& options);

[[nodiscard]] std::string export_text(const OpenVpnExportReport& report);
[[nodiscard]] Json export_json(const OpenVpnExportReport& report);

}  // namespace lt::app

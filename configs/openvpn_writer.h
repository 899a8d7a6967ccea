// Two sites and their knobs -> the text of an OpenVPN server and client file. Pure and
// deterministic.
//
// Why server mode by default, although two sites could do with a point-to-point pair:
// tcp-queue-limit acts only there, a client's restart leaves the server and its routes alone, and
// it is the shape of nearly every OpenVPN in the field, so that what is measured is what people
// run. Its price is one small file more: the server learns the client's address and the networks
// behind it (`iroute`) from a file in client-config-dir; a pool of a single address is refused by
// OpenVPN (2 at least), and iroute stands nowhere else but in a script's output. With knob mode =
// p2p there are two files and no such folder, and tcp-queue-limit is dead.
//
// Rules: options of the installed version only; absolute paths or inline blocks; tun-mtu and the
// tuned lines in BOTH files, since OpenVPN does not take them from a push; no compression, no
// static key, no `cipher` where it is ignored.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "configs/openvpn_knobs.h"

namespace lt::configs {

struct OpenVpnVersion {
  unsigned major{0};
  unsigned minor{0};
  unsigned patch{0};

  [[nodiscard]] std::string text() const;
  friend auto operator<=>(const OpenVpnVersion&, const OpenVpnVersion&) = default;
};

inline constexpr OpenVpnVersion openvpn_version_min{2, 4, 0};

/// From the first line of `openvpn --version`: "OpenVPN 2.6.14 x86_64-pc-linux-gnu ...". @error
/// invalid
[[nodiscard]] Result<OpenVpnVersion> parse_openvpn_version(std::string_view text);

/// One end. Secrets travel inside: what is made of it belongs into files of mode 0600.
struct OpenVpnSite {
  std::string name;  // its certificate's common name, and the client's file in client_config_dir
  std::string certificate;  // PEM, signed by itself
  std::string private_key;  // PEM
  std::string fingerprint;  // SHA-256 of the certificate, "AA:BB:..."
  std::optional<std::string>
      tls_crypt_v2{};  // PEM: the server's or the client's key; at both ends or at none
  std::vector<Prefix>
      tunnel_addresses;  // one IPv4 address with its network, and at most one IPv6 address
  std::vector<Prefix> local_prefixes;  // networks behind this site
  Endpoint endpoint;  // server: where it listens ("0.0.0.0": everywhere); client: where it calls
  std::string device{"tun"};      // "tun": the next free one
  std::string client_config_dir;  // server: absolute; needed in mode server
  std::optional<std::string>
      management_socket{};  // absolute path of a Unix socket; started on hold
};

struct OpenVpnPair {
  std::string server;
  std::string client;
  std::optional<std::string> client_config{};  // for the file <client_config_dir>/<client's name>
};

/// The fields of two sites and the knobs that do not fit each other or the version. @error invalid,
/// unsupported
[[nodiscard]] Result<OpenVpnPair> write_openvpn_pair(const OpenVpnSite& server,
                                                     const OpenVpnSite& client,
                                                     const OpenVpnKnobs& knobs,
                                                     const OpenVpnVersion& version);

/// The tuned lines of one end alone, for a config that stands already.
[[nodiscard]] std::string write_openvpn_tuning(const OpenVpnKnobs& knobs,
                                               const OpenVpnVersion& version, bool is_server);

/// The bcast-buffers that a tcp-queue-limit needs to act: the power of two above it, 256 at least.
[[nodiscard]] Packets bcast_buffers_for(Packets tcp_queue_limit);

}  // namespace lt::configs

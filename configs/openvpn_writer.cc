#include "configs/openvpn_writer.h"

#include <algorithm>
#include <bit>

#include "base/text.h"
#include "configs/knob.h"
#include "configs/link_config.h"

namespace lt::configs {

namespace {

constexpr OpenVpnVersion since_tls_crypt_v2{2, 5, 0};
constexpr OpenVpnVersion since_data_ciphers{2, 5, 0};
constexpr OpenVpnVersion since_chacha{2, 5, 0};
constexpr OpenVpnVersion since_tls_1_3{2, 5, 0};  // later 2.4 too; `or-highest` covers all of them
constexpr OpenVpnVersion since_peer_fingerprint{2, 6, 0};
constexpr OpenVpnVersion since_p2p_negotiation{2, 6, 0};
constexpr OpenVpnVersion since_dco{2, 6, 0};
constexpr OpenVpnVersion without_persist_key{2, 7, 0};
constexpr OpenVpnVersion without_fast_io{2, 7, 0};
constexpr OpenVpnVersion always_nodelay{2, 7, 6};

constexpr std::size_t reason_column = 44;
constexpr std::size_t width = 120;
constexpr std::size_t line_length_max =
    255;  // OPTION_LINE_SIZE of OpenVPN is 256, with the final zero

// --- what the pair is written from ---

struct Plan {
  const OpenVpnSite& server;
  const OpenVpnSite& client;
  const OpenVpnKnobs& knobs;
  const OpenVpnVersion& version;

  [[nodiscard]] bool is_tcp() const { return knobs.proto == OpenVpnProto::tcp; }
  [[nodiscard]] bool is_server_mode() const { return knobs.mode == OpenVpnMode::server; }
};

const Prefix* address_of(const OpenVpnSite& site, Family family) {
  for (const Prefix& prefix : site.tunnel_addresses) {
    if (prefix.address.family == family) return &prefix;
  }
  return nullptr;
}

std::string netmask(unsigned length) {
  Byte raw[4];
  store_be32(raw, length == 0 ? 0 : UINT32_MAX << (32 - length));
  return IpAddress::from_v4(raw).text();
}

// OpenVPN's own quoting: in double quotes, with backslashes before quotes and backslashes.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

// --- one file ---

// Options with their reason behind them, wrapped; blocks of inline text.
class Sheet {
 public:
  void title(const std::string& text) { text_ += "# " + text + "\n"; }
  void section(const std::string& text) { text_ += "\n# --- " + text + " ---\n"; }

  void line(const std::string& option, std::string_view reason) {
    std::string row = option;
    for (const std::string_view word : split(reason, ' ')) {
      const bool is_first = row.size() == option.size();
      if (!is_first && row.size() + 1 + word.size() <= width) {
        row += " " + std::string(word);
        continue;
      }
      if (!is_first) text_ += row + "\n";
      row = is_first ? row : std::string();
      row.resize(std::max(row.size() + (is_first ? 1U : 0U), reason_column), ' ');
      row += "# " + std::string(word);
    }
    text_ += row + "\n";
    length_max_ = std::max(length_max_, option.size());
  }
  /// A line that comes from a knob has the knob's own reason.
  void knob(std::string_view name, const std::string& option) {
    const auto row = find_knob(Carrier::openvpn, name);
    line(option, row ? row->why : "");
  }
  void block(const std::string& name, const std::string& content, std::string_view reason) {
    line("<" + name + ">", reason);
    text_ += std::string(trim(content)) + "\n</" + name + ">\n";
  }

  [[nodiscard]] std::size_t option_length_max() const { return length_max_; }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
  std::size_t length_max_{0};
};

std::string proto_text(const Plan& plan, bool is_server) {
  const OpenVpnSite& site = is_server ? plan.server : plan.client;
  const auto address = IpAddress::parse(site.endpoint.host);
  const std::string six = address && address->family == Family::v6 ? "6" : "";
  if (!plan.is_tcp()) return "udp" + six;
  return "tcp" + six + (is_server ? "-server" : "-client");
}

void write_transport(Sheet& sheet, const Plan& plan, bool is_server) {
  const OpenVpnSite& site = is_server ? plan.server : plan.client;
  sheet.section("transport");
  sheet.line("dev " + site.device,
             site.device == "tun" ? "the next free tun device" : "this device, made at start");
  if (!site.device.starts_with("tun")) sheet.line("dev-type tun", "packets, not Ethernet frames");
  sheet.knob("proto", "proto " + proto_text(plan, is_server));
  if (is_server) {
    const auto address = IpAddress::parse(site.endpoint.host);
    const bool everywhere = address && address->bytes == std::array<Byte, 16>{};
    if (!everywhere) sheet.line("local " + site.endpoint.host, "listens on this address only");
    sheet.line("port " + std::to_string(site.endpoint.port), "open this port in the firewall");
    return;
  }
  sheet.line("remote " + site.endpoint.host + " " + std::to_string(site.endpoint.port),
             "the other site");
  sheet.line("nobind", "any local port will do");
  sheet.line("resolv-retry infinite", "a name server may come up later than this site");
  sheet.line("connect-retry 1 10", "seconds between attempts; OpenVPN's own goes up to 300");
  if (plan.is_tcp()) sheet.line("connect-timeout 10", "seconds; OpenVPN's own waits for 120");
}

void write_routes(Sheet& sheet, const std::vector<Prefix>& prefixes) {
  for (const Prefix& prefix : prefixes) {
    if (prefix.address.family == Family::v4) {
      sheet.line("route " + prefix.address.text() + " " + netmask(prefix.length),
                 "a network behind the other site");
    } else {
      sheet.line("route-ipv6 " + prefix.text(), "a network behind the other site");
    }
  }
}

void write_server_addresses(Sheet& sheet, const Plan& plan) {
  const Prefix& own = *address_of(plan.server, Family::v4);
  const Prefix& peer = *address_of(plan.client, Family::v4);
  const std::string mask = netmask(own.length);
  const std::string client = peer.address.text();
  sheet.line(
      "topology subnet",
      "one network for both ends; the default of net30 also rules out the kernel data channel");
  sheet.line("ifconfig " + own.address.text() + " " + mask, "this end of the tunnel");
  sheet.line("push \"topology subnet\"", "the client has to see the network as this end does");
  sheet.line("push \"route-gateway " + own.address.text() + "\"",
             "where the client sends what it routes into the tunnel");
  sheet.line("route-gateway " + client, "where this end sends what it routes into the tunnel");
  const Prefix* own6 = address_of(plan.server, Family::v6);
  const Prefix* peer6 = address_of(plan.client, Family::v6);
  if (own6 != nullptr)
    sheet.line("ifconfig-ipv6 " + own6->text() + " " + peer6->address.text(), "this end, IPv6");
  write_routes(sheet, plan.client.local_prefixes);
  sheet.line("client-config-dir " + quoted(plan.server.client_config_dir),
             "the client's address, and the networks behind it, in a file of its name");
  sheet.line("ccd-exclusive", "without that file the client would come up without an address");
}

void write_p2p_addresses(Sheet& sheet, const OpenVpnSite& own, const OpenVpnSite& peer) {
  sheet.line("topology p2p", "two addresses, no network");
  sheet.line("ifconfig " + address_of(own, Family::v4)->address.text() + " " +
                 address_of(peer, Family::v4)->address.text(),
             "this end and the other one");
  const Prefix* own6 = address_of(own, Family::v6);
  if (own6 != nullptr) {
    sheet.line("ifconfig-ipv6 " + own6->text() + " " + address_of(peer, Family::v6)->address.text(),
               "the same, IPv6");
  }
  write_routes(sheet, peer.local_prefixes);
}

std::string data_ciphers(const Plan& plan) {
  const auto chosen = get_knob(plan.knobs, "cipher").value_or("");
  std::vector<std::string> ciphers{chosen};
  for (const std::string_view other : {"AES-256-GCM", "AES-128-GCM", "CHACHA20-POLY1305"}) {
    const bool is_known = other != "CHACHA20-POLY1305" || plan.version >= since_chacha;
    if (other != chosen && is_known) ciphers.emplace_back(other);
  }
  return join(ciphers, ":");
}

void write_trust(Sheet& sheet, const Plan& plan, bool is_server) {
  const OpenVpnSite& own = is_server ? plan.server : plan.client;
  const OpenVpnSite& peer = is_server ? plan.client : plan.server;
  sheet.section("who may talk to whom");
  if (plan.version >= since_tls_1_3) {
    sheet.line("tls-version-min 1.3", "nothing older than the present version of TLS");
  } else {
    sheet.line("tls-version-min 1.3 or-highest", "the newest TLS that this build knows");
  }
  if (is_server)
    sheet.line("dh none", "key agreement by elliptic curves, without Diffie-Hellman files");
  sheet.block("cert", own.certificate, "this site's certificate, signed by itself");
  sheet.block("key", own.private_key, "its private key: keep this file at mode 0600");
  if (plan.version >= since_peer_fingerprint) {
    sheet.line("peer-fingerprint " + peer.fingerprint, "only the other site's certificate");
  } else {
    sheet.block("ca", peer.certificate,
                "only the other site's certificate; 2.6 knows peer-fingerprint for this");
    sheet.line("verify-x509-name " + quoted(peer.name) + " name", "and only under its name");
  }
  if (own.tls_crypt_v2)
    sheet.block("tls-crypt-v2", *own.tls_crypt_v2, "hides the handshake; strangers get no answer");
  sheet.section("data channel");
  if (plan.version >= since_data_ciphers) {
    sheet.line("data-ciphers " + data_ciphers(plan), "the server's first choice wins");
  } else {
    sheet.line("ncp-ciphers " + data_ciphers(plan), "the server's first choice wins");
    sheet.line("cipher " + get_knob(plan.knobs, "cipher").value_or(""),
               "what 2.4 begins with before it negotiates");
  }
}

void write_liveness(Sheet& sheet, const Plan& plan, bool is_server) {
  const bool says_keepalive = is_server || !plan.is_server_mode();
  sheet.section("liveness");
  if (says_keepalive)
    sheet.line("keepalive 10 60",
               "seconds: a ping when idle, and when the other end counts as gone");
  sheet.line("persist-tun",
             "a reconnect keeps the device, and so the routes and the connections inside");
  if (plan.version < without_persist_key)
    sheet.line("persist-key", "a reconnect does not read the key again");
  if (!plan.is_tcp() && (plan.is_server_mode() || !is_server)) {
    sheet.line("explicit-exit-notify 1", "the other end notices a restart at once");
  }
  sheet.line("verb 3", "what starts, connects and fails");
  const auto& socket = is_server ? plan.server.management_socket : plan.client.management_socket;
  if (socket) {
    sheet.line("management " + quoted(*socket) + " unix", "steered through this socket");
    sheet.line("management-hold", "waits there for `hold release`");
  }
}

// Only a tcp server in mode server has such a queue.
void write_tcp_queue(Sheet& sheet, const OpenVpnKnobs& knobs) {
  const Packets needed = bcast_buffers_for(knobs.tcp_queue_limit);
  if (knobs.tcp_queue_limit != OpenVpnKnobs{}.tcp_queue_limit) {
    sheet.knob("tcp_queue_limit", "tcp-queue-limit " + std::to_string(knobs.tcp_queue_limit.value));
  }
  if (knobs.bcast_buffers) {
    const bool is_enough = *knobs.bcast_buffers >= needed;
    sheet.line("bcast-buffers " + std::to_string(knobs.bcast_buffers->value),
               is_enough ? "the storage of tcp-queue-limit"
                         : "as asked for, though too few for tcp-queue-limit to act");
  } else if (needed > Packets{256}) {
    sheet.line("bcast-buffers " + std::to_string(needed.value),
               "the storage of tcp-queue-limit, whose default of 256 would keep it from acting");
  }
}

void write_tuning(Sheet& sheet, const Plan& plan, bool is_server) {
  const OpenVpnKnobs& knobs = plan.knobs;
  sheet.section("tuning: the same at both ends, since a push does not carry these lines");
  sheet.knob("tun_mtu", "tun-mtu " + std::to_string(knobs.tun_mtu));
  if (knobs.mssfix) sheet.knob("mssfix", "mssfix " + std::to_string(*knobs.mssfix));
  if (knobs.fragment) sheet.knob("fragment", "fragment " + std::to_string(*knobs.fragment));
  if (knobs.txqueuelen)
    sheet.knob("txqueuelen", "txqueuelen " + std::to_string(knobs.txqueuelen->value));
  if (knobs.sndbuf) sheet.knob("sndbuf", "sndbuf " + std::to_string(knobs.sndbuf->value));
  if (knobs.rcvbuf) sheet.knob("rcvbuf", "rcvbuf " + std::to_string(knobs.rcvbuf->value));
  if (knobs.tcp_nodelay && plan.is_tcp()) {
    if (plan.version < always_nodelay) {
      sheet.knob("tcp_nodelay", "tcp-nodelay");
    } else {
      sheet.line("tcp-nodelay", "on anyway in this version; tells older clients");
    }
  }
  if (plan.is_tcp() && plan.is_server_mode() && is_server) write_tcp_queue(sheet, knobs);
  if (knobs.fast_io && !plan.is_tcp() && plan.version < without_fast_io)
    sheet.knob("fast_io", "fast-io");
  if (!knobs.dco && plan.version >= since_dco) sheet.knob("dco", "disable-dco");
}

Sheet write_site(const Plan& plan, bool is_server) {
  const OpenVpnSite& own = is_server ? plan.server : plan.client;
  const OpenVpnSite& peer = is_server ? plan.client : plan.server;
  Sheet sheet;
  sheet.title("OpenVPN " + plan.version.text() + ", " + (is_server ? "server " : "client ") +
              own.name + ", towards " + peer.name + ". Written by linktune openvpn export.");
  sheet.title("It holds a private key: mode 0600. Change both ends together.");
  sheet.section("role");
  if (plan.is_server_mode() && is_server) {
    sheet.line(
        "mode server",
        "the only mode in which tcp-queue-limit acts; a restarting client disturbs nothing here");
    sheet.line("tls-server", "answers the handshake");
  } else if (plan.is_server_mode()) {
    sheet.line("client", "opens the handshake, and takes address and gateway from the server");
  } else {
    sheet.line(is_server ? "tls-server" : "tls-client",
               "two equal ends; one has to open the handshake");
  }
  write_transport(sheet, plan, is_server);
  sheet.section("addresses and routes");
  if (!plan.is_server_mode()) {
    write_p2p_addresses(sheet, own, peer);
  } else if (is_server) {
    write_server_addresses(sheet, plan);
  } else {
    write_routes(sheet, peer.local_prefixes);
  }
  write_trust(sheet, plan, is_server);
  write_liveness(sheet, plan, is_server);
  write_tuning(sheet, plan, is_server);
  return sheet;
}

Sheet write_client_config(const Plan& plan) {
  Sheet sheet;
  sheet.title("The address of " + plan.client.name + ", and what lies behind it.");
  const Prefix& peer = *address_of(plan.client, Family::v4);
  sheet.line("ifconfig-push " + peer.address.text() + " " + netmask(peer.length),
             "always the same address");
  for (const Prefix& prefix : plan.client.local_prefixes) {
    if (prefix.address.family == Family::v4) {
      sheet.line("iroute " + prefix.address.text() + " " + netmask(prefix.length),
                 "a network behind the client; the server drops what comes from elsewhere");
    } else {
      sheet.line("iroute-ipv6 " + prefix.text(),
                 "a network behind the client; the server drops what comes from elsewhere");
    }
  }
  const Prefix* own6 = address_of(plan.server, Family::v6);
  const Prefix* peer6 = address_of(plan.client, Family::v6);
  if (peer6 != nullptr) {
    sheet.line("ifconfig-ipv6-push " + peer6->text() + " " + own6->address.text(),
               "the client's IPv6 address");
  }
  return sheet;
}

// --- what may not be written ---

bool is_fingerprint(std::string_view text) {
  if (text.size() != 32 * 3 - 1) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i % 3 == 2 ? text[i] != ':' : !from_hex(std::string{'0', text[i]})) return false;
  }
  return true;
}

// What goes into a block may not end it, and what goes into a line may not begin another one.
bool is_pem(std::string_view text, std::string_view kind) {
  return text.find("-----BEGIN ") != std::string_view::npos &&
         text.find(kind) != std::string_view::npos &&
         text.find_first_of("<>") == std::string_view::npos;
}

bool is_plain(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c <= '~' && std::string_view("\"'#;\\").find(c) == std::string_view::npos;
  });
}

bool is_absolute_path(std::string_view text) {
  return text.starts_with('/') &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

Status check_site(const OpenVpnSite& site, const std::string& role) {
  const auto refuse = [&](const std::string& what) {
    return fail(Errc::invalid, "the OpenVPN " + role + " " + what);
  };
  if (!is_site_name(site.name))
    return refuse("has no usable name; write letters, digits, dashes and underscores");
  if (!is_pem(site.certificate, "CERTIFICATE")) return refuse("has no certificate; give it in PEM");
  if (!is_pem(site.private_key, "PRIVATE KEY")) return refuse("has no private key; give it in PEM");
  if (site.tls_crypt_v2 && !is_pem(*site.tls_crypt_v2, "tls-crypt-v2")) {
    return refuse("has a tls-crypt-v2 key that is none; make it with openvpn --genkey");
  }
  if (!is_fingerprint(site.fingerprint))
    return refuse("has no fingerprint; write 32 pairs of digits with colons, AA:BB:...");
  if (!is_plain(site.endpoint.host) || site.endpoint.port == 0)
    return refuse("has no endpoint; write ADDRESS:PORT");
  if (!is_plain(site.device) || site.device.size() > 15 ||
      site.device.find('/') != std::string::npos) {
    return refuse("has no usable device; write at most 15 letters and digits, such as tun0");
  }
  if (!site.client_config_dir.empty() && !is_absolute_path(site.client_config_dir)) {
    return refuse(
        "has a relative client-config-dir, which OpenVPN loses as a daemon; write an absolute "
        "path");
  }
  if (site.management_socket && !is_absolute_path(*site.management_socket)) {
    return refuse("has a relative management socket; write an absolute path");
  }
  for (const Prefix& prefix : site.local_prefixes) {
    if (prefix.has_host_bits()) {
      return refuse("has the network " + prefix.text() +
                    " with bits set behind its length; write " + prefix.network().text());
    }
  }
  return {};
}

std::size_t count_of(const OpenVpnSite& site, Family family) {
  return static_cast<std::size_t>(
      std::count_if(site.tunnel_addresses.begin(), site.tunnel_addresses.end(),
                    [&](const Prefix& prefix) { return prefix.address.family == family; }));
}

bool has_v6_networks(const OpenVpnSite& site) {
  return std::any_of(site.local_prefixes.begin(), site.local_prefixes.end(),
                     [](const Prefix& prefix) { return prefix.address.family == Family::v6; });
}

Status check_addresses(const Plan& plan) {
  if (count_of(plan.server, Family::v4) != 1 || count_of(plan.client, Family::v4) != 1) {
    return fail(Errc::invalid,
                "an OpenVPN pair needs one IPv4 tunnel address at each end; write 10.77.0.1/30 and "
                "10.77.0.2/30");
  }
  const std::size_t v6_count = count_of(plan.server, Family::v6);
  if (v6_count > 1 || v6_count != count_of(plan.client, Family::v6)) {
    return fail(Errc::invalid,
                "both ends of an OpenVPN pair have one IPv6 tunnel address, or neither has one");
  }
  if (v6_count == 0 && (has_v6_networks(plan.server) || has_v6_networks(plan.client))) {
    return fail(Errc::invalid,
                "an IPv6 network needs an IPv6 tunnel address at both ends; write fd00:77::1/64 "
                "and fd00:77::2/64");
  }
  for (const Family family : {Family::v4, Family::v6}) {
    const Prefix* own = address_of(plan.server, family);
    const Prefix* peer = address_of(plan.client, family);
    if (own != nullptr && (own->network() != peer->network() || own->address == peer->address)) {
      return fail(Errc::invalid, own->text() + " and " + peer->text() +
                                     " are no pair; write two addresses of one network");
    }
  }
  return {};
}

Status check_version(const Plan& plan) {
  const std::string version = "OpenVPN " + plan.version.text();
  if (plan.version < openvpn_version_min) {
    return fail(Errc::unsupported,
                version + " is too old; install 2.4 or newer, 2.6.14 or newer if you can");
  }
  if (!plan.is_server_mode() && plan.version < since_p2p_negotiation) {
    return fail(
        Errc::unsupported,
        version + " negotiates no cipher point to point; write mode = server, or install 2.6");
  }
  if (plan.knobs.cipher == OpenVpnCipher::chacha20_poly1305 && plan.version < since_chacha) {
    return fail(Errc::unsupported,
                version + " has no CHACHA20-POLY1305; write cipher = AES-256-GCM, or install 2.5");
  }
  if (plan.server.tls_crypt_v2.has_value() != plan.client.tls_crypt_v2.has_value()) {
    return fail(Errc::invalid,
                "a tls-crypt-v2 key stands at one end only; give both ends theirs, or none");
  }
  const bool is_open_to_cve_2025_2704 =
      plan.version > OpenVpnVersion{2, 6, 0} && plan.version < OpenVpnVersion{2, 6, 14};
  if (plan.server.tls_crypt_v2 && (plan.version < since_tls_crypt_v2 || is_open_to_cve_2025_2704)) {
    return fail(
        Errc::unsupported,
        version +
            " has no safe tls-crypt-v2 (CVE-2025-2704); install 2.6.14, or leave the key out");
  }
  return {};
}

Status check_plan(const Plan& plan) {
  LT_CHECK(validate(plan.knobs));
  LT_CHECK(check_site(plan.server, "server"));
  LT_CHECK(check_site(plan.client, "client"));
  if (plan.server.name == plan.client.name)
    return fail(Errc::invalid, "both OpenVPN sites have the same name; write two");
  LT_CHECK(check_addresses(plan));
  LT_CHECK(check_version(plan));
  const auto listens_on = IpAddress::parse(plan.server.endpoint.host);
  if (!listens_on)
    return fail(Errc::invalid,
                "the OpenVPN server listens on an address, not on a name; write 0.0.0.0:PORT");
  if (plan.is_server_mode() && plan.server.client_config_dir.empty()) {
    return fail(Errc::invalid,
                "a server keeps its client's address and networks in a client-config-dir; give its "
                "absolute path, or write mode = p2p");
  }
  return {};
}

}  // namespace

std::string OpenVpnVersion::text() const {
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

Result<OpenVpnVersion> parse_openvpn_version(std::string_view text) {
  constexpr std::string_view begin = "OpenVPN ";
  const auto refuse = [&] {
    return fail(Errc::invalid, "no version of OpenVPN in `" + printable(text, 60) + "`");
  };
  const std::string_view line = text.substr(0, text.find('\n'));
  if (!line.starts_with(begin)) return refuse();
  const std::string_view word = split(line.substr(begin.size()), ' ').front();
  const std::string_view numbers =
      word.substr(0, word.find_first_not_of("0123456789."));  // "2.7_rc1" is 2.7.0
  const auto parts = split(numbers, '.');
  if (parts.size() < 2 || parts.size() > 3) return refuse();
  unsigned values[3] = {};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto value = parse_u64(parts[i]);
    if (!value || *value > 9999) return refuse();
    values[i] = static_cast<unsigned>(*value);
  }
  return OpenVpnVersion{values[0], values[1], values[2]};
}

std::string write_openvpn_tuning(const OpenVpnKnobs& knobs, const OpenVpnVersion& version,
                                 bool is_server) {
  const OpenVpnSite nobody{};
  const Plan plan{nobody, nobody, knobs, version};
  Sheet sheet;
  sheet.knob("proto", "proto " + proto_text(plan, is_server));
  sheet.line("data-ciphers " + data_ciphers(plan), "the server's first choice wins");
  write_tuning(sheet, plan, is_server);
  return sheet.take();
}

Packets bcast_buffers_for(Packets tcp_queue_limit) {
  return {std::max<std::uint64_t>(256, std::bit_ceil(tcp_queue_limit.value + 1))};
}

Result<OpenVpnPair> write_openvpn_pair(const OpenVpnSite& server, const OpenVpnSite& client,
                                       const OpenVpnKnobs& knobs, const OpenVpnVersion& version) {
  const Plan plan{server, client, knobs, version};
  LT_CHECK(check_plan(plan));
  Sheet server_sheet = write_site(plan, true);
  Sheet client_sheet = write_site(plan, false);
  if (std::max(server_sheet.option_length_max(), client_sheet.option_length_max()) >
      line_length_max) {
    return fail(Errc::limit,
                "a line of the OpenVPN files is longer than 255 characters; choose shorter paths "
                "and names");
  }
  OpenVpnPair pair;
  pair.server = server_sheet.take();
  pair.client = client_sheet.take();
  if (plan.is_server_mode()) pair.client_config = write_client_config(plan).take();
  return pair;
}

}  // namespace lt::configs

#include "configs/openvpn_writer.h"

#include <catch2/catch.hpp>
#include <set>

#include "base/text.h"

namespace lt::configs {

namespace {

constexpr OpenVpnVersion v24{2, 4, 12};
constexpr OpenVpnVersion v25{2, 5, 11};
constexpr OpenVpnVersion v26{2, 6, 14};
constexpr OpenVpnVersion v27{2, 7, 6};

std::string fingerprint(char digit) {
  std::string text;
  for (int i = 0; i < 32; ++i)
    text += std::string(i == 0 ? "" : ":") + digit + digit;
  return text;
}

OpenVpnSite server() {
  OpenVpnSite site;
  site.name = "office";
  site.certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  site.private_key = "-----BEGIN PRIVATE KEY-----\nSECRETA\n-----END PRIVATE KEY-----\n";
  site.fingerprint = fingerprint('A');
  site.tunnel_addresses = {*Prefix::parse("10.77.0.1/30")};
  site.local_prefixes = {*Prefix::parse("10.1.0.0/16")};
  site.endpoint = {"0.0.0.0", 1194};
  site.client_config_dir = "/etc/openvpn/server/ccd";
  return site;
}

OpenVpnSite client() {
  OpenVpnSite site = server();
  site.name = "offsite";
  site.certificate = "-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n";
  site.private_key = "-----BEGIN PRIVATE KEY-----\nSECRETB\n-----END PRIVATE KEY-----\n";
  site.fingerprint = fingerprint('B');
  site.tunnel_addresses = {*Prefix::parse("10.77.0.2/30")};
  site.local_prefixes = {*Prefix::parse("10.2.0.0/16"), *Prefix::parse("10.3.7.0/24")};
  site.endpoint = {"gw.example.org", 1194};
  site.client_config_dir.clear();
  return site;
}

OpenVpnPair written(const OpenVpnKnobs& knobs, const OpenVpnVersion& version = v26) {
  auto pair = write_openvpn_pair(server(), client(), knobs, version);
  if (!pair) FAIL(pair.error().text());
  return *pair;
}

/// The options of a file, as OpenVPN reads them: without comments and blocks.
std::vector<std::string> options_of(const std::string& text) {
  std::vector<std::string> options;
  bool in_block = false;
  for (const std::string_view row : split(text, '\n')) {
    const std::string option(trim(row.substr(0, row.find('#'))));
    if (option.starts_with("</")) {
      in_block = false;
    } else if (!in_block && !option.empty()) {
      options.push_back(option);
      in_block = option.starts_with("<");
    }
  }
  return options;
}

bool has(const std::string& text, const std::string& option) {
  const auto options = options_of(text);
  return std::find(options.begin(), options.end(), option) != options.end();
}

/// Whether any line begins with this option's name.
bool mentions(const std::string& text, const std::string& name) {
  for (const std::string& option : options_of(text)) {
    if (option == name || option.starts_with(name + " ") || option == "<" + name + ">") return true;
  }
  return false;
}

}  // namespace

TEST_CASE("the default pair for 2.6 is exactly this", "[configs][openvpn]") {
  const OpenVpnPair pair = written({});
  const std::vector<std::string> expected_server{
      "mode server",
      "tls-server",
      "dev tun",
      "proto udp",
      "port 1194",
      "topology subnet",
      "ifconfig 10.77.0.1 255.255.255.252",
      "push \"topology subnet\"",
      "push \"route-gateway 10.77.0.1\"",
      "route-gateway 10.77.0.2",
      "route 10.2.0.0 255.255.0.0",
      "route 10.3.7.0 255.255.255.0",
      "client-config-dir \"/etc/openvpn/server/ccd\"",
      "ccd-exclusive",
      "tls-version-min 1.3",
      "dh none",
      "<cert>",
      "<key>",
      "peer-fingerprint " + fingerprint('B'),
      "data-ciphers AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305",
      "keepalive 10 60",
      "persist-tun",
      "persist-key",
      "explicit-exit-notify 1",
      "verb 3",
      "tun-mtu 1500"};
  const std::vector<std::string> expected_client{
      "client",
      "dev tun",
      "proto udp",
      "remote gw.example.org 1194",
      "nobind",
      "resolv-retry infinite",
      "connect-retry 1 10",
      "route 10.1.0.0 255.255.0.0",
      "tls-version-min 1.3",
      "<cert>",
      "<key>",
      "peer-fingerprint " + fingerprint('A'),
      "data-ciphers AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305",
      "persist-tun",
      "persist-key",
      "explicit-exit-notify 1",
      "verb 3",
      "tun-mtu 1500"};
  CHECK(options_of(pair.server) == expected_server);
  CHECK(options_of(pair.client) == expected_client);
  REQUIRE(pair.client_config.has_value());
  CHECK(options_of(*pair.client_config) ==
        std::vector<std::string>{"ifconfig-push 10.77.0.2 255.255.255.252",
                                 "iroute 10.2.0.0 255.255.0.0", "iroute 10.3.7.0 255.255.255.0"});
}

TEST_CASE("the same sites and knobs give the same text", "[configs][openvpn]") {
  const OpenVpnPair first = written(OpenVpnKnobs::owner_recipe());
  const OpenVpnPair second = written(OpenVpnKnobs::owner_recipe());
  CHECK(first.server == second.server);
  CHECK(first.client == second.client);
  CHECK(first.client_config == second.client_config);
}

TEST_CASE("each file holds its own secret and not the other's", "[configs][openvpn]") {
  const OpenVpnPair pair = written({});
  CHECK(pair.server.find("SECRETA") != std::string::npos);
  CHECK(pair.server.find("SECRETB") == std::string::npos);
  CHECK(pair.client.find("SECRETB") != std::string::npos);
  CHECK(pair.client.find("SECRETA") == std::string::npos);
}

TEST_CASE("every option has a reason, and no line is longer than OpenVPN reads",
          "[configs][openvpn]") {
  OpenVpnKnobs knobs = OpenVpnKnobs::owner_recipe();
  const auto version = GENERATE(v24, v25, v26, v27);
  const OpenVpnPair pair = written(knobs, version);
  for (const std::string* text : {&pair.server, &pair.client, &*pair.client_config}) {
    bool in_block = false;
    for (const std::string_view row : split(*text, '\n')) {
      INFO(row);
      CHECK(row.size() <= 255);
      const bool is_option = !in_block && !row.empty() && row.front() != '#' &&
                             row.front() != ' ' && !row.starts_with("</");
      if (is_option) CHECK(row.find(" # ") != std::string_view::npos);
      if (row.starts_with("</")) {
        in_block = false;
      } else if (row.starts_with("<")) {
        in_block = true;
      }
    }
  }
}

TEST_CASE("the tuned lines stand in both files", "[configs][openvpn]") {
  const OpenVpnKnobs knobs{.proto = OpenVpnProto::tcp,
                           .tun_mtu = 9000,
                           .mssfix = 0,
                           .txqueuelen = Packets{15000},
                           .tcp_queue_limit = Packets{64},
                           .tcp_nodelay = true,
                           .sndbuf = 1_MiB,
                           .rcvbuf = 2_MiB,
                           .dco = false};
  const OpenVpnPair pair = written(knobs);
  for (const char* option : {"tun-mtu 9000", "mssfix 0", "txqueuelen 15000", "tcp-nodelay",
                             "sndbuf 1048576", "rcvbuf 2097152", "disable-dco"}) {
    INFO(option);
    CHECK(has(pair.server, option));
    CHECK(has(pair.client, option));
  }
  for (const std::string& option : options_of(pair.server)) {
    if (option.starts_with("push "))
      CHECK((option.find("topology") != std::string::npos ||
             option.find("route-gateway") != std::string::npos));
  }
}

TEST_CASE("the jumbo recipe is written literally", "[configs][openvpn]") {
  const OpenVpnPair pair = written(OpenVpnKnobs::owner_recipe());
  for (const char* option : {"proto tcp-server", "tun-mtu 9000", "mssfix 0", "txqueuelen 15000",
                             "tcp-nodelay", "tcp-queue-limit 256", "bcast-buffers 256"}) {
    INFO(option);
    CHECK(has(pair.server, option));
  }
  CHECK(has(pair.client, "proto tcp-client"));
  CHECK_FALSE(mentions(pair.client, "tcp-queue-limit"));
}

TEST_CASE("a tcp-queue-limit gets the storage that it needs", "[configs][openvpn]") {
  struct Row {
    std::uint64_t limit, buffers;
  };
  const auto row = GENERATE(values<Row>({{1, 256},
                                         {64, 256},
                                         {255, 256},
                                         {256, 512},
                                         {257, 512},
                                         {511, 512},
                                         {512, 1024},
                                         {65536, 131072}}));
  INFO(row.limit);
  CHECK(bcast_buffers_for(Packets{row.limit}) == Packets{row.buffers});
  const OpenVpnPair pair =
      written({.proto = OpenVpnProto::tcp, .tcp_queue_limit = Packets{row.limit}});
  CHECK(mentions(pair.server, "bcast-buffers") == (row.buffers > 256));
  if (row.buffers > 256) CHECK(has(pair.server, "bcast-buffers " + std::to_string(row.buffers)));
  CHECK(mentions(pair.server, "tcp-queue-limit") == (row.limit != 64));
  CHECK_FALSE(mentions(pair.client, "bcast-buffers"));
}

TEST_CASE("knobs that would be dead are not written", "[configs][openvpn]") {
  OpenVpnKnobs knobs{.tcp_queue_limit = Packets{512}, .tcp_nodelay = true};
  SECTION("tcp's over udp") {
    const OpenVpnPair pair = written(knobs);
    for (const char* name :
         {"tcp-queue-limit", "bcast-buffers", "tcp-nodelay", "connect-timeout"}) {
      CHECK_FALSE(mentions(pair.server, name));
      CHECK_FALSE(mentions(pair.client, name));
    }
  }
  SECTION("the queue of a server, point to point") {
    knobs.proto = OpenVpnProto::tcp;
    knobs.mode = OpenVpnMode::p2p;
    const OpenVpnPair pair = written(knobs);
    CHECK_FALSE(mentions(pair.server, "tcp-queue-limit"));
    CHECK_FALSE(mentions(pair.server, "bcast-buffers"));
    CHECK(mentions(pair.server, "tcp-nodelay"));
  }
  SECTION("udp's over tcp") {
    const OpenVpnPair pair = written({.proto = OpenVpnProto::tcp, .fast_io = true});
    CHECK_FALSE(mentions(pair.server, "fast-io"));
    CHECK_FALSE(mentions(pair.client, "explicit-exit-notify"));
  }
}

TEST_CASE("each version gets the options it knows, and none that it ignores or refuses",
          "[configs][openvpn]") {
  struct Row {
    std::string option;
    bool in24, in25, in26, in27;
  };
  const auto row = GENERATE(values<Row>({
      {"peer-fingerprint", false, false, true, true},
      {"ca", true, true, false, false},
      {"verify-x509-name", true, true, false, false},
      {"data-ciphers", false, true, true, true},
      {"ncp-ciphers", true, false, false, false},
      {"cipher", true, false, false, false},
      {"persist-key", true, true, true, false},
      {"fast-io", true, true, true, false},
      {"disable-dco", false, false, true, true},
      {"tun-mtu", true, true, true, true},
      {"tls-version-min", true, true, true, true},
      // never: harmful, dead or refused somewhere
      {"ncp-disable", false, false, false, false},
      {"compress", false, false, false, false},
      {"comp-lzo", false, false, false, false},
      {"secret", false, false, false, false},
      {"link-mtu", false, false, false, false},
      {"remote-cert-tls", false, false, false, false},
      {"keysize", false, false, false, false},
  }));
  INFO(row.option);
  const OpenVpnKnobs knobs{.fast_io = true, .dco = false};
  const std::vector<std::pair<OpenVpnVersion, bool>> versions{
      {v24, row.in24}, {v25, row.in25}, {v26, row.in26}, {v27, row.in27}};
  for (const auto& [version, is_in] : versions) {
    INFO(version.text());
    const OpenVpnPair pair = written(knobs, version);
    CHECK(mentions(pair.server, row.option) == is_in);
    CHECK(mentions(pair.client, row.option) == is_in);
  }
}

TEST_CASE("the first release of a series counts as that series", "[configs][openvpn]") {
  const OpenVpnKnobs knobs{.fast_io = true, .dco = false};
  const OpenVpnPair first27 = written(knobs, {2, 7, 0});
  CHECK_FALSE(mentions(first27.server, "persist-key"));
  CHECK_FALSE(mentions(first27.server, "fast-io"));
  const OpenVpnPair first26 = written(knobs, {2, 6, 0});
  CHECK(mentions(first26.server, "peer-fingerprint"));
  CHECK(mentions(first26.server, "disable-dco"));
  CHECK(write_openvpn_pair(server(), client(), {.mode = OpenVpnMode::p2p}, {2, 6, 0}).has_value());
  const OpenVpnPair first25 = written(knobs, {2, 5, 0});
  CHECK(has(first25.server, "tls-version-min 1.3"));
  CHECK(has(first25.server, "data-ciphers AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305"));
  CHECK(write_openvpn_pair(server(), client(), {}, openvpn_version_min).has_value());
}

TEST_CASE("2.4 is asked for the newest TLS it has, and for no ChaCha", "[configs][openvpn]") {
  const OpenVpnPair pair = written({}, v24);
  CHECK(has(pair.server, "tls-version-min 1.3 or-highest"));
  CHECK(has(pair.server, "ncp-ciphers AES-256-GCM:AES-128-GCM"));
  CHECK(has(pair.server, "cipher AES-256-GCM"));
}

TEST_CASE("the chosen cipher comes first at both ends", "[configs][openvpn]") {
  const OpenVpnPair pair = written({.cipher = OpenVpnCipher::chacha20_poly1305});
  CHECK(has(pair.server, "data-ciphers CHACHA20-POLY1305:AES-256-GCM:AES-128-GCM"));
  CHECK(has(pair.client, "data-ciphers CHACHA20-POLY1305:AES-256-GCM:AES-128-GCM"));
}

TEST_CASE("a point-to-point pair is two files", "[configs][openvpn]") {
  const OpenVpnPair pair = written({.mode = OpenVpnMode::p2p});
  CHECK_FALSE(pair.client_config.has_value());
  CHECK(has(pair.server, "tls-server"));
  CHECK(has(pair.client, "tls-client"));
  CHECK(has(pair.server, "ifconfig 10.77.0.1 10.77.0.2"));
  CHECK(has(pair.client, "ifconfig 10.77.0.2 10.77.0.1"));
  CHECK(has(pair.server, "route 10.3.7.0 255.255.255.0"));
  CHECK(has(pair.client, "route 10.1.0.0 255.255.0.0"));
  for (const char* name : {"mode", "push", "client-config-dir", "client", "topology subnet"}) {
    CHECK_FALSE(mentions(pair.server, name));
    CHECK_FALSE(mentions(pair.client, name));
  }
}

TEST_CASE("management waits on hold at a Unix socket", "[configs][openvpn]") {
  OpenVpnSite left = server();
  left.management_socket = "/run/linktune/a b/server.sock";
  const auto pair = write_openvpn_pair(left, client(), {}, v26);
  if (!pair) FAIL(pair.error().text());
  CHECK(has(pair->server, "management \"/run/linktune/a b/server.sock\" unix"));
  CHECK(has(pair->server, "management-hold"));
  CHECK_FALSE(mentions(pair->client, "management"));
}

TEST_CASE("what cannot be a pair is refused with its cure", "[configs][openvpn]") {
  OpenVpnSite left = server();
  OpenVpnSite right = client();
  OpenVpnKnobs knobs;
  OpenVpnVersion version = v26;
  std::string word;
  SECTION("a name with a line break") {
    right.name = "off\nsite", word = "client has no usable name";
  }
  SECTION("a name with a slash") {
    right.name = "../x", word = "client has no usable name";
  }
  SECTION("the same name twice") {
    right.name = left.name, word = "same name";
  }
  SECTION("no certificate") {
    left.certificate = "", word = "server has no certificate";
  }
  SECTION("a certificate that ends its block") {
    left.certificate += "</cert>\nscript-security 3\n", word = "certificate";
  }
  SECTION("no key") {
    right.private_key = right.certificate, word = "client has no private key";
  }
  SECTION("a fingerprint too short") {
    left.fingerprint.pop_back(), word = "fingerprint";
  }
  SECTION("a fingerprint with other characters") {
    left.fingerprint[0] = 'g', word = "fingerprint";
  }
  SECTION("a fingerprint with other separators") {
    left.fingerprint[2] = '-', word = "fingerprint";
  }
  SECTION("no port") {
    right.endpoint.port = 0, word = "ADDRESS:PORT";
  }
  SECTION("a host with a second option") {
    right.endpoint.host = "x\nup /bin/sh", word = "ADDRESS:PORT";
  }
  SECTION("a server that listens on a name") {
    left.endpoint.host = "gw.example.org", word = "0.0.0.0:PORT";
  }
  SECTION("a long device") {
    left.device = "tun4567890123456", word = "device";
  }
  SECTION("a device with a blank") {
    left.device = "tun 0", word = "device";
  }
  SECTION("no client-config-dir") {
    left.client_config_dir = "", word = "client-config-dir";
  }
  SECTION("a relative client-config-dir") {
    left.client_config_dir = "ccd", word = "absolute path";
  }
  SECTION("a client-config-dir with a line break") {
    left.client_config_dir = "/a\nup x", word = "absolute path";
  }
  SECTION("a long client-config-dir") {
    left.client_config_dir = "/" + std::string(250, 'a'), word = "255";
  }
  SECTION("a relative management socket") {
    right.management_socket = "m.sock", word = "absolute path";
  }
  SECTION("no tunnel address") {
    right.tunnel_addresses.clear(), word = "10.77.0.1/30";
  }
  SECTION("two tunnel addresses") {
    right.tunnel_addresses.push_back(*Prefix::parse("10.78.0.2/30")), word = "10.77.0.1/30";
  }
  SECTION("tunnel addresses apart") {
    right.tunnel_addresses = {*Prefix::parse("10.78.0.2/30")}, word = "no pair";
  }
  SECTION("the same tunnel address") {
    right.tunnel_addresses = left.tunnel_addresses, word = "no pair";
  }
  SECTION("IPv6 at one end") {
    right.tunnel_addresses.push_back(*Prefix::parse("fd00::2/64")), word = "both ends";
  }
  SECTION("an IPv6 network without IPv6") {
    right.local_prefixes = {*Prefix::parse("fd00:2::/48")}, word = "fd00:77::1/64";
  }
  SECTION("host bits") {
    left.local_prefixes = {*Prefix::parse("10.1.0.1/16")}, word = "10.1.0.0/16";
  }
  SECTION("tls-crypt-v2 at one end") {
    left.tls_crypt_v2 = "-----BEGIN OpenVPN tls-crypt-v2 server key-----\n", word = "one end only";
  }
  SECTION("tls-crypt-v2 that is none") {
    left.tls_crypt_v2 = right.tls_crypt_v2 = "key", word = "genkey";
  }
  SECTION("tls-crypt-v2 with its hole") {
    left.tls_crypt_v2 = right.tls_crypt_v2 = "-----BEGIN OpenVPN tls-crypt-v2 client key-----\n";
    version = {2, 6, 13};
    word = "CVE-2025-2704";
  }
  SECTION("too old") {
    version = {2, 3, 18}, word = "too old";
  }
  SECTION("point to point before 2.6") {
    knobs.mode = OpenVpnMode::p2p, version = v25, word = "mode = server";
  }
  SECTION("ChaCha before 2.5") {
    knobs.cipher = OpenVpnCipher::chacha20_poly1305, version = v24, word = "AES-256-GCM";
  }
  SECTION("fragment with tcp") {
    knobs.proto = OpenVpnProto::tcp, knobs.fragment = 1300, word = "fragment";
  }
  SECTION("a tun-mtu that udp cannot carry") {
    knobs.tun_mtu = 65500, word = "65483";
  }
  const auto pair = write_openvpn_pair(left, right, knobs, version);
  REQUIRE_FALSE(pair.has_value());
  CHECK_THAT(pair.error().what, Catch::Contains(word));
  CHECK(pair.error().what.find("SECRET") == std::string::npos);
}

TEST_CASE("tls-crypt-v2 goes in where it is safe", "[configs][openvpn]") {
  OpenVpnSite left = server();
  OpenVpnSite right = client();
  left.tls_crypt_v2 =
      "-----BEGIN OpenVPN tls-crypt-v2 server key-----\nK\n-----END OpenVPN tls-crypt-v2 server "
      "key-----\n";
  right.tls_crypt_v2 =
      "-----BEGIN OpenVPN tls-crypt-v2 client key-----\nL\n-----END OpenVPN tls-crypt-v2 client "
      "key-----\n";
  for (const OpenVpnVersion& version : {v25, v26, v27, OpenVpnVersion{2, 6, 0}}) {
    const auto pair = write_openvpn_pair(left, right, {}, version);
    if (!pair) FAIL(pair.error().text());
    CHECK(mentions(pair->server, "tls-crypt-v2"));
    CHECK(mentions(pair->client, "tls-crypt-v2"));
  }
  for (const OpenVpnVersion& version : {v24, OpenVpnVersion{2, 6, 1}}) {
    CHECK_FALSE(write_openvpn_pair(left, right, {}, version).has_value());
  }
}

TEST_CASE("the version is read from OpenVPN's first line", "[configs][openvpn]") {
  CHECK(parse_openvpn_version(
            "OpenVPN 2.6.14 x86_64-pc-linux-gnu [SSL (OpenSSL)]\nlibrary versions: 3.0\n")
            .value_or(v24) == v26);
  CHECK(parse_openvpn_version("OpenVPN 2.7_rc1 aarch64\n").value_or(v24) ==
        OpenVpnVersion{2, 7, 0});
  CHECK(parse_openvpn_version("OpenVPN 2.5").value_or(v24) == OpenVpnVersion{2, 5, 0});
  for (const char* text :
       {"", "OpenVPN", "OpenVPN ", "openvpn 2.6.14", "OpenVPN two", "OpenVPN 2", "OpenVPN 2.",
        "OpenVPN 2.6.14.1", "OpenVPN 99999.1", "usage: OpenVPN 2.6.14", "OpenVPN .6.1"}) {
    INFO(text);
    CHECK_FALSE(parse_openvpn_version(text).has_value());
  }
}

}  // namespace lt::configs

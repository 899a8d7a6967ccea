// Runs the installed openvpn in network namespaces without names, which vanish with the test:
//
//    LAN on lo -- server (tun) -- wan ===veth=== wan -- client (tun) -- LAN on lo
//
// Needs root and /dev/net/tun.
#include "app/cmd_openvpn.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "app/cmd_init.h"
#include "base/fd.h"

namespace lt::app {

namespace {

using configs::OpenVpnKnobs;
using configs::OpenVpnMode;
using configs::OpenVpnPair;
using configs::OpenVpnProto;

class Folder {
 public:
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "linktune-export-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

OpenVpnSites sites() {
  OpenVpnSites made;
  made.server.name = "office";
  made.server.tunnel_addresses = {*Prefix::parse("10.77.0.1/30")};
  made.server.local_prefixes = {*Prefix::parse("10.1.0.0/16")};
  made.server.endpoint = {"0.0.0.0", 1194};
  made.server.client_config_dir =
      "/etc/openvpn/server/ccd";  // the check puts its own in this place
  made.client.name = "offsite";
  made.client.tunnel_addresses = {*Prefix::parse("10.77.0.2/30")};
  made.client.local_prefixes = {*Prefix::parse("10.2.0.0/16"), *Prefix::parse("10.3.7.0/24")};
  made.client.endpoint = {"gateway.example.org", 1194};
  return made;
}

OpenVpnSites keyed_sites(bool with_tls_crypt) {
  OpenVpnSites made = sites();
  const Status status = give_openvpn_keys(made, 30, with_tls_crypt);
  if (!status) FAIL(status.error().text());
  return made;
}

Result<OpenVpnPair> write(const OpenVpnSites& made, const OpenVpnKnobs& knobs) {
  const auto version = installed_openvpn_version();
  if (!version) FAIL(version.error().text());
  return configs::write_openvpn_pair(made.server, made.client, knobs, *version);
}

void require_working(const OpenVpnSites& made, const OpenVpnKnobs& knobs) {
  const auto pair = write(made, knobs);
  if (!pair) FAIL(pair.error().text());
  INFO(pair->server.substr(pair->server.find("# --- tuning")));
  const Status status = check_openvpn_pair(*pair, made, knobs);
  if (!status) FAIL(status.error().text());
}

}  // namespace

TEST_CASE("a written pair runs, carries full-size packets and joins the networks behind it",
          "[app][openvpn][netns]") {
  struct Row {
    std::string name;
    OpenVpnKnobs knobs;
  };
  const auto row = GENERATE(values<Row>({
      {"OpenVPN's defaults", {}},
      {"tcp with defaults", {.proto = OpenVpnProto::tcp}},
      {"the jumbo recipe", OpenVpnKnobs::owner_recipe()},
      {"tcp, tun-mtu 48000",
       {.proto = OpenVpnProto::tcp,
        .tun_mtu = 48000,
        .mssfix = 0,
        .tcp_queue_limit = Packets{1024}}},
      {"tcp, the largest tun-mtu", {.proto = OpenVpnProto::tcp, .tun_mtu = 65511, .mssfix = 0}},
      {"udp, the largest tun-mtu", {.proto = OpenVpnProto::udp, .tun_mtu = 65483, .mssfix = 0}},
      {"point to point over tcp",
       {.proto = OpenVpnProto::tcp, .mode = OpenVpnMode::p2p, .tun_mtu = 9000}},
      {"point to point over udp", {.proto = OpenVpnProto::udp, .mode = OpenVpnMode::p2p}},
      {"udp with every knob that it takes",
       {.cipher = configs::OpenVpnCipher::chacha20_poly1305,
        .tun_mtu = 1400,
        .mssfix = 1300,
        .fragment = 1300,
        .txqueuelen = Packets{100},
        .sndbuf = 1_MiB,
        .rcvbuf = 1_MiB,
        .fast_io = true,
        .dco = false}},
      {"tcp with every knob that it takes",
       {.proto = OpenVpnProto::tcp,
        .cipher = configs::OpenVpnCipher::aes_128_gcm,
        .tun_mtu = 1400,
        .mssfix = 1300,
        .txqueuelen = Packets{1000},
        .tcp_queue_limit = Packets{300},
        .bcast_buffers = Packets{300},
        .tcp_nodelay = true,
        .sndbuf = 256_KiB,
        .rcvbuf = 256_KiB}},
  }));
  INFO(row.name);
  require_working(keyed_sites(true), row.knobs);
}

TEST_CASE("a pair runs without tls-crypt-v2 and without networks behind it",
          "[app][openvpn][netns]") {
  OpenVpnSites made = keyed_sites(false);
  SECTION("without networks") {
    made.server.local_prefixes.clear();
    made.client.local_prefixes.clear();
  }
  SECTION("with a device of a chosen name, listening on one address") {
    made.server.device = "backup0";
    made.server.endpoint.host = "203.0.113.5";
    made.client.endpoint = {"203.0.113.77", 4443};  // a port forwarded by a router
  }
  require_working(made, {.proto = OpenVpnProto::tcp});
}

TEST_CASE("a pair runs over IPv6 and carries IPv6", "[app][openvpn][netns]") {
  OpenVpnSites made = keyed_sites(true);
  made.server.endpoint.host = "::";
  made.client.endpoint.host = "2001:db8::5";
  made.server.tunnel_addresses.push_back(*Prefix::parse("fd00:77::1/64"));
  made.client.tunnel_addresses.push_back(*Prefix::parse("fd00:77::2/64"));
  made.server.local_prefixes.push_back(*Prefix::parse("fd00:1::/48"));
  made.client.local_prefixes.push_back(*Prefix::parse("fd00:2::/48"));
  const auto proto = GENERATE(OpenVpnProto::tcp, OpenVpnProto::udp);
  const auto mode = GENERATE(OpenVpnMode::server, OpenVpnMode::p2p);
  INFO((proto == OpenVpnProto::tcp ? "tcp" : "udp")
       << (mode == OpenVpnMode::p2p ? " p2p" : " server"));
  require_working(made, {.proto = proto, .mode = mode});
}

TEST_CASE("a pair that does not work is found out", "[app][openvpn][netns]") {
  const OpenVpnSites made = keyed_sites(false);
  OpenVpnKnobs knobs{.proto = OpenVpnProto::tcp};
  auto pair = write(made, knobs);
  if (!pair) FAIL(pair.error().text());
  const auto replace = [](std::string& text, const std::string& from, const std::string& to) {
    REQUIRE(text.find(from) != std::string::npos);
    text.replace(text.find(from), from.size(), to);
  };
  std::string word;
  std::chrono::seconds deadline{8};
  SECTION("an option that does not exist") {
    replace(pair->server, "\npersist-tun", "\npersist-ton");
    word = "server ended by itself";
  }
  SECTION("the wrong peer") {
    replace(pair->client, made.server.fingerprint, made.client.fingerprint);
    word = "client did not come up in time";
    deadline = std::chrono::seconds(3);
  }
  SECTION("no file for the client") {
    pair->client_config.reset();
    word = "--client-config-dir fails";
  }
  SECTION("no iroute") {
    REQUIRE(pair->client_config.has_value());
    pair->client_config->resize(pair->client_config->find("\niroute") + 1);
    word = "between the networks behind it";
  }
  SECTION("a jumbo tun at one end only") {
    knobs.tun_mtu = 9000;
    replace(pair->client, "\ntun-mtu 1500", "\ntun-mtu 9000");
    word = "bytes through the tunnel";
  }
  const Status status = check_openvpn_pair(*pair, made, knobs, deadline);
  REQUIRE_FALSE(status.has_value());
  CHECK_THAT(status.error().what, Catch::Contains(word));
  CHECK(status.error().what.find("PRIVATE KEY") == std::string::npos);
}

TEST_CASE("an export is checked, whole and for nobody else's eyes", "[app][openvpn][netns]") {
  const Folder folder;
  OpenVpnExportOptions options;
  options.out = folder / "openvpn";
  options.recipe = true;
  options.knobs = {{"tun-mtu", "16000"}, {"openvpn.bcast_buffers", "unset"}};
  SECTION("from addresses") {
    options.endpoint = "203.0.113.5:1194";
    options.lan = {"10.1.0.0/16"};
    options.peer_lan = {"10.2.0.0/16"};
  }
  SECTION("from a pair of configs") {
    InitPairOptions init;
    init.out = folder / "pair";
    init.endpoint = "203.0.113.5:5198";
    init.lan = {"10.1.0.0/16"};
    init.peer_lan = {"10.2.0.0/16"};
    const auto made = init_pair(init);
    if (!made) FAIL(made.error().text());
    options.config = made->offsite.config_path;  // in either order
    options.peer_config = made->office.config_path;
  }
  const auto report = export_openvpn(options);
  if (!report) FAIL(report.error().text());
  CHECK(report->is_checked);
  REQUIRE(report->files.size() == 3);
  for (const std::string& file : report->files) {
    struct stat found {};
    REQUIRE(::stat(file.c_str(), &found) == 0);
    CHECK((found.st_mode & 07777U) == 0600);
  }
  const std::string server = read_file(folder / "openvpn/server.conf", 1 << 20).value_or("");
  const std::string client = read_file(folder / "openvpn/client.conf", 1 << 20).value_or("");
  CHECK_THAT(server,
             Catch::Contains("\ntun-mtu 16000 ") && Catch::Contains("\nbcast-buffers 512 "));
  CHECK_THAT(server, Catch::Contains("client-config-dir \"" + (folder / "openvpn/ccd") + "\""));
  CHECK_THAT(client,
             Catch::Contains("\ntun-mtu 16000 ") && Catch::Contains("\nremote 203.0.113.5 1194 "));
  CHECK_THAT(export_text(*report), Catch::Contains("Checked: "));
  CHECK(export_json(*report)["checked"] == true);

  const auto again = export_openvpn(options);
  REQUIRE_FALSE(again.has_value());
  CHECK(again.error().code == Errc::exists);
}

TEST_CASE("an export that is refused writes nothing and names the cure", "[app][openvpn][netns]") {
  const Folder folder;
  OpenVpnExportOptions options;
  options.out = folder / "openvpn";
  options.endpoint = "203.0.113.5:1194";
  options.lan = {"10.1.0.0/16"};
  options.peer_lan = {"10.2.0.0/16"};
  options.check = false;
  std::string word;
  SECTION("no folder") {
    options.out = "", word = "--out";
  }
  SECTION("no sites") {
    options.endpoint = "", word = "--config FILE --peer-config FILE";
  }
  SECTION("half a pair") {
    options.endpoint = "", options.config = "office.toml", word = "both configs";
  }
  SECTION("sites twice") {
    options.config = options.peer_config = "office.toml", word = "named twice";
  }
  SECTION("bad network") {
    options.lan = {"10.1.0.1/16"}, word = "--lan: ";
  }
  SECTION("bad port") {
    options.port = 65536, word = "--port: ";
  }
  SECTION("unknown knob") {
    options.knobs = {{"tunmtu", "9000"}}, word = "did you mean `tun_mtu`";
  }
  SECTION("bad value") {
    options.knobs = {{"tun_mtu", "70000"}}, word = "576..65511";
  }
  SECTION("a combination that cannot be") {
    options.knobs = {{"proto", "tcp"}, {"fragment", "1300"}}, word = "fragment";
  }
  SECTION("no version") {
    options.target_version = "newest", word = "write 2.6.14";
  }
  SECTION("an old version") {
    options.target_version = "2.3.2", word = "too old";
  }
  SECTION("no days") {
    options.days = 0, word = "days";
  }
  SECTION("a relative folder to install in") {
    options.install_dir = "openvpn", word = "absolute path";
  }
  const auto report = export_openvpn(options);
  REQUIRE_FALSE(report.has_value());
  CHECK_THAT(report.error().what, Catch::Contains(word));
  CHECK_FALSE(std::filesystem::exists(folder / "openvpn"));
}

TEST_CASE("an export for another version says that it is unchecked", "[app][openvpn][netns]") {
  const Folder folder;
  OpenVpnExportOptions options;
  options.out = folder / "openvpn";
  options.endpoint = "203.0.113.5:1194";
  options.target_version = "2.5.11";
  options.install_dir = "/etc/openvpn/server";
  const auto report = export_openvpn(options);
  if (!report) FAIL(report.error().text());
  CHECK_FALSE(report->is_checked);
  CHECK_THAT(export_text(*report),
             Catch::Contains("Not checked: the files are for OpenVPN 2.5.11"));
  CHECK_THAT(read_file(options.out + "/server.conf", 1 << 20).value_or(""),
             Catch::Contains("\"/etc/openvpn/server/ccd\""));
}

}  // namespace lt::app

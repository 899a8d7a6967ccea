#include "app/cmd_init.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "configs/toml_reader.h"
#include "crypto/identity.h"

namespace lt::app {

namespace {

// A folder of its own for each test, gone with it.
class Folder {
 public:
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "linktune-init-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::string path_;
};

InitPairOptions options_for(const std::string& out) {
  InitPairOptions options;
  options.out = out;
  options.endpoint = "203.0.113.5:5198";
  options.lan = {"10.1.0.0/16"};
  options.peer_lan = {"10.2.0.0/16", "10.3.0.0/24"};
  return options;
}

unsigned mode_of(const std::string& path) {
  struct stat found {};
  REQUIRE(::stat(path.c_str(), &found) == 0);
  return found.st_mode & 07777U;
}

}  // namespace

TEST_CASE("init makes a pair that fits together", "[app][init]") {
  const Folder folder;
  const auto report = init_pair(options_for(folder / "pair"));
  if (!report) FAIL(report.error().text());
  const auto office = configs::load_link_config(folder / "pair/office.toml");
  const auto offsite = configs::load_link_config(folder / "pair/offsite.toml");
  if (!office) FAIL(office.error().text());
  if (!offsite) FAIL(offsite.error().text());
  CHECK(office->listen == Endpoint{"0.0.0.0", 5198});
  CHECK(offsite->connect == Endpoint{"203.0.113.5", 5198});
  CHECK(office->tunnel_addresses[0].text() == "10.77.0.1/30");
  CHECK(offsite->tunnel_addresses[0].text() == "10.77.0.2/30");
  CHECK(office->peer_prefixes.size() == 2);
  CHECK(office->local_prefixes == offsite->peer_prefixes);
  CHECK(office->peer_prefixes == offsite->local_prefixes);

  for (const auto* site : {&*office, &*offsite}) {
    CHECK(mode_of(site->key_path) == 0600);
    const auto identity = crypto::Identity::load(site->key_path);
    if (!identity) FAIL(identity.error().text());
    CHECK(identity->public_key() == site->public_key);
    const auto& other = site == &*office ? *offsite : *office;
    CHECK(other.peer_public_key == identity->public_key());
  }
  CHECK(pubkey(folder / "pair/office.key").value_or("") == report->office.public_key);
  CHECK_THAT(init_text(*report), Catch::Contains("linktune up --config"));
  CHECK(init_json(*report)["offsite"]["config"] == folder / "pair/offsite.toml");
}

TEST_CASE("init takes the other address of the tunnel's network", "[app][init]") {
  struct Row {
    std::string tunnel, peer, expected;
  };
  const auto row = GENERATE(values<Row>({{"10.9.0.2/30", "", "10.9.0.1/30"},
                                         {"10.9.0.5/24", "", "10.9.0.6/24"},
                                         {"10.9.0.254/24", "", "10.9.0.253/24"},
                                         {"10.9.0.0/31", "", "10.9.0.1/31"},
                                         {"10.9.0.1/31", "", "10.9.0.0/31"},
                                         {"10.9.0.255/16", "", "10.9.1.0/16"},
                                         {"fd00:9::1/64", "", "fd00:9::2/64"},
                                         {"10.9.0.5/24", "10.9.0.77/24", "10.9.0.77/24"}}));
  INFO(row.tunnel);
  const Folder folder;
  auto options = options_for(folder / "pair");
  options.tunnel = row.tunnel;
  options.peer_tunnel = row.peer;
  const auto report = init_pair(options);
  if (!report) FAIL(report.error().text());
  CHECK(configs::load_link_config(report->offsite.config_path)->tunnel_addresses[0].text() ==
        row.expected);
}

TEST_CASE("an endpoint by IPv6 is listened for by IPv6", "[app][init]") {
  const Folder folder;
  auto options = options_for(folder / "pair");
  options.endpoint = "[2001:db8::5]:443";
  const auto report = init_pair(options);
  if (!report) FAIL(report.error().text());
  CHECK(configs::load_link_config(report->office.config_path)->listen == Endpoint{"::", 443});
}

TEST_CASE("init never overwrites, and leaves nothing when it refuses", "[app][init]") {
  const std::string name = GENERATE("office.toml", "office.key", "offsite.toml", "offsite.key");
  const Folder folder;
  std::filesystem::create_directory(folder / "pair");
  SECTION("a file") {
    std::ofstream(folder / ("pair/" + name)) << "mine";
  }
  SECTION("a dangling link") {
    std::filesystem::create_symlink("/nonexistent/x", folder / ("pair/" + name));
  }
  const auto report = init_pair(options_for(folder / "pair"));
  REQUIRE_FALSE(report.has_value());
  CHECK(report.error().code == Errc::exists);
  CHECK_THAT(report.error().what, Catch::Contains(name));
  CHECK(std::distance(std::filesystem::directory_iterator(folder / "pair"), {}) == 1);
}

TEST_CASE("init names the option that is wrong, and makes nothing", "[app][init]") {
  const Folder folder;
  auto options = options_for(folder / "pair");
  std::string option, word;
  SECTION("no folder") {
    options.out = "", option = "--out", word = "write --out";
  }
  SECTION("endpoint without port") {
    options.endpoint = "203.0.113.5", option = "--endpoint", word = "ADDRESS:PORT";
  }
  SECTION("endpoint's port 0") {
    options.endpoint = "203.0.113.5:0", option = "--endpoint", word = "ADDRESS:PORT";
  }
  SECTION("endpoint inside the LAN behind it") {
    options.endpoint = "10.1.0.5:5198", option = "--endpoint", word = "routed into itself";
  }
  SECTION("no network") {
    options.lan = {"10.1.0.0"}, option = "--lan", word = "ADDRESS/LENGTH";
  }
  SECTION("host bits") {
    options.lan = {"10.1.0.1/16"}, option = "--lan", word = "write 10.1.0.0/16";
  }
  SECTION("host bits at the peer") {
    options.peer_lan = {"10.2.0.1/16"}, option = "--peer-lan", word = "write 10.2.0.0/16";
  }
  SECTION("the same network twice") {
    options.peer_lan = {"10.1.0.0/24"}, option = "--peer-lan", word = "overlaps";
  }
  SECTION("tunnel within a LAN") {
    options.tunnel = "10.1.0.1/30", option = "--lan", word = "overlaps";
  }
  SECTION("tunnel without length") {
    options.tunnel = "10.77.0.1", option = "--tunnel", word = "10.77.0.1/30";
  }
  SECTION("tunnel's network address") {
    options.tunnel = "10.77.0.0/30", option = "--tunnel", word = "network itself";
  }
  SECTION("tunnel ends apart") {
    options.peer_tunnel = "10.78.0.2/30", option = "--peer-tunnel", word = "one network";
  }
  SECTION("tunnel ends equal") {
    options.peer_tunnel = "10.77.0.1/30", option = "--peer-tunnel", word = "no pair";
  }
  SECTION("device too long") {
    options.device = "a234567890123456", option = "--device", word = "15 characters";
  }
  const auto report = init_pair(options);
  REQUIRE_FALSE(report.has_value());
  CHECK(report.error().code == Errc::invalid);
  CHECK_THAT(report.error().what, Catch::StartsWith(option + ": "));
  CHECK_THAT(report.error().what, Catch::Contains(word));
  CHECK(folder.entries() == 0);
}

TEST_CASE("init says when its folder cannot be made", "[app][init]") {
  const Folder folder;
  std::ofstream(folder / "file") << "x";
  CHECK_THAT(init_pair(options_for(folder / "file")).error().what,
             Catch::Contains("is not a folder") || Catch::Contains("look at"));
  CHECK(init_pair(options_for(folder / "a/b")).error().code == Errc::not_found);
  CHECK(folder.entries() == 1);
}

TEST_CASE("keygen makes a key once", "[app][init]") {
  const Folder folder;
  const auto text = keygen(folder / "my.key");
  if (!text) FAIL(text.error().text());
  CHECK_THAT(*text, Catch::StartsWith("ltpub-"));
  CHECK(mode_of(folder / "my.key") == 0600);
  CHECK(pubkey(folder / "my.key").value_or("") == *text);
  const auto again = keygen(folder / "my.key");
  REQUIRE_FALSE(again.has_value());
  CHECK(again.error().code == Errc::exists);
  CHECK(pubkey(folder / "my.key").value_or("") == *text);
  CHECK_FALSE(pubkey(folder / "no.key").has_value());
}

}  // namespace lt::app

#include "configs/toml_reader.h"

#include <catch2/catch.hpp>
#include <random>

#include "base/fd.h"
#include "base/text.h"
#include "configs/knob.h"
#include "configs/toml_writer.h"

namespace lt::configs {

namespace {

// The tests replace one line of this text, or put one in front, and say which line the finding must
// name.
constexpr std::string_view good = R"(site = "office"

[identity]
key = "office.key"
peer_public_key = "ltpub-BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="

[link]
listen = "0.0.0.0:5198"
device = "lt0"

[tunnel]
addresses = ["10.77.0.1/30"]

[networks]
local = ["10.1.0.0/16"]
peer = ["10.2.0.0/16"]

[native]
mtu = 1500
offload = true
notsent_lowat = "256KiB"
)";

/// `good` with its line `line` (from 1) replaced; the replacement may hold several lines.
std::string with_line(std::size_t line, std::string_view replacement) {
  std::string text;
  std::size_t at = 0;
  for (const std::string_view row : split(good, '\n')) {
    text += ++at == line ? replacement : row;
    text += '\n';
  }
  return text;
}

struct Bad {
  std::size_t replaced;  // the line of `good` that is replaced
  std::string replacement;
  std::size_t found;  // the line that the first finding names
  std::string word;   // stands in that finding
};

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace

TEST_CASE("a good config is read whole", "[configs][toml]") {
  const auto config = parse_link_config(good, "/etc/linktune/office.toml");
  if (!config) FAIL(config.error().text());
  CHECK(config->site == "office");
  CHECK(config->key_path == "/etc/linktune/office.key");
  CHECK(config->peer_public_key[31] == 7);
  CHECK(config->listen == Endpoint{"0.0.0.0", 5198});
  CHECK_FALSE(config->connect.has_value());
  CHECK(config->tunnel_addresses == std::vector{*Prefix::parse("10.77.0.1/30")});
  CHECK(config->local_prefixes == std::vector{*Prefix::parse("10.1.0.0/16")});
  CHECK(config->peer_prefixes == std::vector{*Prefix::parse("10.2.0.0/16")});
  CHECK(config->knobs == NativeKnobs{});
}

TEST_CASE("a relative key stands beside its config", "[configs][toml]") {
  CHECK(parse_link_config(good, "office.toml")->key_path == "office.key");
  CHECK(parse_link_config(good, "sites/office.toml")->key_path == "sites/office.key");
  CHECK(parse_link_config(with_line(4, "key = \"/k/office.key\""), "sites/office.toml")->key_path ==
        "/k/office.key");
  CHECK(parse_link_config(with_line(4, "key = \"k\"\npsk = \"p\""), "/a/b.toml")->psk_path ==
        "/a/p");
}

TEST_CASE("what is harmless is taken", "[configs][toml]") {
  const std::string text = GENERATE(
      std::string(good), with_line(1, "# a\tcomment\nsite = \"office\"  # with\ttabs"),
      with_line(1, "site = 'office'\r"), with_line(8, "connect = \"gw.example.org:5198\""),
      with_line(8, "connect = \"[2001:db8::1]:5198\""), with_line(8, "listen = \"[::]:1\""),
      with_line(8, "connect = \"10.1.0.9:5198\""),  // the other site across the own LAN

      with_line(8, "listen = \"192.0.2.4:65535\""), with_line(12, "addresses = [\"10.77.0.0/31\"]"),
      with_line(12, "addresses = [\"10.77.0.1/30\", \"fd00::1/64\"]"), with_line(15, "local = []"),
      with_line(15, ""), with_line(16, "peer = [\"192.168.1.7/32\"]"),
      with_line(16, "peer = [\n  \"10.2.0.0/16\",\n  \"10.3.0.0/16\",\n]"),
      with_line(21, "notsent_lowat = 65536"), with_line(20, "offload = false"),
      with_line(19, "mtu = 65_535"), with_line(18, ""),
      with_line(9, "device = \"a23456789012345\""));
  INFO(text);
  // Without its header the keys of [native] fall into [networks]: they have to go with it.
  const bool headless = text.find("[native]") == std::string::npos;
  const auto config =
      parse_link_config(headless ? text.substr(0, text.find("mtu =")) : text, "office.toml");
  if (!config) FAIL(config.error().text());
  CHECK(config->site == "office");
}

TEST_CASE("a link may have the place of trials that it does not allow", "[configs]") {
  std::string text(good);
  const auto put = [&text](std::string_view from, std::string_view to) { text.replace(text.find(from), from.size(), to); };
  put("0.0.0.0:5198", "0.0.0.0:5298");
  put("\"lt0\"", "\"lttrial\"");
  CHECK(parse_link_config(text, "office.toml"));
  const auto both = parse_link_config(text + "\n[sweep]\nallow = true\n", "office.toml");
  REQUIRE_FALSE(both);
  CHECK_THAT(both.error().what, Catch::Contains("the link itself listens on port 5298") && Catch::Contains("lttrial"));
}

TEST_CASE("each way to be wrong is named with its line and its cure", "[configs][toml][D-7]") {
  const Bad bad = GENERATE(values<Bad>({
      // names
      {1, "sitr = \"office\"", 1, "did you mean `site`"},
      {1, "colour = \"blue\"\nsite = \"office\"", 1, "the keys there are site"},
      {1, "site = \"office\"\nversion = 1", 2, "no key `version`"},
      {1, "site = \"office\"\nmtu = 1500", 2, "write it below [native]"},
      {3, "[identiti]", 3, "did you mean [identity]"},
      {4, "kee = \"office.key\"", 4, "did you mean `key`"},
      {5, "peer_publik_key = \"x\"", 5, "did you mean `peer_public_key`"},
      {8, "listn = \"0.0.0.0:5198\"", 8, "did you mean `listen`"},
      {8, "listen = \"0.0.0.0:5198\"\nport = 5198", 9, "no key `port`"},
      {9, "devise = \"lt0\"", 9, "did you mean `device`"},
      {9, "mtu = 1400", 9, "write it below [native]"},
      {9, "device = \"lt0\"\nlocal = []", 10, "write it below [networks]"},
      {15, "locl = []", 15, "did you mean `local`"},
      {19, "mtuu = 1500", 19, "did you mean `mtu`"},
      {19, "site = \"office\"", 19, "above the first section"},
      {21, "[openvpn]", 21, "no section `openvpn`"},
      {21, "[native.tcp]", 21, "no key `tcp`"},
      // syntax
      {1, "site = \"office", 1, "write key = "},
      {1, "site \"office\"", 1, "write key = "},
      {1, "site =", 1, "write key = "},
      {1, "site = office", 1, "write key = "},
      {3, "[identity", 3, "name in brackets"},
      {16, "peer = [\"10.2.0.0/16\"", 18, "write key = "},
      {1, "site = \"off\\qice\"", 1, "write key = "},
      {3, "[=identity]", 3, "name in brackets"},
      {3, "[]", 3, "name in brackets"},
      {3, "[[identity]]", 3, "name in brackets"},
      {3, "[ \"identity\" ]", 3, "name in brackets"},
      {3, "[identity] key = \"k\"", 3, "name in brackets"},
      {3, "[identity.]", 3, "name in brackets"},
      {12, "addresses = [}]", 12, "a brace"},
      {12, "addresses = {a = 1}", 12, "a brace"},
      {1, "site = \"\"\"office\"\"\"", 1, "one pair of quotes"},
      {1, "site = \"\xff\xfe\"", 1, "write key = "},
      // twice
      {1, "site = \"office\"\nsite = \"other\"", 2, "once"},
      {9, "listen = \"0.0.0.0:5199\"", 9, "once"},
      {11, "[link]", 11, "once"},
      // bytes
      {1, "\xef\xbb\xbfsite = \"office\"", 1, "byte order mark"},
      {1, "\tsite = \"office\"", 1, "write blanks"},
      {9, "device = \"lt\t0\"", 9, "write blanks"},
      {9, "device =\t\"lt0\"", 9, "write blanks"},
      // types
      {1, "site = 5", 1, "write it in quotes"},
      {1, "site = [\"office\"]", 1, "write it in quotes"},
      {4, "key = true", 4, "write it in quotes"},
      {5, "peer_public_key = 12", 5, "write it in quotes"},
      {8, "listen = 5198", 8, "write it in quotes"},
      {12, "addresses = \"10.77.0.1/30\"", 12, "takes a list"},
      {12, "addresses = [10]", 12, "list of texts"},
      {16, "peer = [\"10.2.0.0/16\", [\"10.3.0.0/16\"]]", 16, "list of texts"},
      {19, "mtu = \"1500\"", 19, "without quotes"},
      {19, "mtu = 1500.0", 19, "without quotes"},
      {19, "mtu = true", 19, "without quotes"},
      {20, "offload = \"on\"", 20, "write true or false"},
      {20, "offload = 1", 20, "write true or false"},
      {21, "notsent_lowat = true", 21, "256KiB"},
      {21, "io = 3", 21, "in quotes"},
      // values
      {1, "", 1, "has no name"},
      {1, "site = \"\"", 1, "has no name"},
      {1, "site = \"of fice\"", 1, "cannot name a site"},
      {1, "site = \"../office\"", 1, "cannot name a site"},
      {1, "site = \"a23456789012345678901234567890123\"", 1, "at most 32"},
      {4, "", 3, "no private key"},
      {4, "key = \"\"", 4, "no private key"},
      {4, "key = \"of\\nfice.key\"", 4, "cannot be a path"},
      {4, "key = \"office.key\"\npsk = \"office.key\"", 5, "another file"},
      {4, "key = \"office.key\"\npsk = \"\"", 5, "leave psk out"},
      {5, "", 3, "ltpub-"},
      {5, "peer_public_key = \"\"", 5, "44 characters"},
      {5, "peer_public_key = \"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\"", 5, "write ltpub-"},
      {5, "peer_public_key = \"ltpub-BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBw==\"", 5,
       "not a whole public key"},
      {5, "peer_public_key = \"ltpub-BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc\"", 5,
       "not a whole public key"},
      {5, "peer_public_key = \"ltpub-BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwd=\"", 5,
       "not a whole public key"},
      {5, "peer_public_key = \"ltpub-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"", 5,
       "nobody's"},
      {5,
       "peer_public_key = \"ltpub-BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\"\n"
       "public_key = \"ltpub-BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\"",
       5, "at the other site"},
      {8, "", 7, "neither listens nor connects"},
      {8, "listen = \"0.0.0.0:5198\"\nconnect = \"192.0.2.1:5198\"", 9,
       "remove `listen` or `connect`"},
      {8, "listen = \"0.0.0.0:0\"", 8, "from 1 to 65535"},
      {8, "listen = \"0.0.0.0:65536\"", 8, "from 1 to 65535"},
      {8, "listen = \"0.0.0.0:-1\"", 8, "from 1 to 65535"},
      {8, "listen = \"0.0.0.0:\"", 8, "from 1 to 65535"},
      {8, "listen = \"0.0.0.0\"", 8, "has no port"},
      {8, "listen = \":5198\"", 8, "has no host"},
      {8, "listen = \"::1:5198\"", 8, "in brackets"},
      {8, "listen = \"::\"", 8, "in brackets"},
      {8, "listen = \"office.example.org:5198\"", 8, "not a numeric address"},
      {8, "listen = \"224.0.0.1:5198\"", 8, "multicast"},
      {8, "listen = \"10.77.0.1:5198\"", 8, "routed into itself"},
      {8, "connect = \"0.0.0.0:5198\"", 8, "public address"},
      {8, "connect = \"300.1.1.1:5198\"", 8, "neither an address nor a host name"},
      {8, "connect = \"gw example.org:5198\"", 8, "neither an address nor a host name"},
      {8, "connect = \"-gw.example.org:5198\"", 8, "neither an address nor a host name"},
      {8, "connect = \"10.2.9.9:5198\"", 8, "routed into itself"},
      {8, "connect = \"10.77.0.2:5198\"", 8, "routed into itself"},
      {9, "device = \"\"", 9, "1 to 15 characters"},
      {9, "device = \"a234567890123456\"", 9, "1 to 15 characters"},
      {9, "device = \"lt/0\"", 9, "cannot name a device"},
      {9, "device = \"lt%d\"", 9, "cannot name a device"},
      {9, "device = \"lt 0\"", 9, "cannot name a device"},
      {9, "device = \"..\"", 9, "cannot name a device"},
      {9, "device = \"lo\"", 9, "cannot name a device"},
      {12, "", 11, "the tunnel has no address"},
      {12, "addresses = []", 12, "the tunnel has no address"},
      {12, "addresses = [\"10.77.0.1\"]", 12, "ADDRESS/LENGTH"},
      {12, "addresses = [\"10.77.0.1/33\"]", 12, "from 0 to 32"},
      {12, "addresses = [\"10.77.0.1/\"]", 12, "from 0 to 32"},
      {12, "addresses = [\"fd00::1/129\"]", 12, "from 0 to 128"},
      {12, "addresses = [\"10.77.0.256/30\"]", 12, "not an address"},
      {12, "addresses = [\"10.77.0.0/30\"]", 12, "the network itself"},
      {12, "addresses = [\"10.77.0.3/30\"]", 12, "broadcast"},
      {12, "addresses = [\"10.77.0.1/32\"]", 12, "no room for the other site"},
      {12, "addresses = [\"127.0.0.1/8\"]", 12, "loopback"},
      {12, "addresses = [\"0.0.0.0/0\"]", 12, "unspecified"},
      {12, "addresses = [\"10.77.0.1/4\"]", 12, "half the world"},
      {12, "addresses = [\"10.77.0.1/30\", \"10.77.0.2/30\"]", 12, "overlaps"},
      {15, "local = [\"10.1.0.1/16\"]", 15, "write 10.1.0.0/16"},
      {15, "local = [\"0.0.0.0/0\"]", 15, "half the world"},
      {15, "local = [\"224.0.0.0/8\"]", 15, "multicast"},
      {15, "local = [\"169.254.0.0/16\"]", 15, "link-local"},
      {15, "local = [\"10.1.0.0/16\",\n \"10.1.0.0/16\"]", 16, "overlaps"},
      {15, "local = [\"10.77.0.0/16\"]", 15, "overlaps"},
      {
          16,
          "peer = [\"10.2.0.0/15\"]",
          16,
          "overlaps",
      },
      {16, "peer = [\"10.1.2.0/24\"]", 16, "share no address"},
      {16, "peer = [\"10.0.0.0/8\"]", 16, "share no address"},
      {16, "peer = [\"10.2.0.0/16\",\n  \"10.3.0.0\"]", 17, "no prefix length"},
      {16, "peer = [\"fd00::1/64\"]", 16, "write fd00::/64"},
      {19, "mtu = 0", 19, "576..65535"},
      {19, "mtu = -1", 19, "576..65535"},
      {19, "mtu = 575", 19, "576..65535"},
      {19, "mtu = 65536", 19, "576..65535"},
      {19, "mtu = 99999999999999999999", 19, "write key = "},
      {21, "notsent_lowat = \"1KiB\"", 21, "16KiB..64MiB"},
      {21, "notsent_lowat = \"lots\"", 21, "16KiB..64MiB"},
      {21, "congestion_control = \"cubic fast\"", 21, "a name the kernel knows"},
      {21, "io = \"magic\"", 21, "io_uring or epoll"},
      {21, "tun_queue = 0", 21, "16..100000"},
      {21, "record_size = \"2MiB\"", 21, "68KiB..1MiB"},
  }));
  // 10.2.0.0/15 overlaps nothing of `good`; with the local network next to it, it does.
  const std::string text = bad.replacement.find("/15") != std::string::npos
                               ? with_line(16, "peer = [\"10.0.0.0/15\"]")
                               : with_line(bad.replaced, bad.replacement);
  INFO(text);
  const auto config = parse_link_config(text, "dir/office.toml");
  REQUIRE_FALSE(config.has_value());
  CHECK(config.error().code == Errc::invalid);
  INFO(config.error().what);
  const std::string place = "dir/office.toml:" + std::to_string(bad.found) + ":";
  // The named finding is there, at its line; nothing is reported for a line above it.
  bool named = false;
  for (const std::string_view line : split(config.error().what, '\n')) {
    named = named || (line.starts_with(place) && line.find(bad.word) != std::string_view::npos);
    CHECK(line.starts_with("dir/office.toml:"));
  }
  CHECK(named);
  CHECK_THAT(first_line(config.error().what), Catch::StartsWith(place));
}

TEST_CASE("IPv6 networks ask for the mtu that IPv6 needs", "[configs][toml]") {
  std::string text = with_line(16, "peer = [\"fd00:2::/48\"]");
  text.replace(text.find("mtu = 1500"), 10, "mtu = 1279");
  const auto config = parse_link_config(text, "o.toml");
  REQUIRE_FALSE(config.has_value());
  CHECK_THAT(config.error().what, Catch::StartsWith("o.toml:19:7: 1279 is too small for IPv6"));
}

TEST_CASE("all faults of a file come at once, first line first", "[configs][toml]") {
  std::string text = with_line(8, "listen = \"0.0.0.0:0\"");
  text.replace(text.find("10.2.0.0/16"), 11, "10.1.5.0/24");
  text.replace(text.find("mtu = 1500"), 10, "mtu = 1");
  text.replace(text.find("site = "), 7, "sitr = ");
  const auto config = parse_link_config(text, "o.toml");
  REQUIRE_FALSE(config.has_value());
  const auto lines = split(config.error().what, '\n');
  INFO(config.error().what);
  REQUIRE(lines.size() == 4);
  CHECK(lines[0].starts_with("o.toml:1:1: "));
  CHECK(lines[1].starts_with("o.toml:8:10: "));
  CHECK(lines[2].starts_with("o.toml:16:9: "));
  CHECK(lines[3].starts_with("o.toml:19:7: "));
}

TEST_CASE("a section written as a key says how sections are written", "[configs][toml]") {
  const auto config = parse_link_config("site = \"office\"\nlink = 7\n", "o.toml");
  REQUIRE_FALSE(config.has_value());
  CHECK_THAT(config.error().what, Catch::Contains("o.toml:2:1: `link` is a section; write [link]"));
}

TEST_CASE("an empty file asks for everything it needs", "[configs][toml]") {
  const auto config = parse_link_config("", "o.toml");
  REQUIRE_FALSE(config.has_value());
  for (const char* word :
       {"no name", "no private key", "peer_public_key", "neither listens", "no address"}) {
    CHECK_THAT(config.error().what, Catch::Contains(word));
  }
}

TEST_CASE("no truncation of a good config is taken for another one", "[configs][toml]") {
  for (std::size_t length = 0; length < good.size(); ++length) {
    const auto config = parse_link_config(good.substr(0, length), "o.toml");
    if (!config) {
      CHECK(config.error().what.starts_with("o.toml:"));
      continue;
    }
    // What is cut off without a trace is only what may be absent: networks, knobs, the last line's
    // end.
    INFO("cut at " << length);
    CHECK(config->site == "office");
    CHECK(config->listen == Endpoint{"0.0.0.0", 5198});
    CHECK(config->tunnel_addresses == std::vector{*Prefix::parse("10.77.0.1/30")});
  }
}

TEST_CASE("letters beyond ASCII stand in quotes or in comments, nowhere else", "[configs][toml]") {
  for (const std::string letter : {"\xc3\xbc", "\xef\xbb\x9f", "\xe2\x80\xa8", "\x80", "\xff"}) {
    for (const std::string& row : {letter, letter + " = 1", "mtu = 1500 " + letter, "mtu " + letter + "= 1500"}) {
      const auto config = parse_link_config(with_line(19, row), "o.toml");
      REQUIRE_FALSE(config);
      CHECK(first_line(config.error().what).find("there is a letter beyond ASCII") != std::string::npos);
      CHECK(first_line(config.error().what).starts_with("o.toml:19:"));
    }
  }
  CHECK(parse_link_config(with_line(19, "mtu = 1500 # \xc3\xbc"), "o.toml"));
  CHECK(parse_link_config(with_line(4, "key = \"b\xc3\xbcro.key\""), "o.toml"));
}

TEST_CASE("a quote opens a text, it does not stand in the middle of a word", "[configs][toml]") {
  for (const std::string row : {"mtu = 15\"00\"", "mtu = -9S-\"\xc3\xbc", "x\"y\" = 1", "mtu = \"a\" \"b\"", "mtu = 'a'\"b\""}) {
    const auto config = parse_link_config(with_line(19, row), "o.toml");
    REQUIRE_FALSE(config);
    CHECK(first_line(config.error().what).find("there is a quote in the middle of a word") != std::string::npos);
  }
  CHECK(parse_link_config(with_line(15, "local = [ \"10.1.0.0/16\",'10.3.0.0/16']"), "o.toml"));
  CHECK(parse_link_config(with_line(19, "\"mtu\" = 1500"), "o.toml"));
}

TEST_CASE("no changed bytes break the reader", "[configs][toml]") {
  // A message or a config, never an exception or an abort; and messages are printable, one finding
  // a line.
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  constexpr char odd[] = "\0\t\"[]{}=\n\r\\\x80\xff'#.,-+_9aE: ";
  const std::string bytes(odd, sizeof odd - 1);
  for (int round = 0; round < 3000; ++round) {
    std::string text(good);
    for (std::size_t changes = 1 + random() % 3; changes > 0; --changes) {
      text[random() % text.size()] = bytes[random() % bytes.size()];
    }
    const auto config = parse_link_config(text, "o.toml");
    if (config) continue;
    for (const std::string_view line : split(config.error().what, '\n')) {
      if (!line.starts_with("o.toml:") || printable(line, 2000).find("\\x") == 0)
        FAIL(text << "\n" << line);
    }
  }
}

TEST_CASE("a huge text is refused before it is parsed", "[configs][toml]") {
  const auto config = parse_link_config(std::string(config_bytes_max + 1, '#'), "o.toml");
  REQUIRE_FALSE(config.has_value());
  CHECK_THAT(config.error().what, Catch::Contains("larger than"));
  CHECK_FALSE(parse_link_config(std::string(config_bytes_max, '['), "o.toml").has_value());
}

TEST_CASE("a config that is not there says so", "[configs][toml]") {
  const auto config = load_link_config("/nonexistent/office.toml");
  REQUIRE_FALSE(config.has_value());
  CHECK(config.error().code == Errc::not_found);
}

TEST_CASE("the examples are good configs that fit together", "[configs][toml]") {
  const std::string folder = std::string(LINKTUNE_SOURCE_DIR) + "/configs/examples/";
  const auto office = load_link_config(folder + "office.toml");
  const auto offsite = load_link_config(folder + "offsite.toml");
  if (!office) FAIL(office.error().text());
  if (!offsite) FAIL(offsite.error().text());
  CHECK(office->local_prefixes == offsite->peer_prefixes);
  CHECK(office->peer_prefixes == offsite->local_prefixes);
  CHECK(office->public_key == offsite->peer_public_key);
  CHECK(offsite->public_key == office->peer_public_key);
  REQUIRE(office->listen.has_value());
  REQUIRE(offsite->connect.has_value());
  CHECK(office->listen->port == offsite->connect->port);
  CHECK(office->tunnel_addresses[0].network() == offsite->tunnel_addresses[0].network());
  CHECK(office->tunnel_addresses != offsite->tunnel_addresses);
}

TEST_CASE("the examples are what init writes today", "[configs][toml]") {
  const std::string folder = std::string(LINKTUNE_SOURCE_DIR) + "/configs/examples/";
  for (const char* name : {"office.toml", "offsite.toml"}) {
    const auto text = read_file(folder + name, config_bytes_max);
    if (!text) FAIL(text.error().text());
    const auto config = parse_link_config(*text, name);
    if (!config) FAIL(config.error().text());
    CHECK(write_link_config(*config) == *text);
  }
}

}  // namespace lt::configs

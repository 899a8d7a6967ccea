// The link's routes and rules against a real kernel, in a namespace of the test's own.
#include "tunnel/netlink.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <csignal>
#include <optional>

#include "base/text.h"
#include "tests/tunnel/netns_support.h"
#include "tunnel/tun_device.h"

namespace lt::tunnel {
namespace {

using testing::Namespace;
using testing::output_of;
using testing::routing_state;

Prefix prefix(const char* text) {
  const auto parsed = Prefix::parse(text);
  REQUIRE(parsed);
  return *parsed;
}

TunDevice make_device(const std::string& name) {
  auto device = TunDevice::create({.name = name});
  if (!device) FAIL(device.error().text());
  const auto up = bring_up({.name = name});
  if (!up) FAIL(up.error().text());
  return std::move(*device);
}

SiteRoutesOptions office(const std::string& device) {
  return {.device = device,
          .tunnel_addresses = {prefix("10.77.0.1/30"), prefix("fd77::1/64")},
          .peer_prefixes = {prefix("10.2.0.0/16"), prefix("10.3.4.0/24"), prefix("fd02::/48")}};
}

SiteRoutes install(const SiteRoutesOptions& options) {
  auto routes = SiteRoutes::install(options);
  if (!routes) FAIL(routes.error().text());
  return std::move(*routes);
}

// A link in a process of its own, ended by SIGKILL as soon as it stands.
void kill_link_of(const SiteRoutesOptions& options) {
  int pipe_ends[2] = {};
  REQUIRE(::pipe2(pipe_ends, O_CLOEXEC) == 0);
  const Fd reader(pipe_ends[0]);
  Fd writer(pipe_ends[1]);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const auto device = TunDevice::create({.name = options.device});
    const auto up = bring_up({.name = options.device});
    const auto routes = SiteRoutes::install(options);
    const char good = device && up && routes ? 'y' : 'n';
    static_cast<void>(::write(writer.get(), &good, 1));
    for (;;)
      ::pause();
  }
  writer.reset();
  char good = 'n';
  REQUIRE(::read(reader.get(), &good, 1) == 1);
  REQUIRE(::kill(child, SIGKILL) == 0);
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  REQUIRE(good == 'y');
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::size_t occurrences(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size()))
    ++count;
  return count;
}

// The error with which the kernel refuses to send to `address`, or 0.
int send_error(const char* address, std::uint32_t mark = 0) {
  const bool v6 = std::string_view(address).find(':') != std::string_view::npos;
  const Fd fd(::socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  REQUIRE(fd.is_open());
  if (mark != 0) REQUIRE(::setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0);
  ::sockaddr_storage storage{};
  if (v6) {
    auto& to = reinterpret_cast<::sockaddr_in6&>(storage);
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(9);
    REQUIRE(::inet_pton(AF_INET6, address, &to.sin6_addr) == 1);
  } else {
    auto& to = reinterpret_cast<::sockaddr_in&>(storage);
    to.sin_family = AF_INET;
    to.sin_port = htons(9);
    REQUIRE(::inet_pton(AF_INET, address, &to.sin_addr) == 1);
  }
  return ::connect(fd.get(), reinterpret_cast<::sockaddr*>(&storage), sizeof storage) == 0 ? 0
                                                                                           : errno;
}

std::uint64_t sent_packets(const std::string& device) {
  auto netlink = Netlink::open();
  REQUIRE(netlink);
  const auto counters = netlink->device_counters(device);
  REQUIRE(counters);
  return counters->sent_packets;
}

TEST_CASE("routes and rules of a link come and go, and leave the machine exactly as before",
          "[tunnel][netlink][netns]") {
  const Namespace here;
  const TunDevice device = make_device("lt0");
  const std::string before = routing_state();
  {
    const SiteRoutes routes = install(office("lt0"));
    const std::string rules = output_of({"ip", "-4", "rule"});
    CHECK(has(rules, "to 10.2.0.0/16"));
    CHECK(has(rules, "to 10.3.4.0/24"));
    CHECK(occurrences(rules, "5198:") == 2);
    CHECK(occurrences(rules, "5197:") == 1);
    CHECK(occurrences(rules, "proto 198") == 3);
    const std::string rules6 = output_of({"ip", "-6", "rule"});
    CHECK(has(rules6, "to fd02::/48"));
    CHECK(occurrences(rules6, "5197:") == 1);
    const std::string table = output_of({"ip", "-4", "route", "show", "table", "198"});
    CHECK(has(table, "10.2.0.0/16 dev lt0 proto 198"));
    CHECK(has(table, "unreachable 10.2.0.0/16 proto 198 metric 4278198272"));
    CHECK(has(table, "unreachable 10.3.4.0/24 proto 198 metric 4278198272"));
    const std::string table6 = output_of({"ip", "-6", "route", "show", "table", "198"});
    CHECK(has(table6, "fd02::/48 dev lt0 proto 198"));
    CHECK(has(table6, "unreachable fd02::/48 dev lo proto 198 metric 4278198272"));
    const std::string addresses = output_of({"ip", "-br", "address", "show", "dev", "lt0"});
    CHECK(has(addresses, "10.77.0.1/30"));
    CHECK(has(addresses, "fd77::1/64"));
    CHECK_FALSE(has(addresses, "fe80:"));
  }
  CHECK(routing_state() == before);
}

TEST_CASE("traffic for the peer's networks goes through the device", "[tunnel][netlink][netns]") {
  const Namespace here;
  const TunDevice device = make_device("lt0");
  const SiteRoutes routes = install(office("lt0"));
  CHECK(has(output_of({"ip", "route", "get", "10.2.9.9"}), "dev lt0 table 198 src 10.77.0.1"));
  CHECK(has(output_of({"ip", "route", "get", "fd02::9"}), "dev lt0 table 198"));
  SECTION("even where main has a more specific route") {
    const TunDevice wan = make_device("wan0");
    output_of({"ip", "route", "add", "10.2.9.0/24", "dev", "wan0"});
    CHECK(has(output_of({"ip", "route", "get", "10.2.9.9"}), "dev lt0"));
  }
}

TEST_CASE("the link's own connection looks into main, whatever the link routes",
          "[tunnel][netlink][netns]") {
  const Namespace here;
  const TunDevice wan = make_device("wan0");
  output_of({"ip", "address", "add", "192.0.2.1/24", "dev", "wan0"});
  output_of({"ip", "route", "add", "10.2.0.0/16", "via", "192.0.2.254"});
  const TunDevice device = make_device("lt0");
  const SiteRoutes routes = install(office("lt0"));
  CHECK(has(output_of({"ip", "route", "get", "10.2.0.1"}), "dev lt0"));
  CHECK(has(output_of({"ip", "route", "get", "10.2.0.1", "mark", "0x5198"}), "dev wan0"));
  CHECK(has(output_of({"ip", "route", "get", "10.2.0.1", "mark", "0xabc5198"}), "dev wan0"));
  CHECK(has(output_of({"ip", "route", "get", "10.2.0.1", "mark", "0x5199"}), "dev lt0"));
}

TEST_CASE("a link whose device is gone fails closed: unreachable, and nothing by the default route",
          "[tunnel][netlink][netns]") {
  const Namespace here;
  const TunDevice wan = make_device("wan0");
  output_of({"ip", "address", "add", "192.0.2.1/24", "dev", "wan0"});
  output_of({"ip", "-6", "address", "add", "2001:db8::1/64", "dev", "wan0", "nodad"});
  output_of({"ip", "route", "add", "default", "via", "192.0.2.254"});
  output_of({"ip", "-6", "route", "add", "default", "via", "2001:db8::2"});
  std::optional<TunDevice> device(make_device("lt0"));
  const SiteRoutes routes = install(office("lt0"));
  CHECK(send_error("10.2.0.1") == 0);
  CHECK(send_error("fd02::1") == 0);
  const std::uint64_t before = sent_packets("wan0");

  device.reset();

  CHECK(send_error("10.2.0.1") == EHOSTUNREACH);
  CHECK(send_error("10.3.4.1") == EHOSTUNREACH);
  CHECK(send_error("fd02::1") == EHOSTUNREACH);
  CHECK(send_error("10.2.0.1", outer_mark) == 0);
  CHECK(send_error("198.51.100.1") == 0);
  CHECK(sent_packets("wan0") == before);
}

TEST_CASE("what a killed link left is adopted by its next start, and gone after it",
          "[tunnel][netlink][netns]") {
  const Namespace here;
  const std::string before = routing_state();
  kill_link_of(office("lt0"));
  const std::string left = routing_state();
  REQUIRE(has(left, "unreachable 10.2.0.0/16"));
  REQUIRE(occurrences(left, "proto 198") == 3 + 2 + 3);

  SECTION("with the same configuration") {
    {
      const TunDevice device = make_device("lt0");
      const SiteRoutes routes = install(office("lt0"));
      CHECK(occurrences(routing_state(), "5198:") == 3);
      CHECK(occurrences(routing_state(), "5197:") == 2);
    }
    CHECK(routing_state() == before);
  }
  SECTION("with fewer prefixes") {
    const TunDevice device = make_device("lt0");
    const SiteRoutes routes = install({.device = "lt0",
                                       .tunnel_addresses = {prefix("10.77.0.1/30")},
                                       .peer_prefixes = {prefix("10.2.0.0/16")}});
    const std::string now = routing_state();
    CHECK(has(now, "to 10.2.0.0/16"));
    CHECK_FALSE(has(now, "10.3.4.0/24"));
    CHECK_FALSE(has(now, "fd02::/48"));
    CHECK(occurrences(now, "5197:") == 1);
  }
  SECTION("under another device name") {
    {
      const TunDevice device = make_device("lt9");
      const SiteRoutes routes = install(office("lt9"));
      CHECK(occurrences(routing_state(), "5198:") == 3);
    }
    // The bypass rules bear the old name's tag and do no harm; the old name takes them back.
    CHECK(occurrences(routing_state(), "5198:") == 0);
    const auto removed = remove_left_overs("lt0");
    REQUIRE(removed);
    CHECK(*removed == 2);
    CHECK(routing_state() == before);
  }
  SECTION("by an order to remove them") {
    const auto removed = remove_left_overs("lt0");
    REQUIRE(removed);
    CHECK(*removed == 8);
    CHECK(routing_state() == before);
  }
  SECTION("and an order for another link leaves them alone") {
    const auto removed = remove_left_overs("lt1");
    REQUIRE(removed);
    CHECK(*removed == 0);
    CHECK(routing_state() == left);
  }
}

TEST_CASE("two links of one box do not touch each other", "[tunnel][netlink][netns]") {
  const Namespace here;
  const TunDevice first = make_device("lt0");
  const TunDevice second = make_device("lt1");
  const SiteRoutesOptions other{.device = "lt1",
                                .tunnel_addresses = {prefix("10.78.0.1/30")},
                                .peer_prefixes = {prefix("10.9.0.0/16")}};
  const SiteRoutes routes = install(office("lt0"));
  const std::string with_one = routing_state();
  {
    const SiteRoutes more = install(other);
    CHECK(occurrences(output_of({"ip", "-4", "rule"}), "5197:") == 2);
    CHECK(has(output_of({"ip", "route", "get", "10.9.0.1"}), "dev lt1"));
    CHECK(has(output_of({"ip", "route", "get", "10.2.0.1"}), "dev lt0"));
  }
  CHECK(routing_state() == with_one);

  SECTION("and a prefix that one has, the other is refused, with nothing changed") {
    const auto refused =
        SiteRoutes::install({.device = "lt1",
                             .tunnel_addresses = {prefix("10.78.0.1/30")},
                             .peer_prefixes = {prefix("10.9.0.0/16"), prefix("10.2.0.0/16")}});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::exists);
    CHECK(has(refused.error().what, "10.2.0.0/16 is routed into the link on lt0 already"));
    CHECK(routing_state() == with_one);
  }
  SECTION("and the left-overs of a running link are not removed") {
    const auto refused = remove_left_overs("lt0");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::busy);
    CHECK(routing_state() == with_one);
  }
}

TEST_CASE("prefixes that no link can have are refused before anything changes",
          "[tunnel][netlink][netns]") {
  const Namespace here;
  const TunDevice device = make_device("lt0");
  const std::string before = routing_state();
  SiteRoutesOptions options = office("lt0");
  SECTION("everything") {
    options.peer_prefixes.push_back(prefix("0.0.0.0/0"));
  }
  SECTION("everything of IPv6") {
    options.peer_prefixes.push_back(prefix("::/0"));
  }
  SECTION("host bits") {
    options.peer_prefixes.push_back(prefix("10.5.0.1/16"));
  }
  const auto refused = SiteRoutes::install(options);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::invalid);
  CHECK(routing_state() == before);
}

TEST_CASE("an installation that fails half-way takes back what it did",
          "[tunnel][netlink][netns]") {
  const Namespace here;
  const TunDevice device = make_device("lt0");
  SECTION("because the device is down") {
    output_of({"ip", "link", "set", "lt0", "down"});
    const std::string before = routing_state();
    const auto failed = SiteRoutes::install(office("lt0"));
    REQUIRE_FALSE(failed);
    CHECK(has(failed.error().what, "cannot add the route to 10.2.0.0/16"));
    CHECK(routing_state() == before);
  }
  SECTION("because there is no such device") {
    const std::string before = routing_state();
    const auto failed = SiteRoutes::install(office("lt7"));
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == Errc::not_found);
    CHECK(routing_state() == before);
  }
}

TEST_CASE("restore puts back what was removed by hand", "[tunnel][netlink][netns]") {
  const Namespace here;
  const TunDevice device = make_device("lt0");
  SiteRoutes routes = install(office("lt0"));
  const std::string whole = routing_state();
  output_of({"ip", "rule", "del", "pref", "5198", "to", "10.2.0.0/16"});
  output_of({"ip", "route", "flush", "table", "198"});
  output_of({"ip", "address", "del", "10.77.0.1/30", "dev", "lt0"});
  REQUIRE(routing_state() != whole);
  REQUIRE(routes.restore());
  const auto sorted = [](const std::string& text) {
    auto lines = split(text, '\n');
    std::sort(lines.begin(), lines.end());
    return std::vector<std::string>(lines.begin(), lines.end());
  };
  CHECK(sorted(routing_state()) == sorted(whole));
}

TEST_CASE("what is missing is counted as it is put back, and a second look finds nothing", "[tunnel][netlink][netns][D-13]") {
  const Namespace here;
  const TunDevice device = make_device("lt0");
  SiteRoutes routes = install(office("lt0"));
  const auto put_back = [&] {
    const auto put = routes.put_back();
    if (!put) FAIL(put.error().text());
    return *put;
  };
  const std::string whole = routing_state();
  CHECK(put_back().total() == 0);
  output_of({"ip", "rule", "del", "pref", "5198", "to", "10.2.0.0/16"});
  output_of({"ip", "-6", "rule", "del", "pref", "5197"});
  CHECK(put_back().rules == 2);
  output_of({"ip", "route", "del", "10.2.0.0/16", "dev", "lt0", "table", "198"});
  CHECK(put_back().routes == 1);
  output_of({"sysctl", "-q", "-w", "net.ipv4.conf.lt0.rp_filter=0", "net.ipv6.conf.lt0.accept_ra=1"});
  CHECK(put_back().switches == 2);
  output_of({"ip", "link", "set", "lt0", "down"});
  const PutBack after_down = put_back();
  CHECK(after_down.device);
  CHECK(after_down.routes > 0);  // the kernel had taken them with it
  CHECK(put_back().total() == 0);
  CHECK(split(routing_state(), '\n').size() == split(whole, '\n').size());

  SECTION("a device that is gone is an error, not something to put back") {
    output_of({"ip", "link", "del", "lt0"});
    const auto put = routes.put_back();
    REQUIRE_FALSE(put);
    CHECK(put.error().code == Errc::not_found);
  }
  SECTION("what was left stays when the object goes") {
    const std::string before = routing_state();
    {
      SiteRoutes left(std::move(routes));
      left.leave();
    }
    CHECK(routing_state() == before);
  }
}

TEST_CASE("a watch hears of what concerns its link and of nothing else", "[tunnel][netlink][netns][D-13]") {
  const Namespace here;
  const TunDevice device = make_device("lt0");
  const TunDevice other = make_device("lt1");
  const SiteRoutes routes = install(office("lt0"));
  auto watch = NetworkWatch::open("lt0");
  REQUIRE(watch);
  const auto hears = [&](const Argv& argv) {
    output_of(argv);  // the kernel has said it to everybody when the command returns
    return watch->read();
  };
  CHECK_FALSE(watch->read().is_missing_something);
  CHECK_FALSE(hears({"ip", "link", "set", "lt1", "down"}).is_missing_something);
  CHECK_FALSE(hears({"ip", "address", "add", "10.77.5.1/30", "dev", "lt0"}).is_missing_something);
  CHECK(hears({"ip", "address", "del", "10.77.5.1/30", "dev", "lt0"}).is_missing_something);
  CHECK(hears({"ip", "route", "flush", "table", "198"}).is_missing_something);
  CHECK(hears({"ip", "rule", "del", "pref", "5198", "to", "10.2.0.0/16"}).is_missing_something);
  CHECK(hears({"sysctl", "-q", "-w", "net.ipv4.conf.lt0.rp_filter=0"}).is_missing_something);
  CHECK(hears({"ip", "link", "set", "lt0", "down"}).is_missing_something);
  CHECK_FALSE(hears({"ip", "link", "del", "lt1"}).is_device_gone);
  CHECK(hears({"ip", "link", "del", "lt0"}).is_device_gone);
  CHECK_FALSE(watch->read().is_device_gone);
  CHECK_FALSE(NetworkWatch::open("lt0"));
}

TEST_CASE("a user of the link's own passes the link by, without a mark", "[tunnel][netlink][netns]") {
  const Namespace here;
  const TunDevice device = make_device("lt0");
  const std::string before = routing_state();
  output_of({"ip", "link", "add", "wan0", "type", "veth", "peer", "name", "wan1"});
  output_of({"ip", "address", "add", "198.51.100.1/24", "dev", "wan0"});
  output_of({"ip", "link", "set", "wan0", "up"});
  output_of({"ip", "link", "set", "wan1", "up"});
  output_of({"ip", "route", "add", "default", "via", "198.51.100.2"});
  SiteRoutesOptions options = office("lt0");
  options.bypass_user = 61198;
  {
    const SiteRoutes routes = install(options);
    CHECK(has(output_of({"ip", "route", "get", "10.2.0.1"}), "dev lt0"));
    CHECK(has(output_of({"ip", "route", "get", "10.2.0.1", "uid", "1000"}), "dev lt0"));
    CHECK(has(output_of({"ip", "route", "get", "10.2.0.1", "uid", "61198"}), "dev wan0"));
    auto netlink = Netlink::open();
    REQUIRE(netlink);
    const auto rules = netlink->link_rules();
    REQUIRE(rules);
    CHECK(std::count_if(rules->begin(), rules->end(), [](const LinkRule& rule) { return rule.user == 61198U; }) == 2);
  }
  CHECK(occurrences(output_of({"ip", "rule"}), "uidrange") == 0);
  CHECK(occurrences(output_of({"ip", "-6", "rule"}), "uidrange") == 0);

  SECTION("a killed daemon's rule is taken over, also when the next one runs as another user") {
    SiteRoutes killed = install(options);
    killed.leave();
    options.bypass_user = 61199;
    {
      const SiteRoutes next = install(options);
      CHECK(occurrences(output_of({"ip", "rule"}), "uidrange") == 1);
      CHECK(has(output_of({"ip", "rule"}), "uidrange 61199-61199"));
    }
    CHECK(occurrences(output_of({"ip", "rule"}), "5197:") == 0);
  }
}

TEST_CASE("the file for sysctl.d says what the daemon sets by itself", "[tunnel][netlink][netns]") {
  const Namespace here;
  const TunDevice device = make_device("lt0");
  const auto text = read_file(std::string(LINKTUNE_SOURCE_DIR) + "/configs/sysctl/90-linktune.conf", 1 << 16);
  REQUIRE(text);
  unsigned count = 0;
  for (const std::string_view line : split(*text, '\n')) {
    const auto equals = line.find(" = ");
    if (!line.starts_with("-net.") || equals == std::string_view::npos) continue;
    std::string key(line.substr(1, equals - 1));
    std::replace(key.begin(), key.end(), '.', '/');
    INFO(line);
    const auto value = read_file("/proc/sys/" + key, 64);
    REQUIRE(value);
    CHECK(trim(*value) == line.substr(equals + 3));
    ++count;
  }
  CHECK(count == 9);
}

TEST_CASE("a moved set of routes is removed once, by its last owner", "[tunnel][netlink][netns]") {
  const Namespace here;
  const TunDevice device = make_device("lt0");
  const std::string before = routing_state();
  {
    std::optional<SiteRoutes> first(install(office("lt0")));
    const std::string whole = routing_state();
    const SiteRoutes second(std::move(*first));
    first.reset();
    CHECK(routing_state() == whole);
  }
  CHECK(routing_state() == before);
}

TEST_CASE("bringing a device up sets its size, its queue and its switches",
          "[tunnel][netlink][netns]") {
  const Namespace here;
  const auto device = TunDevice::create({.name = "lt0"});
  REQUIRE(device);
  const auto notes = bring_up({.name = "lt0", .mtu = 9000, .queue = Packets{1234}});
  REQUIRE(notes);
  CHECK(notes->empty());
  const std::string shown = output_of({"ip", "-d", "link", "show", "lt0"});
  CHECK(has(shown, "mtu 9000"));
  CHECK(has(shown, "qlen 1234"));
  CHECK(has(shown, "UP"));
  const auto value = [](const std::string& key) {
    const auto text = read_file("/proc/sys/net/" + key, 64);
    REQUIRE(text);
    return std::string(trim(*text));
  };
  CHECK(value("ipv4/conf/lt0/rp_filter") == "1");
  CHECK(value("ipv4/conf/lt0/accept_redirects") == "0");
  CHECK(value("ipv4/conf/lt0/send_redirects") == "0");
  CHECK(value("ipv4/conf/lt0/accept_source_route") == "0");
  CHECK(value("ipv6/conf/lt0/accept_ra") == "0");
  CHECK(value("ipv6/conf/lt0/autoconf") == "0");
  CHECK(value("ipv6/conf/lt0/accept_redirects") == "0");
  CHECK(value("ipv6/conf/lt0/addr_gen_mode") == "1");

  SECTION("and both can be changed later") {
    auto netlink = Netlink::open();
    REQUIRE(netlink);
    REQUIRE(netlink->set_mtu("lt0", 1400));
    REQUIRE(netlink->set_queue("lt0", Packets{77}));
    const std::string changed = output_of({"ip", "link", "show", "lt0"});
    CHECK(has(changed, "mtu 1400"));
    CHECK(has(changed, "qlen 77"));
    const auto refused = netlink->set_mtu("lt0", 70000);
    REQUIRE_FALSE(refused);
    CHECK(has(refused.error().what, "cannot set the MTU of lt0 to 70000"));
  }
}

TEST_CASE("the machine's own addresses are listed without loopback", "[tunnel][netlink][netns]") {
  const Namespace here;
  const TunDevice device = make_device("lt0");
  const SiteRoutes routes = install(office("lt0"));
  const auto addresses = local_addresses();
  REQUIRE(addresses);
  CHECK(*addresses ==
        std::vector<IpAddress>{prefix("10.77.0.1/30").address, prefix("fd77::1/64").address});
}

TEST_CASE("without the privilege every change is refused in words", "[tunnel][netlink][netns]") {
  const auto refused = [] {
    auto netlink = Netlink::open();
    return netlink ? netlink->add_rule({.prefix = *Prefix::parse("10.2.0.0/16")})
                   : Status(fail(Errc::io, "no socket"));
  };
  const Namespace here;
  // Effective capabilities belong to the thread; root's come back with its user id.
  REQUIRE(::seteuid(65534) == 0);
  const Status status = refused();
  REQUIRE(::seteuid(0) == 0);
  REQUIRE_FALSE(status);
  CHECK(status.error().code == Errc::not_permitted);
  CHECK(has(status.error().what, "cannot add the rule for 10.2.0.0/16"));
}

}  // namespace
}  // namespace lt::tunnel

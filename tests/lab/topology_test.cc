#include "lab/topology.h"

#include <catch2/catch.hpp>
#include <set>
#include <string>

using namespace lt;
using namespace lt::lab;

TEST_CASE("the standard topology has the documented names and addresses", "[lab][topology]") {
  const Topology topology = Topology::standard("lt");
  CHECK(topology.namespace_of(Host::office_lan) == "lt-office-lan");
  CHECK(topology.namespace_of(Host::office_gw) == "lt-office-gw");
  CHECK(topology.namespace_of(Host::offsite_gw) == "lt-offsite-gw");
  CHECK(topology.namespace_of(Host::offsite_lan) == "lt-offsite-lan");
  CHECK(topology.office.lan_host_v4.text() == "192.168.10.2/24");
  CHECK(topology.office.gateway_v4.text() == "192.168.10.1/24");
  CHECK(topology.offsite.lan_host_v6.text() == "fd00:20::2/64");
  CHECK(topology.office.wan_v4.text() == "198.51.100.1/30");
  CHECK(topology.offsite.wan_v4.text() == "198.51.100.2/30");
  CHECK(topology.office.control_v4.text() == "192.0.2.1/30");
}

TEST_CASE("hosts of one network are in it, and the two LANs do not overlap", "[lab][topology]") {
  const Topology topology = Topology::standard("lt");
  for (const Site* const site : {&topology.office, &topology.offsite}) {
    CHECK(site->lan_host_v4.network() == site->gateway_v4.network());
    CHECK(site->lan_host_v6.network() == site->gateway_v6.network());
    CHECK(topology.other(topology.other(*site)).gateway == site->gateway);
  }
  CHECK(topology.office.wan_v4.network() == topology.offsite.wan_v4.network());
  CHECK(topology.office.control_v4.network() == topology.offsite.control_v4.network());
  CHECK_FALSE(topology.office.lan_host_v4.overlaps(topology.offsite.lan_host_v4));
  CHECK_FALSE(topology.office.lan_host_v6.overlaps(topology.offsite.lan_host_v6));
  CHECK(topology.office.wan_mac != topology.offsite.wan_mac);
}

TEST_CASE("a site is found by either of its hosts", "[lab][topology]") {
  const Topology topology = Topology::standard("lt");
  CHECK(&topology.site_of(Host::office_lan) == &topology.office);
  CHECK(&topology.site_of(Host::office_gw) == &topology.office);
  CHECK(&topology.site_of(Host::offsite_gw) == &topology.offsite);
  CHECK(&topology.site_of(Host::offsite_lan) == &topology.offsite);
}

TEST_CASE("hosts and directions are read back from their names", "[lab][topology]") {
  std::set<std::string> names;
  for (const Host host : all_hosts) {
    CHECK(parse_host(name_of(host)) == host);
    names.emplace(name_of(host));
  }
  CHECK(names.size() == all_hosts.size());
  for (const Direction direction : all_directions) {
    const auto parsed = parse_directions(name_of(direction));
    REQUIRE(parsed);
    REQUIRE(parsed->size() == 1);
    CHECK(parsed->front() == direction);
  }
  CHECK(parse_directions("both")->size() == 2);
}

TEST_CASE("a misspelt host or direction is answered with the nearest", "[lab][topology]") {
  const auto host = parse_host("ofice-lan");
  REQUIRE_FALSE(host);
  CHECK(host.error().code == Errc::invalid);
  CHECK(host.error().what.find("office-lan") != std::string::npos);
  const auto direction = parse_directions("to-ofice");
  REQUIRE_FALSE(direction);
  CHECK(direction.error().what.find("to-office") != std::string::npos);
  CHECK_FALSE(parse_directions(""));
}

TEST_CASE("a lab's name cannot leave its directory or confuse a batch of ip", "[lab][topology]") {
  for (const char* const good : {"lt", "a", "test-7", "x1"})
    CHECK(check_name(good));
  CHECK(check_name(std::string(name_length_max, 'a')));
  for (const char* const bad :
       {"", "..", "../x", "a/b", "7a", "-a", "A", "a b", "a\nnetns del x", "a.b", "ä"}) {
    CAPTURE(bad);
    const auto status = check_name(bad);
    REQUIRE_FALSE(status);
    CHECK(status.error().code == Errc::invalid);
  }
  CHECK_FALSE(check_name(std::string(name_length_max + 1, 'a')));
}

// What the network device towards an address can carry: told of hardware only.
#include "app/device_rate.h"

#include <catch2/catch.hpp>

using namespace lt;
using namespace lt::app;

TEST_CASE("what is no hardware has no rate, and an address that nothing leads to has none", "[app][device]") {
  CHECK_FALSE(device_rate_towards(*IpAddress::parse("127.0.0.1")));
  CHECK_FALSE(device_rate_towards(*IpAddress::parse("::1")));
  CHECK_FALSE(device_rate_towards(*IpAddress::parse("255.255.255.255")));
}

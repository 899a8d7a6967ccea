#include "tunnel/tun_device.h"

#include <catch2/catch.hpp>

namespace lt::tunnel {
namespace {

TEST_CASE("a name that no device can have is refused before the system is asked",
          "[tunnel][tun_device]") {
  const std::string name =
      GENERATE(as<std::string>{}, "", "0123456789abcdef", "a/b", "../x", ".", "..", "a b", "a:b", "tun%d", "tab\t",
               "new\nline", "\xc3\xa4", std::string("nul\0x", 5));
  CAPTURE(name);
  const auto device = TunDevice::create({.name = name});
  REQUIRE_FALSE(device);
  CHECK(device.error().code == Errc::invalid);
  CHECK(device.error().what.find("is not a device name") != std::string::npos);
}

TEST_CASE("no queue, or more than lanes can be, is refused", "[tunnel][tun_device]") {
  const std::size_t queues = GENERATE(std::size_t{0}, tun_queues_max + 1);
  const auto device = TunDevice::create({.name = "lt0", .queues = queues});
  REQUIRE_FALSE(device);
  CHECK(device.error().code == Errc::invalid);
  CHECK(device.error().what.find("1 to 65 queues") != std::string::npos);
}

}  // namespace
}  // namespace lt::tunnel

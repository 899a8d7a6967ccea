#include "tunnel/tun_device.h"

#include <catch2/catch.hpp>

namespace lt::tunnel {
namespace {

TEST_CASE("a name that no device can have is refused before the system is asked",
          "[tunnel][tun_device]") {
  const std::string name =
      GENERATE("", "0123456789abcdef", "a/b", "../x", ".", "..", "a b", "a:b", "tun%d", "tab\t",
               "new\nline", "\xc3\xa4", std::string("nul\0x", 5));
  CAPTURE(name);
  const auto device = TunDevice::create({.name = name});
  REQUIRE_FALSE(device);
  CHECK(device.error().code == Errc::invalid);
  CHECK(device.error().what.find("is not a device name") != std::string::npos);
}

}  // namespace
}  // namespace lt::tunnel

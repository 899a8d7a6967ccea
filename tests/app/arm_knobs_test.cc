#include "app/arm_knobs.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include "app/openvpn_dco.h"
#include "app/scratch_folder.h"

using namespace lt;
using namespace lt::app;

TEST_CASE("a WireGuard arm has an MTU within what IP allows, and no other knob", "[app][arm]") {
  CHECK_FALSE(*wireguard_mtu_of(*tuner::parse_arm("wireguard")));
  CHECK(*wireguard_mtu_of(*tuner::parse_arm("wireguard mtu=1440")) == 1440U);
  CHECK(*wireguard_mtu_of(*tuner::parse_arm("wireguard mtu=576")) == 576U);
  for (const char* wrong : {"wireguard mtu=575", "wireguard mtu=65476", "wireguard mtu=big", "wireguard lanes=2"})
    CHECK(wireguard_mtu_of(*tuner::parse_arm(wrong)).error().code == Errc::invalid);
}

TEST_CASE("DCO is there only when the program can use it and the kernel has its module", "[app][dco]") {
  const auto folder = ScratchFolder::create("dco");
  REQUIRE(folder);
  const char* const able = "OpenVPN 2.6.14 x86_64-pc-linux-gnu [SSL (OpenSSL)] [AEAD] [DCO]\n";
  CHECK_FALSE(openvpn_dco_of("", folder->path()).is_there);
  const auto without_module = openvpn_dco_of(able, folder->path());
  CHECK_FALSE(without_module.is_there);
  CHECK(without_module.sentence.find("the kernel has neither") != std::string::npos);
  std::filesystem::create_directory(folder->path() + "/ovpn_dco_v2");
  CHECK(openvpn_dco_of(able, folder->path()).is_there);
  const auto unable = openvpn_dco_of("OpenVPN 2.5.1 x86_64-pc-linux-gnu [AEAD]\n", folder->path());
  CHECK_FALSE(unable.is_there);
  CHECK(unable.sentence.find("built without it") != std::string::npos);
}

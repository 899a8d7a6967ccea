#include "tuner/physics.h"

#include <catch2/catch.hpp>

using namespace lt;
using namespace lt::tuner;

namespace {

Physics gigabit() {
  Physics physics;
  physics.up = {1500, true, BitsPerSecond{930'000'000}};
  physics.down = {1500, true, BitsPerSecond{941'000'000}};
  physics.idle = {100, 400, 500, 600, 700, 800, 510};
  physics.device_rate = BitsPerSecond{1'000'000'000};
  physics.ciphers = {{"AES-256-GCM", "openssl", 16'384, BitsPerSecond{24'000'000'000}}};
  physics.cpus = 2;
  physics.notes = {"a note"};
  return physics;
}

}  // namespace

TEST_CASE("a gigabit of Ethernet carries 941 Mbit/s of TCP payload over IPv4", "[tuner][physics]") {
  CHECK(tcp_share_of_ethernet(1500, Family::v4) == Approx(1448.0 / 1538.0));
  CHECK(1000 * tcp_share_of_ethernet(1500, Family::v4) == Approx(941.5).margin(0.1));
  CHECK(1000 * tcp_share_of_ethernet(1500, Family::v6) == Approx(928.5).margin(0.1));
  CHECK(1000 * tcp_share_of_ethernet(9000, Family::v4) == Approx(990.0).margin(0.1));
  CHECK(tcp_share_of_ethernet(52, Family::v4) == 0);
}

TEST_CASE("the bound is what the bare line carried, and the device's where nothing was measured",
          "[tuner][physics]") {
  Physics physics = gigabit();
  CHECK(bound_of(physics).down == BitsPerSecond{941'000'000});
  CHECK(bound_of(physics).text.find("941 Mbit/s (1000 Mbit/s of Ethernet") != std::string::npos);
  physics.up.goodput.reset();
  physics.down.goodput.reset();
  CHECK(bound_of(physics).up->value == Approx(941'482'444));
  CHECK(bound_of(physics).text.find("this line allows at most 941 Mbit/s of TCP payload") == 0);
  physics.device_rate.reset();
  CHECK_FALSE(bound_of(physics).up);
  CHECK(bound_of(physics).text.find("not known") != std::string::npos);
}

TEST_CASE("a path carries what passes both ways, and one way that drops fragments is enough",
          "[tuner][physics]") {
  Physics physics = gigabit();
  physics.down.mtu = 1492;
  CHECK(physics.mtu() == 1492U);
  physics.up.mtu.reset();
  CHECK_FALSE(physics.mtu());
  CHECK(physics.carries_fragments() == true);
  physics.up.carries_fragments.reset();
  CHECK_FALSE(physics.carries_fragments());
  physics.down.carries_fragments = false;
  CHECK(physics.carries_fragments() == false);
}

TEST_CASE("the product of rate and round trip takes the faster way", "[tuner][physics]") {
  CHECK(gigabit().bandwidth_delay() == Bytes(58'813));  // 941e6 / 8 * 500e-6
  Physics physics = gigabit();
  physics.idle = {};
  CHECK_FALSE(physics.bandwidth_delay());
}

TEST_CASE("the physics of a line come back from their JSON, absent facts as absent",
          "[tuner][physics]") {
  for (const Physics& physics : {gigabit(), Physics{}}) {
    const Json json = to_json(physics);
    const auto again = physics_from_json(json);
    REQUIRE(again);
    CHECK(to_json(*again) == json);
    CHECK(again->up.mtu == physics.up.mtu);
    CHECK(again->carries_fragments() == physics.carries_fragments());
  }
}

TEST_CASE("physics that are wrong in a field are refused with its name", "[tuner][physics]") {
  const auto refusal = [](const std::string& pointer, const Json& value) {
    Json json = to_json(gigabit());
    json[Json::json_pointer(pointer)] = value;
    const auto physics = physics_from_json(json);
    return physics ? std::string() : physics.error().what;
  };
  CHECK(refusal("/up/mtu", 67).find("mtu") != std::string::npos);
  CHECK(refusal("/up/mtu", 65'536).find("mtu") != std::string::npos);
  CHECK(refusal("/family", "v5").find("family") != std::string::npos);
  CHECK(refusal("/down/carries_fragments", 1).find("carries_fragments") != std::string::npos);
  CHECK(refusal("/ciphers/0/cipher", 7).find("cipher") != std::string::npos);
  CHECK(refusal("/notes/0", 7).find("notes") != std::string::npos);
  CHECK(refusal("/idle", nullptr).find("idle") != std::string::npos);
}

#include "tuner/arm.h"

#include <catch2/catch.hpp>
#include <set>

#include "configs/knob.h"
#include "tuner/space.h"

using namespace lt;
using namespace lt::tuner;

TEST_CASE("an arm's text does not depend on the order of its knobs", "[tuner][arm]") {
  const Arm one{"a", ArmCarrier::openvpn, {{"tun_mtu", "9000"}, {"proto", "tcp"}}, ""};
  const Arm two{"b", ArmCarrier::openvpn, {{"proto", "tcp"}, {"tun_mtu", "9000"}}, "why"};
  CHECK(canonical_text(one) == "openvpn proto=tcp tun_mtu=9000");
  CHECK(canonical_text(one) == canonical_text(two));
  CHECK(hash_of(one) == hash_of(two));
}

TEST_CASE("an arm's hash is FNV-1a of its text", "[tuner][arm]") {
  // Computed by an independent implementation.
  CHECK(hash_of(Arm{"x", ArmCarrier::bare, {}, ""}) == "9a7a059baa52c9cd");
  CHECK(hash_of(Arm{"x", ArmCarrier::native, {}, ""}) == "4b701c187218deca");
}

TEST_CASE("an arm is read back from its text and its JSON", "[tuner][arm]") {
  const auto arm = parse_arm("  openvpn  tun_mtu=9000 proto=tcp ");
  REQUIRE(arm);
  CHECK(canonical_text(*arm) == "openvpn proto=tcp tun_mtu=9000");
  const auto again = arm_from_json(to_json(*arm));
  REQUIRE(again);
  CHECK(to_json(*again) == to_json(*arm));
  CHECK(parse_arm("bare"));
}

TEST_CASE("a text that is no arm is refused", "[tuner][arm]") {
  for (const char* text : {"", "  ", "ipsec", "openvpn tun_mtu", "openvpn =9000",
                           "openvpn tun_mtu=", "openvpn a=1 a=2", "bare mtu=1500",
                           "native mtu=1500;reboot", "native m\x1btu=1", "native mtu=../x\n"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_arm(text));
  }
  std::string many = "native";
  for (int i = 0; i < 33; ++i)
    many += " k" + std::to_string(i) + "=1";
  CHECK_FALSE(parse_arm(many));
  CHECK_FALSE(parse_arm("native k=" + std::string(65, '1')));
  Json wrong = to_json(*parse_arm("native mtu=9000"));
  wrong["hash"] = "0000000000000000";
  CHECK_FALSE(arm_from_json(wrong));
}

TEST_CASE("the default arms are valid, different from each other, and begin with the bare line",
          "[tuner][space]") {
  for (const bool quick : {false, true}) {
    const std::vector<Arm> arms = default_arms({.quick = quick, .incumbent = {}});
    std::set<std::string> known;
    std::set<std::string> labels;
    for (const Arm& arm : arms) {
      CHECK(validate(arm));
      CHECK_FALSE(arm.why.empty());
      CHECK(known.insert(hash_of(arm)).second);
      CHECK(labels.insert(arm.label).second);
    }
    CHECK(arms.front().carrier == ArmCarrier::bare);
    CHECK(known.contains(hash_of(*parse_arm("native"))));
    CHECK(known.contains(hash_of(*parse_arm("openvpn proto=tcp"))));
  }
  CHECK(default_arms({.quick = true, .incumbent = {}}).size() == 8);
}

TEST_CASE("every default arm is made of knobs and values of the knob table", "[tuner][space]") {
  for (const Arm& arm : default_arms({.incumbent = {}})) {
    configs::NativeKnobs native;
    configs::OpenVpnKnobs openvpn;
    for (const Setting& setting : arm.settings) {
      CAPTURE(arm.label, setting.name, setting.value);
      if (arm.carrier == ArmCarrier::native)
        CHECK(configs::set_knob(native, setting.name, setting.value));
      if (arm.carrier == ArmCarrier::openvpn)
        CHECK(configs::set_knob(openvpn, setting.name, setting.value));
    }
    CAPTURE(arm.label);
    CHECK(configs::validate(native));
    CHECK(configs::validate(openvpn));
  }
}

TEST_CASE("the incumbent is tried, once, even when it is one of the defaults", "[tuner][space]") {
  const Arm own = *parse_arm("native mtu=4000");
  const std::vector<Arm> arms = default_arms({.incumbent = own});
  CHECK(hash_of(arms[1]) == hash_of(own));
  CHECK(default_arms({.incumbent = *parse_arm("native")}).size() ==
        default_arms({.incumbent = {}}).size());
  for (const Arm& arm : default_arms({.with_native = false, .incumbent = {}}))
    CHECK(arm.carrier != ArmCarrier::native);
  for (const Arm& arm : default_arms({.with_openvpn = false, .incumbent = {}}))
    CHECK(arm.carrier != ArmCarrier::openvpn);
}

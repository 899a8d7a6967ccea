#include "tuner/space.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "configs/knob.h"

using namespace lt;
using namespace lt::tuner;

namespace {

Physics line(std::uint32_t mtu, bool fragments) {
  Physics physics;
  physics.up = {mtu, fragments, BitsPerSecond{100'000'000}};
  physics.down = {mtu, fragments, BitsPerSecond{100'000'000}};
  return physics;
}

std::set<std::string> texts_of(const std::vector<Arm>& arms) {
  std::set<std::string> texts;
  for (const Arm& arm : arms)
    texts.insert(canonical_text(arm));
  return texts;
}

bool is_made_of_knobs(const Arm& arm) {
  configs::NativeKnobs native;
  configs::OpenVpnKnobs openvpn;
  for (const Setting& setting : arm.settings) {
    const auto set = arm.carrier == ArmCarrier::native
                         ? configs::set_knob(native, setting.name, setting.value)
                         : configs::set_knob(openvpn, setting.name, setting.value);
    if (!set) return false;
  }
  return configs::validate(native) && configs::validate(openvpn);
}

}  // namespace

TEST_CASE("the line's own MTU is among the arms", "[tuner][space]") {
  const auto texts = texts_of(
      default_arms({.with_wireguard = true, .incumbent = {}, .physics = line(1492, true)}));
  CHECK(texts.contains("openvpn mssfix=0 proto=udp tun_mtu=1440"));
  CHECK(texts.contains("wireguard mtu=1432"));
  CHECK(texts.contains("openvpn fragment=1464 mssfix=1464 proto=udp"));
  CHECK(texts.contains("openvpn mssfix=0 proto=udp tun_mtu=9000"));
}

TEST_CASE(
    "a line that drops fragments rules out what needs them, but never the defaults or the "
    "incumbent",
    "[tuner][space]") {
  const Arm incumbent = *parse_arm("openvpn proto=udp tun_mtu=20000 mssfix=0");
  const SpaceOptions options{.incumbent = incumbent, .physics = line(1500, false)};
  const auto texts = texts_of(default_arms(options));
  CHECK_FALSE(texts.contains("openvpn mssfix=0 proto=udp tun_mtu=9000"));
  CHECK_FALSE(texts.contains("openvpn mssfix=0 proto=udp"));
  CHECK(texts.contains("openvpn mssfix=0 proto=udp tun_mtu=1448"));
  CHECK(texts.contains("openvpn proto=udp"));
  CHECK(texts.contains("openvpn proto=tcp"));
  CHECK(texts.contains(canonical_text(incumbent)));
  const auto reasons = ruled_out_arms(options);
  CHECK(std::any_of(reasons.begin(), reasons.end(), [](const std::string& reason) {
    return reason.starts_with(
        "openvpn udp 9000: its packets of up to 9052 bytes need IP fragments");
  }));
}

TEST_CASE("a line of which nothing is known rules out nothing that the knob table allows",
          "[tuner][space]") {
  const Arm jumbo = *parse_arm("openvpn proto=udp tun_mtu=9000");
  CHECK_FALSE(ruled_out(jumbo, Physics{}));
  Physics physics = line(1500, false);
  CHECK(ruled_out(jumbo, physics));
  physics.up.carries_fragments.reset();
  physics.down.carries_fragments.reset();
  CHECK_FALSE(ruled_out(jumbo, physics));
  physics = line(1500, false);
  physics.up.mtu.reset();
  CHECK_FALSE(ruled_out(jumbo, physics));
}

TEST_CASE("a packet that fits the path to the byte needs no fragments", "[tuner][space]") {
  const Physics physics = line(1500, false);
  CHECK_FALSE(ruled_out(*parse_arm("openvpn proto=udp tun_mtu=1448 mssfix=0"), physics));
  CHECK(ruled_out(*parse_arm("openvpn proto=udp tun_mtu=1449 mssfix=0"), physics));
  CHECK_FALSE(ruled_out(*parse_arm("openvpn proto=udp fragment=1472"), physics));
  CHECK(ruled_out(*parse_arm("openvpn proto=udp fragment=1473"), physics));
  CHECK_FALSE(ruled_out(*parse_arm("openvpn proto=tcp tun_mtu=65000"), physics));
}

TEST_CASE("an arm that the knob table refuses is ruled out on any line", "[tuner][space]") {
  CHECK(ruled_out(*parse_arm("openvpn proto=tcp tun_mtu=65512"), Physics{}));
  CHECK(ruled_out(*parse_arm("openvpn proto=udp tun_mtu=65484"), Physics{}));
  CHECK(ruled_out(*parse_arm("openvpn proto=tcp fragment=1400"), Physics{}));
  CHECK_FALSE(ruled_out(*parse_arm("openvpn proto=tcp tun_mtu=65511"), Physics{}));
}

TEST_CASE("every neighbour differs from its arm in one knob, and each is made of the knob table",
          "[tuner][space]") {
  const std::string centre =
      GENERATE(as<std::string>{}, "native", "native lanes=4 mtu=9000", "openvpn proto=udp",
               "openvpn proto=tcp tun_mtu=9000 mssfix=0 txqueuelen=100",
               "openvpn proto=tcp mode=p2p tun_mtu=9000");
  const Arm arm = *parse_arm(centre);
  const auto found = neighbours_of(arm, {.incumbent = {}});
  CAPTURE(centre);
  CHECK(found.size() >= 8);
  CHECK(texts_of(found).size() == found.size());
  CHECK_FALSE(texts_of(found).contains(canonical_text(arm)));
  for (const Arm& near : found) {
    CAPTURE(canonical_text(near));
    CHECK(validate(near));
    CHECK(is_made_of_knobs(near));
    const auto differs = [](const std::vector<Setting>& a, const std::vector<Setting>& b) {
      return std::count_if(a.begin(), a.end(), [&](const Setting& setting) {
        return std::find(b.begin(), b.end(), setting) == b.end();
      });
    };
    CHECK(differs(near.settings, arm.settings) <= 1);
    CHECK(differs(arm.settings, near.settings) <= 1);
  }
}

TEST_CASE("the screen leaves out knobs that do nothing on the arm", "[tuner][space]") {
  const auto screened = [](const char* text, const SpaceOptions& options) {
    std::set<std::string> knobs;
    const Arm arm = *parse_arm(text);
    for (const Arm& near : neighbours_of(arm, options))
      for (const Setting& setting : near.settings)
        knobs.insert(setting.name);
    return knobs;
  };
  const auto udp = screened("openvpn proto=udp", {.incumbent = {}});
  CHECK_FALSE(udp.contains("tcp_queue_limit"));
  CHECK_FALSE(udp.contains("tcp_nodelay"));
  CHECK_FALSE(udp.contains("dco"));
  CHECK(udp.contains("sndbuf"));
  const auto tcp = screened("openvpn proto=tcp", {.incumbent = {}});
  CHECK(tcp.contains("tcp_queue_limit"));
  CHECK(tcp.contains("tcp_nodelay"));
  CHECK_FALSE(tcp.contains("fragment"));
  const auto newest = screened(
      "openvpn proto=tcp", {.incumbent = {}, .openvpn_version = configs::OpenVpnVersion{2, 7, 6}});
  CHECK_FALSE(newest.contains("tcp_nodelay"));
  CHECK_FALSE(
      screened("openvpn proto=tcp mode=p2p", {.incumbent = {}}).contains("tcp_queue_limit"));
  CHECK(screened("openvpn proto=udp", {.incumbent = {}, .has_dco = true}).contains("dco"));
  CHECK(neighbours_of(*parse_arm("bare"), {.incumbent = {}}).empty());
}

TEST_CASE("no neighbour needs fragments on a line that drops them", "[tuner][space]") {
  const SpaceOptions options{.incumbent = {}, .physics = line(1500, false)};
  for (const Arm& near :
       neighbours_of(*parse_arm("openvpn proto=udp tun_mtu=1448 mssfix=0"), options)) {
    CAPTURE(canonical_text(near));
    CHECK_FALSE(ruled_out(near, *options.physics));
  }
}

TEST_CASE("an arm's bound is the line's less its headers", "[tuner][space]") {
  const Physics physics = line(1500, true);
  CHECK(bound_of(*parse_arm("native"), physics).up == BitsPerSecond{100'000'000});
  const Bound udp = bound_of(*parse_arm("openvpn proto=udp"), physics);
  CHECK(udp.up->value == Approx(100e6 * 1388 * 1500 / 1492 / 1448).margin(1));
  CHECK(udp.text.find("96.4 % at most remain behind this arm's headers") != std::string::npos);
  CHECK_FALSE(bound_of(*parse_arm("openvpn proto=udp"), Physics{}).up);
}

TEST_CASE("an OpenVPN without point-to-point negotiation gets no such arm", "[tuner][space]") {
  const auto has_p2p = [](const configs::OpenVpnVersion& version) {
    const auto arms = default_arms({.incumbent = {}, .openvpn_version = version});
    return std::any_of(arms.begin(), arms.end(), [](const Arm& arm) {
      return canonical_text(arm).find("mode=p2p") != std::string::npos;
    });
  };
  CHECK(has_p2p({2, 6, 0}));
  CHECK_FALSE(has_p2p({2, 5, 11}));
}

TEST_CASE("the front of the space shows the main effects of each carrier", "[tuner][space]") {
  const auto arms = default_arms({.incumbent = {}, .physics = line(1500, true)});
  const std::vector<Arm> front(arms.begin(), arms.begin() + 9);
  const auto texts = texts_of(front);
  CHECK(canonical_text(arms.front()) == "bare");
  for (const char* arm : {"native", "native congestion_control=bbr", "openvpn proto=tcp",
                          "openvpn mssfix=0 proto=udp tun_mtu=1448"})
    CHECK(texts.contains(arm));
  // What only shows the worth of a part comes last of them.
  const std::vector<std::string> first{canonical_text(arms[1]), canonical_text(arms[2]), canonical_text(arms[3])};
  CHECK(first == std::vector<std::string>{"native", "native congestion_control=bbr", "openvpn mssfix=0 proto=udp tun_mtu=1448"});
  CHECK(canonical_text(front.back()) == "native offload=off");
  // Behind it neither carrier has more than one arm in a row, until one of them is out of arms.
  const std::size_t turns = 10;
  for (std::size_t i = front.size(); i + 1 < front.size() + turns && i + 1 < arms.size(); ++i)
    CHECK(arms[i].carrier != arms[i + 1].carrier);
  // None is lost by the order.
  CHECK(texts_of(arms).size() == arms.size());
  CHECK(arms.size() >= 25);
}

#include "app/arm_knobs.h"

#include "base/text.h"
#include "configs/knob.h"

namespace lt::app {

namespace {

template <class Knobs>
Result<Knobs> knobs_of(const tuner::Arm& arm) {
  Knobs knobs{};
  for (const tuner::Setting& setting : arm.settings) {
    LT_CHECK(configs::set_knob(knobs, setting.name, setting.value));
  }
  LT_CHECK(configs::validate(knobs));
  return knobs;
}

}  // namespace

Result<configs::NativeKnobs> native_knobs_of(const tuner::Arm& arm) { return knobs_of<configs::NativeKnobs>(arm); }
Result<configs::OpenVpnKnobs> openvpn_knobs_of(const tuner::Arm& arm) { return knobs_of<configs::OpenVpnKnobs>(arm); }

Result<std::optional<std::uint32_t>> wireguard_mtu_of(const tuner::Arm& arm) {
  constexpr std::uint64_t mtu_min = 576;  // what IPv4 hosts must take (RFC 791)
  constexpr std::uint64_t mtu_max = 65'475;  // an IP packet less IPv4, UDP and WireGuard's own 32 bytes
  std::optional<std::uint32_t> mtu;
  for (const tuner::Setting& setting : arm.settings) {
    const auto value = parse_u64(setting.value);
    if (setting.name != "mtu") return fail(Errc::invalid, "WireGuard has no knob called " + printable(setting.name, 40) + ": there is mtu");
    if (!value || *value < mtu_min || *value > mtu_max) return fail(Errc::invalid, "mtu of WireGuard must be a whole number from 576 to 65475");
    mtu = static_cast<std::uint32_t>(*value);
  }
  return mtu;
}

}  // namespace lt::app

// An arm's settings as the knobs of what it starts, range-checked by the knob table.
#pragma once

#include <optional>

#include "configs/link_config.h"
#include "configs/openvpn_knobs.h"
#include "tuner/arm.h"

namespace lt::app {

/// The knobs of a native or OpenVPN arm. @error invalid: names the knob
[[nodiscard]] Result<configs::NativeKnobs> native_knobs_of(const tuner::Arm& arm);
[[nodiscard]] Result<configs::OpenVpnKnobs> openvpn_knobs_of(const tuner::Arm& arm);
/// The only knob of a WireGuard arm, its device's MTU; nothing: as WireGuard comes. @error invalid: names the knob
[[nodiscard]] Result<std::optional<std::uint32_t>> wireguard_mtu_of(const tuner::Arm& arm);

}  // namespace lt::app

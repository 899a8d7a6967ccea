// What the daemons of a tunnel occupy: resident memory at its peak, as the kernel counts it.
#pragma once

#include "lab/sandbox.h"

namespace lt::app {

/// VmHWM of the largest process of linktune, openvpn or wireguard-go at the two gateways (unit: MiB). Its peak, so it is
/// never below what was resident under load.
/// @error not_found: none of them runs there
[[nodiscard]] Result<double> largest_resident_mib(const lab::Sandbox& sandbox);

/// From the text of /proc/PID/status. @error invalid: no VmHWM
[[nodiscard]] Result<double> parse_resident_mib(std::string_view status);

}  // namespace lt::app

// What the daemons of a tunnel occupy: resident memory at its peak, as the kernel counts it.
#pragma once

#include "lab/sandbox.h"

namespace lt::app {

/// VmHWM of the largest process at the two gateways that is no tool of the bench's own (unit: MiB). Its peak, so it is
/// never below what was resident under load.
/// @error not_found: none runs there
[[nodiscard]] Result<double> largest_resident_mib(const lab::Sandbox& sandbox);

/// From the text of /proc/PID/status. @error invalid: no VmHWM
[[nodiscard]] Result<double> parse_resident_mib(std::string_view status);

}  // namespace lt::app

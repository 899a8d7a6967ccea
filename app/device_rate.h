// How fast the network device is that leads to an address: what no arm exceeds, however good it is.
#pragma once

#include <optional>

#include "base/ip.h"
#include "base/units.h"

namespace lt::app {

/// What the hardware behind the route to `address` has agreed with its other end. Nothing: there is no hardware (a tunnel,
/// a pair of namespaces, most virtual machines), no link, or no route.
[[nodiscard]] std::optional<BitsPerSecond> device_rate_towards(const IpAddress& address);

}  // namespace lt::app

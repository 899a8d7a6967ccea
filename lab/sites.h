// Sites: the namespaces of a lab with their devices, addresses and kernel settings; everything but
// the WAN's traffic.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "lab/topology.h"

namespace lt::lab {

/// Root, `ip`, and /dev/net/tun where it is needed. @error not_permitted · not_found: one sentence
/// with the cure
[[nodiscard]] Status check_machine(bool needs_tun);

/// Makes the four namespaces, the LANs and the control link. Without a congestion control named it
/// is cubic, where the machine allows it to all. @error unsupported: the one named is not allowed.
/// @pre none of the namespaces exists
[[nodiscard]] Status build_sites(const Topology& topology,
                                 const std::optional<std::string>& congestion_control);

/// Makes the WAN a bare veth pair (profile raw). @pre build_sites()
[[nodiscard]] Status build_raw_wan(const Topology& topology);

/// Address, neighbour and queue of the device `wan` in one gateway. @pre called inside the
/// gateway's namespace
[[nodiscard]] Status configure_wan(const Site& site, const Site& peer);

/// Routes between the LANs over the bare WAN, unprotected: for measuring the line itself. Its
/// metric is so high that any route of a tunnel goes before it.
[[nodiscard]] Status route_in_clear(const Topology& topology, bool on);

/// The congestion control of connections between the gateways that name none.
/// @error unsupported: the kernel has none of that name
[[nodiscard]] Status pin_congestion_control(const Topology& topology, const std::string& name);

/// Ends what runs in the namespaces and removes them. Tries all even when one fails; the first
/// error is returned.
[[nodiscard]] Status remove_sites(const Topology& topology);

}  // namespace lt::lab

// The walk through the gate: real traffic over what an arm carries, both ways, for correctness.
//
// In this order, and the first failure ends it:
//   full_size   packets of the arm's whole MTU arrive both ways, sent so that nothing may fragment
//               them; the largest that arrives is found by the ladder of tuner/path_shape.h
//   udp_sizes   datagrams of 20 to 1,400 bytes, every third size, both ways; none that the device is too small for
//   black_hole  TCP that fills its segments delivers both ways: no connection opens, pings small
//               and then carries nothing
//   stall       under that load nothing stands still for stall_max or longer
//   reassembly  no datagram was given up for a missing fragment, at either end, while the load ran
//
// Nothing here is believed from a table: an MTU counts when its packets have arrived.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <vector>

#include "tuner/gate.h"
#include "tuner/ip_counters.h"
#include "tuner/probe.h"

namespace lt::tuner {

/// How the counters of one end are read; empty: they cannot be.
using CounterReader = std::function<Result<IpCounters>()>;

struct GateOptions {
  ProbeClientOptions client{};
  IpAddress data{};                    // the far end of what is checked
  std::optional<IpAddress> source{};   // this end of it; none: by route
  std::optional<std::uint32_t> mtu{};  // of the arm's device; none: the bare line, any will do
  Milliseconds watch{4'000};           // of the load that a stall and lost fragments would show in
  std::string congestion{"cubic"};     // of that load
  CounterReader near_counters{};       // of the outer path, at this end
  CounterReader far_counters{};        // and at the other
};

inline constexpr unsigned gate_udp_bytes_min = 20;  // what a datagram of the ladder begins with
inline constexpr unsigned gate_udp_bytes_max = 1'400;

/// The payloads of udp_sizes: sent whole, so none is larger than a device of `mtu` carries without a fragment.
[[nodiscard]] std::vector<unsigned> gate_udp_sizes(std::optional<std::uint32_t> mtu, Family family);

/// @error as run_probe and probe_path: the bench is at fault
[[nodiscard]] Result<GateOutcome> walk_gate(const GateOptions& options,
                                            const std::stop_token& stop);

}  // namespace lt::tuner

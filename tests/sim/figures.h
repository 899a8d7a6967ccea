// Figures of merit in simulated time: how long an outage is not noticed and not mended, and what a rekey or a take-over
// costs in bytes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/sim/world.h"

namespace lt::sim {

struct Outages {
  std::vector<double> noticed_s;    // from the cut until the last end has given its lane up
  std::vector<double> recovered_s;  // from the path's return until packets have come out at both ends
  std::uint64_t inner_resets{0};    // inner connections that their own time-outs ended
  std::uint64_t inner_stuck{0};     // and those that did not go on
  std::optional<std::string> failure;
};
/// Each trial cuts both directions, for 6 to 60 s, of a link with `lanes` lanes.
[[nodiscard]] Outages measure_outages(std::uint64_t trials, std::uint8_t lanes, nanoseconds round_trip, std::size_t inner_connections);

struct Rekeys {
  std::uint64_t ratchets{0};
  std::uint64_t take_overs{0};
  std::uint64_t bytes_sent{0};
  std::uint64_t packets_sent{0};
  std::uint64_t packets_lost{0};
  double simulated_s{0};
  std::optional<std::string> failure;
};
/// At full rate, until so many ratchets and take-overs have happened at the client. 0: none of this kind.
[[nodiscard]] Rekeys measure_rekeys(std::uint64_t ratchets, std::uint64_t take_overs);

/// The `share` quantile of `values`.
[[nodiscard]] double quantile(std::vector<double> values, double share);

}  // namespace lt::sim

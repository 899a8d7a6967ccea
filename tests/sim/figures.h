// Figures of merit in simulated time: how long an outage is not noticed and not mended, and what a rekey or a take-over
// costs in bytes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/sim/world.h"

namespace lt::sim {

struct Outages {
  std::vector<double> noticed_s;    // from the cut until the last end has given its lane up; of a stop: nothing
  std::vector<double> recovered_s;  // from the return until packets have come out at both ends
  std::uint64_t inner_resets{0};    // inner connections that their own time-outs ended
  std::uint64_t inner_stuck{0};     // and those that did not go on
  std::optional<std::string> failure;
};
enum class Fault : std::uint8_t { path_cut, client_stopped, server_stopped };
struct OutageOptions {
  std::uint64_t trials{20};
  std::uint8_t lanes{1};
  nanoseconds round_trip{std::chrono::milliseconds(20)};
  std::size_t inner_connections{0};
  Fault fault{Fault::path_cut};
  nanoseconds shortest{std::chrono::seconds(6)};
  nanoseconds longest{std::chrono::seconds(60)};
};
/// Each trial cuts both directions of a link, or stops one of its daemons, for a time that its seed draws.
[[nodiscard]] Outages measure_outages(const OutageOptions& options);

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

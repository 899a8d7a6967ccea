// QueuePlan: which queues of the device a lane reads. The flows of a bulk lane are shared among all of its own, so that one
// does not wait behind another (flow_turns.h); express has one. Where fewer lanes are agreed than wanted, a lane that was
// meant for bulk may be express: it uses its first queue only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tunnel/flow_class.h"

namespace lt::tunnel {

struct QueuePlan {
  std::size_t bulk_lanes{1};
  std::size_t flow_queues{1};  // of each of these
  bool has_express{false};     // a last lane, with one queue

  [[nodiscard]] std::size_t lanes() const { return bulk_lanes + (has_express ? 1U : 0U); }
  [[nodiscard]] std::size_t total() const { return bulk_lanes * flow_queues + (has_express ? 1U : 0U); }
  /// Those of one lane, by their number on the device.
  [[nodiscard]] std::vector<std::uint32_t> of_lane(std::size_t lane) const {
    const std::size_t count = lane < bulk_lanes ? flow_queues : 1;
    std::vector<std::uint32_t> queues;
    for (std::size_t i = 0; i < count; ++i) queues.push_back(static_cast<std::uint32_t>(lane * flow_queues + i));
    return queues;
  }
};

/// @param flow_queues  of all bulk lanes together; each has one at least
/// @pre bulk_lanes and flow_queues are 1..flow_slots, which leaves each queue a slot of the steering
[[nodiscard]] inline QueuePlan plan_queues(std::size_t bulk_lanes, bool has_express, std::size_t flow_queues) {
  return {.bulk_lanes = bulk_lanes, .flow_queues = std::max<std::size_t>(1, flow_queues / bulk_lanes), .has_express = has_express};
}

}  // namespace lt::tunnel

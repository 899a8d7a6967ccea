// Search: a world drawn from a seed, and all that may befall it, at random; then peace, and the question whether it has
// recovered.
#pragma once

#include <optional>
#include <string>

#include "tests/sim/world.h"

namespace lt::sim {

struct Trial {
  std::optional<std::string> failure;
  std::deque<std::string> log;  // of the last events, when it failed
  WorldStats stats;
  std::uint64_t steps{0};
  std::chrono::nanoseconds simulated{};
  std::uint64_t fingerprint{0};  // of all that happened: equal for equal seeds
};

/// @param keeps_log  also where nothing failed
[[nodiscard]] Trial run_trial(std::uint64_t seed, bool keeps_log = false);

}  // namespace lt::sim

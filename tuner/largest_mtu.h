// The largest MTU that really works, found by starting arms and sending full packets through them:
// no table says where a tunnel begins to swallow its largest packets.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "tuner/bench.h"

namespace lt::tuner {

/// What one MTU did. @error the bench is at fault
using MtuTrial = std::function<Result<bool>(std::uint32_t mtu)>;

struct MtuFound {
  std::optional<std::uint32_t> largest{};    // that worked; nothing: none did
  std::optional<std::uint32_t> too_large{};  // the smallest that did not; nothing: all worked
  unsigned trials{0};
};

/// Bisection between the ends, the upper end first: most often it works. It takes for granted that
/// what works works for all smaller ones. @pre low <= high
[[nodiscard]] Result<MtuFound> find_largest_mtu(std::uint32_t low, std::uint32_t high,
                                                const MtuTrial& works);

/// The same on a bench: `arm` with its MTU knob (tun_mtu or mtu) set, started from nothing, through
/// the gate, dismantled. An arm that the knob table refuses does not work.
/// @error invalid: a bare arm has no MTU · the bench is at fault · interrupted
[[nodiscard]] Result<MtuFound> find_largest_mtu(Bench& bench, const Arm& arm, std::uint32_t low,
                                                std::uint32_t high, const std::stop_token& stop);

/// The knob that sets an arm's MTU.
[[nodiscard]] std::string mtu_knob_of(const Arm& arm);

}  // namespace lt::tuner

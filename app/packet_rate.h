// How many 64-byte UDP datagrams a second a path carries: offered at an even pace, one socket to one socket, at rates
// that a search chooses.
//
// The search (pure) doubles the rate by steps until a step fails, then halves the gap on the log scale. A step fails
// when more than loss_share_max of what was offered did not arrive, twice.
#pragma once

#include <functional>

#include "lab/sandbox.h"

namespace lt::app {

inline constexpr std::size_t small_payload_bytes = 64;
inline constexpr double loss_share_max = 0.01;

/// What became of one offered rate (unit: packets a second).
struct RateStep {
  double offered{0};
  double delivered{0};

  [[nodiscard]] bool passes() const { return delivered >= offered * (1 - loss_share_max); }
};

struct PacketRate {
  double sustained{0};  // the highest delivered rate of a step that passed
  double best{0};       // the highest delivered rate at all
};

/// Tries rates until the highest that passes is known within 5 %. @error what `offer` fails with
using Offer = std::function<Result<RateStep>(double packets_per_second)>;
[[nodiscard]] Result<PacketRate> search_rate(const Offer& offer);

/// Offers `packets_per_second` from one host to an address of another for `duration`.
[[nodiscard]] Result<RateStep> offer_packets(const lab::Sandbox& sandbox, lab::Host from, lab::Host at, const IpAddress& to,
                                             double packets_per_second, std::chrono::milliseconds duration);

}  // namespace lt::app

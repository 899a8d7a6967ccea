// linktune lab bench: our link against OpenVPN and the bare line, side by side in one run.
#pragma once

#include <stop_token>

#include "app/outcome.h"

namespace lt::app {

struct BenchOptions {
  unsigned rounds{10};   // each row once a round, in a random order, freshly started
  unsigned seconds{4};   // measured, after one second that is left out
  std::uint64_t seed{0};
  bool with_openvpn{true};
};

/// LAN host to LAN host, 1500-byte networks, one TCP flow, profile raw. Prints progress to standard error.
/// @error interrupted; and what the lab or the programs lack
[[nodiscard]] Result<Outcome> run_bench(const BenchOptions& options, const std::stop_token& stop);

}  // namespace lt::app

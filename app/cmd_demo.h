// linktune lab demo: the whole product on one machine, in a few minutes, leaving nothing behind.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>

#include "app/outcome.h"

namespace lt::app {

struct DemoOptions {
  std::optional<std::uint64_t> seed;
  std::size_t blocks{2};     // of the sweep
  std::string keep_folder;   // where the best OpenVPN pair is kept; empty: it goes with the rest
};

/// Two sites over 500 Mbit/s and 20 ms: link, traffic, sweep, OpenVPN export, traffic over that, a ZFS mirror, report.
/// @error interrupted; or what failed. Everything it made is gone in each case
[[nodiscard]] Result<Outcome> run_demo(const DemoOptions& options, const std::stop_token& stop);

}  // namespace lt::app

// Whether this run takes everything, or a sample that the standing suite has time for.
#pragma once

#include <cstdlib>
#include <random>

namespace lt::testing {

/// LINKTUNE_COMPLETE=1: everything.
inline bool is_complete_run() {
  const char* const said = std::getenv("LINKTUNE_COMPLETE");
  return said != nullptr && *said == '1';
}

/// A seed for this run, to be printed where it matters; LINKTUNE_SEED sets it.
inline std::uint32_t seed_of_run() {
  const char* const said = std::getenv("LINKTUNE_SEED");
  return said != nullptr ? static_cast<std::uint32_t>(std::strtoul(said, nullptr, 10)) : std::random_device{}();
}

}  // namespace lt::testing

// The mirror's chapter of `linktune lab demo`: a ZFS dataset over the link by unmodified Syncoid, the line cut
// once on the way, the copy compared with its source.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>

#include "base/json.h"
#include "base/result.h"
#include "lab/sandbox.h"

namespace lt::app {

struct MirrorShown {
  std::optional<std::string> why_not;  // what this machine lacks; then the rest is empty
  std::string syncoid;                 // "2.1.0"
  std::uint64_t bytes{0};
  std::chrono::milliseconds took{0};   // of Syncoid, the cut included
  std::chrono::milliseconds cut{0};
  std::uint64_t wire_bytes{0};         // of the comparison
  std::uint64_t entries{0};
  std::string snapshot;

  [[nodiscard]] std::string text() const;
  [[nodiscard]] Json json() const;
};

/// @param folder  of the caller's: for pools, configs and logs
/// @error io: Syncoid failed, or the copy is not the source · interrupted
[[nodiscard]] Result<MirrorShown> show_mirror(lab::Sandbox& sandbox, const std::string& folder, std::uint64_t seed, const std::stop_token& stop);

}  // namespace lt::app

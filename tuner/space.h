// Which arms a sweep tries when nobody names any.
//
// The bare line, the incumbent and each carrier's defaults are always in. The rest are the settings
// that have mattered in the field or in our own measurements, each with its reason.
#pragma once

#include <optional>
#include <vector>

#include "tuner/arm.h"

namespace lt::tuner {

struct SpaceOptions {
  bool quick{false};  // a handful that shows the main effects, for a demonstration
  bool with_native{true};
  bool with_openvpn{true};
  std::optional<Arm> incumbent{};  // what the owner runs now
};

/// No two arms are the same; the bare line is first.
[[nodiscard]] std::vector<Arm> default_arms(const SpaceOptions& options);

}  // namespace lt::tuner

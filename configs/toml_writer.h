// Writes a site's config as TOML, each line with its reason: what `linktune init` leaves behind.
#pragma once

#include <string>

#include "configs/link_config.h"

namespace lt::configs {

/// The same config gives the same text, and parse_link_config(text) gives the same config.
/// @pre validate(config) is good
[[nodiscard]] std::string write_link_config(const LinkConfig& config);

/// The [native] section with the knobs that differ from their defaults, to copy into a config;
/// empty when none does.
[[nodiscard]] std::string write_native_changes(const NativeKnobs& knobs);

}  // namespace lt::configs

// Writes a site's config as TOML, each line with its reason: what `linktune init` leaves behind.
#pragma once

#include <string>

#include "configs/link_config.h"

namespace lt::configs {

/// The same config gives the same text, and parse_link_config(text) gives the same config.
/// @pre validate(config) is good
[[nodiscard]] std::string write_link_config(const LinkConfig& config);

}  // namespace lt::configs

// Writes a site's config as TOML, each line with its reason: what `linktune init` leaves behind.
#pragma once

#include <string>
#include <string_view>

#include "configs/link_config.h"

namespace lt::configs {

/// The same config gives the same text, and parse_link_config(text) gives the same config.
/// @pre validate(config) is good
[[nodiscard]] std::string write_link_config(const LinkConfig& config);

/// The [native] section with the knobs that differ from their defaults, to copy into a config;
/// empty when none does.
[[nodiscard]] std::string write_native_changes(const NativeKnobs& knobs);

/// A site's config with these values below [native], and everything else as somebody wrote it.
[[nodiscard]] std::string with_knobs(std::string_view text, const NativeKnobs& knobs);

}  // namespace lt::configs

// Reads a site's config from TOML. The door of toml++.
//
// Nothing is applied partly: either a LinkConfig that passes validate(), or every fault of the file
// at once, first line first, each as "FILE:LINE:COLUMN: what is wrong; what to write instead". An
// unknown key is a fault, because a misspelt one would otherwise be a silent default.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "configs/link_config.h"

namespace lt::configs {

inline constexpr std::size_t config_bytes_max = 64 << 10;

/// Reads `path`; relative paths in it are taken from the folder it stands in.
/// @error invalid: the faults, one a line · not_found, not_permitted: the file · limit: larger than
/// config_bytes_max
[[nodiscard]] Result<LinkConfig> load_link_config(const std::string& path);

/// As above for a text at hand; `path` names it in messages and is the base of its relative paths.
/// @error invalid
[[nodiscard]] Result<LinkConfig> parse_link_config(std::string_view text, const std::string& path);

}  // namespace lt::configs

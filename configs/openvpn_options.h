// The names of OpenVPN's options: what a line of a config may begin with.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lt::configs {

/// Whether some OpenVPN from 2.4 to 2.7 has, or had, this option. Pure.
/// @source OpenVPN 2.6.14, asked about each word in its program; manuals of 2.4 to 2.7 for what came and went
[[nodiscard]] bool is_openvpn_option(std::string_view name);

/// Whether only OpenVPN on Windows has it. @source OpenVPN 2.6 manual, "Windows-Specific Options"
[[nodiscard]] bool is_windows_option(std::string_view name);

/// The option that a misspelt name most likely means.
[[nodiscard]] std::optional<std::string> nearest_openvpn_option(std::string_view name);

}  // namespace lt::configs

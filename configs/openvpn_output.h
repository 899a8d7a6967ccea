// What the OpenVPN program prints, as far as we read it: its log. (Its version: openvpn_writer.h.)
//
// A log is a foreign text: what is shown of it is made printable and short.
#pragma once

#include <string>
#include <string_view>

namespace lt::configs {

/// It has said that it is up: `Initialization Sequence Completed`.
[[nodiscard]] bool openvpn_has_started(std::string_view log);

/// The end of its log, for a sentence to a person: printable ASCII, at most a few lines.
[[nodiscard]] std::string openvpn_last_words(std::string_view log);

}  // namespace lt::configs

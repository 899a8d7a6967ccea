// The door of nlohmann-json. Parsing never throws; numbers and texts are read through checks.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lt {

using Json = nlohmann::ordered_json;  // ordered: what we print reads as it was written

/// @error invalid: not JSON; the sentence begins with `origin` (a file's name, a program's)
[[nodiscard]] Result<Json> parse_json(std::string_view text, std::string_view origin);

/// One line, for journals and sockets. Bytes that are not UTF-8 are replaced, never thrown over.
[[nodiscard]] std::string to_line(const Json& value);
/// Indented, for people.
[[nodiscard]] std::string to_pretty(const Json& value);

}  // namespace lt

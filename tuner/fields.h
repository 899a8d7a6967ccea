// Reading JSON that somebody else wrote: each field by name, type and range.
//
// Used for the probe's control line and the journal. All errors are Errc::invalid and name the
// field.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace lt::tuner {

struct Range {
  std::uint64_t min{0};
  std::uint64_t max{UINT64_MAX};
};

[[nodiscard]] Result<std::uint64_t> whole_field(const Json& object, std::string_view name,
                                                Range range = {});
/// A finite number that is not negative.
[[nodiscard]] Result<double> number_field(const Json& object, std::string_view name);
[[nodiscard]] Result<bool> truth_field(const Json& object, std::string_view name);
[[nodiscard]] Result<std::string> text_field(const Json& object, std::string_view name,
                                             std::size_t length_max);
[[nodiscard]] Result<Json> object_field(const Json& object, std::string_view name);
[[nodiscard]] Result<Json> list_field(const Json& object, std::string_view name,
                                      std::size_t length_max);
[[nodiscard]] Result<std::vector<std::uint64_t>> whole_list_field(const Json& object,
                                                                  std::string_view name,
                                                                  std::size_t length_max);

/// True when `name` is there and not null.
[[nodiscard]] bool has_field(const Json& object, std::string_view name);

/// {"code": "...", "what": "..."}; reading caps the sentence and makes it printable.
[[nodiscard]] Json error_to_json(const Error& error);
[[nodiscard]] Result<Error> error_from_json(const Json& value);

}  // namespace lt::tuner

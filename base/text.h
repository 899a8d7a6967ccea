// Small words about text: splitting, joining, the nearest known name for a misspelt one.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lt {

[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);
[[nodiscard]] std::string_view trim(std::string_view text);
[[nodiscard]] std::string join(std::span<const std::string> parts, std::string_view separator);

/// A whole decimal number, nothing before or behind it. @return nothing otherwise, or out of range
[[nodiscard]] std::optional<std::uint64_t> parse_u64(std::string_view text);

/// The known name that a misspelt `word` most likely means (at most a third of its letters differ).
[[nodiscard]] std::optional<std::string> nearest(std::string_view word, std::span<const std::string> known);

/// `text` with all but printable ASCII replaced by \xNN, at most `length_max` characters: safe to log or show.
[[nodiscard]] std::string printable(std::string_view text, std::size_t length_max);

/// `words` as one line of a shell, each in single quotes where it needs them.
[[nodiscard]] std::string quoted_text(const std::vector<std::string>& words);

}  // namespace lt

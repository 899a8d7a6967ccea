// What TOML lets pass and we do not (a byte order mark, tabs, braces), found before it is parsed;
// and the split of one file between the link's reader and the mirror's.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lt::configs {

struct TomlPosition {
  std::uint32_t line{1};
  std::uint32_t column{1};
  friend auto operator<=>(const TomlPosition&, const TomlPosition&) = default;
};

/// Something wrong in a text, and where.
struct TomlFinding {
  TomlPosition at;
  std::string what;
};

/// Whether `[[name]]`, a list of sections, has a place in the text.
enum class SectionLists : std::uint8_t { refused, taken };

[[nodiscard]] std::vector<TomlFinding> scan_toml(std::string_view text, SectionLists lists);

/// What toml++ says of a text it cannot parse, with a cure.
[[nodiscard]] std::string syntax_fault(std::string_view description);

inline constexpr std::string_view mirror_section = "mirror";

/// `text` with the rows of section `name` and all below it ([mirror], [[mirror.job]]) left empty:
/// every other row keeps its number.
[[nodiscard]] std::string without_sections(std::string_view text, std::string_view name);
/// `text` with every other row left empty.
[[nodiscard]] std::string only_sections(std::string_view text, std::string_view name);

}  // namespace lt::configs

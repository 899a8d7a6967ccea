// The door of toml++: its header with our settings, and the scan that goes before it. Only
// toml_*.cc includes this.
#pragma once

// toml++ 3.3 asserts on some malformed texts ("[=a]"), and assumes the assertion to hold in release
// builds. Here a failed assertion is an exception in every build; scan_toml() refuses the known
// cases before, with their line.
namespace lt::configs {
struct ParserGaveUp {};
[[noreturn]] inline void give_up() {
  throw ParserGaveUp{};
}
}  // namespace lt::configs
#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(expression) ((expression) ? void(0) : ::lt::configs::give_up())
#define TOML_EXCEPTIONS 1
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

#include <string>
#include <string_view>

#include "configs/toml_scan.h"

namespace lt::configs {

[[nodiscard]] inline TomlPosition position_of(const toml::source_region& region) {
  return {region.begin.line, region.begin.column};
}

}  // namespace lt::configs

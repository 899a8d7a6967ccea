// A TOML text as a tree of values that know where they stand: for readers whose sections come in
// lists, such as mirror_config.cc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "configs/toml_scan.h"

namespace lt::configs {

enum class TomlKind : std::uint8_t { text, integer, toggle, list, table, other };

struct TomlNode {
  TomlKind kind{TomlKind::other};
  std::string key;     // of a table's entry
  TomlPosition key_at; // where the key stands; equal to `at` for what has no key
  TomlPosition at;     // where the value stands
  std::string text;
  std::int64_t integer{0};
  bool toggle{false};
  std::vector<TomlNode> children;  // of a list or table, in the order of the text

  [[nodiscard]] const TomlNode* find(std::string_view wanted) const;
};

/// @return the root table
/// @error invalid: every finding as "path:LINE:COLUMN: what; cure", one a line
[[nodiscard]] Result<TomlNode> parse_toml_tree(std::string_view text, const std::string& path);

/// The findings as the sentence of an error, first line first.
[[nodiscard]] Error findings_error(std::vector<TomlFinding> findings, const std::string& path);

}  // namespace lt::configs

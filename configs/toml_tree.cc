#include "configs/toml_tree.h"

#include <algorithm>

#include "base/text.h"
#include "configs/toml_door.h"

namespace lt::configs {

namespace {

TomlNode tree_of(const toml::node& node);

std::vector<TomlNode> entries_of(const toml::table& table) {
  std::vector<TomlNode> entries;
  for (const auto& [key, value] : table) {
    TomlNode entry = tree_of(value);
    entry.key = std::string(key.str());
    entry.key_at = position_of(key.source());
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(),
            [](const TomlNode& a, const TomlNode& b) { return a.key_at < b.key_at; });
  return entries;
}

TomlNode tree_of(const toml::node& node) {
  TomlNode made;
  made.at = made.key_at = position_of(node.source());
  if (const auto* table = node.as_table()) {
    made.kind = TomlKind::table;
    made.children = entries_of(*table);
  } else if (const auto* array = node.as_array()) {
    made.kind = TomlKind::list;
    for (const toml::node& element : *array)
      made.children.push_back(tree_of(element));
  } else if (const auto* text = node.as_string()) {
    made.kind = TomlKind::text;
    made.text = text->get();
  } else if (const auto* integer = node.as_integer()) {
    made.kind = TomlKind::integer;
    made.integer = integer->get();
  } else if (const auto* toggle = node.as_boolean()) {
    made.kind = TomlKind::toggle;
    made.toggle = toggle->get();
  }
  return made;
}

}  // namespace

const TomlNode* TomlNode::find(std::string_view wanted) const {
  const auto found = std::find_if(children.begin(), children.end(),
                                  [&](const TomlNode& child) { return child.key == wanted; });
  return found == children.end() ? nullptr : &*found;
}

Error findings_error(std::vector<TomlFinding> findings, const std::string& path) {
  std::stable_sort(findings.begin(), findings.end(),
                   [](const TomlFinding& a, const TomlFinding& b) { return a.at < b.at; });
  std::vector<std::string> lines;
  for (const TomlFinding& finding : findings) {
    lines.push_back(path + ":" + std::to_string(finding.at.line) + ":" +
                    std::to_string(finding.at.column) + ": " + finding.what);
  }
  return Error{Errc::invalid, join(lines, "\n")};
}

Result<TomlNode> parse_toml_tree(std::string_view text, const std::string& path) {
  if (auto findings = scan_toml(text, SectionLists::taken); !findings.empty())
    return fail(findings_error(std::move(findings), path));
  try {
    return tree_of(toml::parse(text, path));
  } catch (const toml::parse_error& error) {
    return fail(findings_error(
        {{position_of(error.source()), syntax_fault(error.description())}}, path));
  } catch (const ParserGaveUp&) {
    return fail(findings_error(
        {{TomlPosition{}, "this cannot be read as TOML; compare it with the examples"}}, path));
  }
}

}  // namespace lt::configs

#include "configs/toml_scan.h"

#include <algorithm>

#include "base/text.h"

namespace lt::configs {

namespace {

bool is_bare_name(std::string_view name) {
  return !name.empty() && name.front() != '.' && name.back() != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || c == '.';
         });
}

/// The name in "[name]" or "[[name]]", with nothing but a comment behind it; empty otherwise.
std::string_view header_name(std::string_view row, SectionLists lists) {
  const bool is_list = lists == SectionLists::taken && row.starts_with("[[");
  const std::string_view close = is_list ? "]]" : "]";
  if (!row.starts_with('[')) return {};
  const auto end = row.find(close);
  if (end == std::string_view::npos || end < close.size()) return {};
  const std::string_view name = row.substr(close.size(), end - close.size());
  const std::string_view rest = trim(row.substr(end + close.size()));
  return is_bare_name(name) && (rest.empty() || rest.front() == '#') ? name : std::string_view{};
}

// A tab looks like blanks and is not: inside a value it would be part of a name or path. Braces
// and texts over several lines are TOML, and nothing here needs them.
void scan_row(std::string_view row, std::uint32_t line, SectionLists lists,
              std::vector<TomlFinding>& findings) {
  const auto refuse_at = [&](std::size_t i, std::string_view what) {
    findings.push_back({{line, static_cast<std::uint32_t>(i + 1)}, std::string(what)});
  };
  if (trim(row).starts_with('[') && header_name(trim(row), lists).empty()) {
    refuse_at(row.find('['),
              "this is no section; write its name in brackets and nothing else, such as [link]");
    return;
  }
  char quote = 0;
  for (std::size_t i = 0; i < row.size(); ++i) {
    const char c = row[i];
    if (quote == 0 && c == '#') return;
    if (c == '\t') return refuse_at(i, "there is a tab; write blanks instead");
    if (c == '\0') return refuse_at(i, "there is a zero byte; write plain text");
    // toml++ 3.3 asks whether such a letter is white space, and runs into a place that it calls
    // unreachable: undefined behaviour in release builds.
    if (quote == 0 && (c & 0x80) != 0)
      return refuse_at(i, "there is a letter beyond ASCII; put it in quotes, or behind a #");
    if (quote == 0 && (c == '{' || c == '}'))
      return refuse_at(i, "there is a brace; write a [section] and its keys below");
    if (row.substr(i, 3) == "\"\"\"" || row.substr(i, 3) == "'''") {
      return refuse_at(
          i, "a text over several lines has no place here; write it in one pair of quotes");
    }
    if (quote == 0 && (c == '"' || c == '\'')) {
      const std::string_view before = trim(row.substr(0, i));
      if (!before.empty() && std::string_view("=[,.").find(before.back()) == std::string_view::npos)
        return refuse_at(i, "there is a quote in the middle of a word; write key = \"text\"");
      quote = c;
    } else if (quote == '"' && c == '\\') {
      ++i;
    } else if (c == quote) {
      quote = 0;
    }
  }
}

std::string with_sections(std::string_view text, std::string_view name, bool kept) {
  std::string out;
  bool is_named = false;
  bool is_first = true;
  for (const std::string_view row : split(text, '\n')) {
    const std::string_view header = header_name(trim(row), SectionLists::taken);
    if (!header.empty())
      is_named = header == name || (header.starts_with(name) && header[name.size()] == '.');
    if (!is_first) out += '\n';
    is_first = false;
    if (is_named == kept) out += row;
  }
  return out;
}

}  // namespace

std::vector<TomlFinding> scan_toml(std::string_view text, SectionLists lists) {
  std::vector<TomlFinding> findings;
  if (text.starts_with("\xef\xbb\xbf")) {
    findings.push_back(
        {{1, 1}, "the file begins with a byte order mark; save it as UTF-8 without one"});
  }
  std::uint32_t line = 1;
  for (const std::string_view row : split(text, '\n'))
    scan_row(row, line++, lists, findings);
  return findings;
}

std::string syntax_fault(std::string_view description) {
  const bool is_twice = description.find("redefine") != std::string_view::npos;
  return printable(description, 300) +
         (is_twice ? "; write each key and section once"
                   : "; write key = \"text\", key = 1500, key = true or key = [\"a\", \"b\"]");
}

std::string without_sections(std::string_view text, std::string_view name) {
  return with_sections(text, name, false);
}

std::string only_sections(std::string_view text, std::string_view name) {
  return with_sections(text, name, true);
}

}  // namespace lt::configs

// TextTable: rows of cells, for a terminal or for a document.
#pragma once

#include <string>
#include <vector>

namespace lt::app {

struct TextTable {
  std::vector<std::string> header;  // the first column is a name, the others are figures
  std::vector<std::vector<std::string>> rows{};

  /// Names flush left, figures flush right.
  [[nodiscard]] std::string text() const;
  /// As a table of Markdown.
  [[nodiscard]] std::string markdown() const;
};

}  // namespace lt::app

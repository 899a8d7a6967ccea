// The frame of our HTML pages: one file, self-contained. A reader's browser is told by the page
// itself to load nothing, run nothing and send nothing (Content-Security-Policy), so that a result
// may be opened, kept and shown without a thought.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lt::tuner {

/// The whole document. `title` is text, `body` is markup.
[[nodiscard]] std::string page_around(std::string_view title, const std::string& body);

/// <tag>text</tag>, the text escaped. `attributes` is markup: ` class="x"`.
[[nodiscard]] std::string element(std::string_view tag, std::string_view text,
                                  std::string_view attributes = {});

/// A section with its heading, which the page's contents can name by `id`.
[[nodiscard]] std::string section_of(std::string_view id, std::string_view heading,
                                     const std::string& body);

/// Text to copy: one click marks all of it.
[[nodiscard]] std::string copy_box(std::string_view text);

/// A table whose first column is flush left, the others right. It scrolls by itself where it is
/// wider than the screen.
class PageTable {
 public:
  explicit PageTable(std::vector<std::string> heads) : heads_(std::move(heads)) {}
  /// @param css  of the row: "chosen", "muted", "bad" or nothing
  void add(std::vector<std::string> cells, std::string_view css = {});
  /// Cells of text, flush left: all but those are numbers.
  void text_columns(std::vector<std::size_t> columns) { text_columns_ = std::move(columns); }
  [[nodiscard]] bool is_empty() const { return rows_.empty(); }
  [[nodiscard]] std::string html(std::string_view caption) const;

 private:
  struct Row {
    std::vector<std::string> cells;
    std::string css;
  };
  [[nodiscard]] std::string cell(std::string_view tag, std::size_t column,
                                 const std::string& text) const;

  std::vector<std::string> heads_;
  std::vector<Row> rows_;
  std::vector<std::size_t> text_columns_;
};

}  // namespace lt::tuner

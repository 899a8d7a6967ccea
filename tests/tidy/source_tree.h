// The source tree as text, and what a check of it finds. The checkers take texts, not paths, so
// that each of them is proven on made-up text before it is believed about the real tree.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lt::tidy {

struct SourceFile {
  std::string path;  // from the root of the tree, '/' between folders
  std::string text;
};

struct Finding {
  std::string path;
  std::size_t line{0};  // from 1; 0: the file as a whole
  std::string what;     // a sentence that names the cure

  /// "path:line: what", as compilers write it.
  [[nodiscard]] std::string text() const;
};

/// All findings, one a line, for a test's failure text.
[[nodiscard]] std::string list(std::span<const Finding> findings);

/// Every C++ file, README, CMakeLists.txt and document, and the script ./run, of the tree at
/// `root`, sorted by path. Build trees are left out.
[[nodiscard]] std::vector<SourceFile> read_tree(const std::string& root);

/// The folders that hold the program's own code, lowest floor first.
[[nodiscard]] std::span<const std::string_view> code_folders();

/// The part of `path` before the first '/'; empty for a file at the root.
[[nodiscard]] std::string_view folder_of(std::string_view path);
[[nodiscard]] bool is_cpp(std::string_view path);
/// A C++ file in one of code_folders().
[[nodiscard]] bool is_program_code(std::string_view path);
/// Shell-style: '*' stands for anything, '/' included.
[[nodiscard]] bool matches(std::string_view path, std::string_view pattern);

[[nodiscard]] std::vector<std::string_view> lines_of(std::string_view text);
/// Whether `word` stands in `line` with no letter, digit or underscore beside it.
[[nodiscard]] bool has_word(std::string_view line, std::string_view word);
/// What stands behind "//" in a line of code; empty without one.
[[nodiscard]] std::string_view comment_of(std::string_view line);

}  // namespace lt::tidy

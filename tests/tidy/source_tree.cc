#include "tests/tidy/source_tree.h"

#include <fnmatch.h>
#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace lt::tidy {

namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 9> folders{"base",  "channel", "crypto", "configs", "tunnel",
                                                  "tuner", "mirror", "lab",     "app"};

bool is_word_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

bool is_wanted(const fs::path& path) {
  const std::string name = path.filename().string();
  return is_cpp(name) || name.ends_with(".md") || name == "CMakeLists.txt" || name == "run";
}

std::string slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void read_folder(const fs::path& root, const fs::path& folder, std::vector<SourceFile>& files) {
  if (!fs::is_directory(root / folder)) return;
  for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
    if (!entry.is_regular_file() || !is_wanted(entry.path())) continue;
    files.push_back({fs::relative(entry.path(), root).generic_string(), slurp(entry.path())});
  }
}

}  // namespace

std::string Finding::text() const {
  return path + (line == 0 ? "" : ":" + std::to_string(line)) + ": " + what;
}

std::string list(std::span<const Finding> findings) {
  std::string text;
  for (const Finding& finding : findings)
    text += finding.text() + "\n";
  return text;
}

std::vector<SourceFile> read_tree(const std::string& root) {
  std::vector<SourceFile> files;
  for (const std::string_view folder : folders)
    read_folder(root, folder, files);
  for (const char* folder : {"tests", "docs", "cmake"})
    read_folder(root, folder, files);
  for (const auto& entry : fs::directory_iterator(root)) {
    if (!entry.is_regular_file() || !is_wanted(entry.path())) continue;
    files.push_back({entry.path().filename().string(), slurp(entry.path())});
  }
  std::sort(files.begin(), files.end(),
            [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
  return files;
}

std::span<const std::string_view> code_folders() {
  return folders;
}

std::string_view folder_of(std::string_view path) {
  const std::size_t slash = path.find('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

bool is_cpp(std::string_view path) {
  return path.ends_with(".h") || path.ends_with(".cc");
}

bool is_program_code(std::string_view path) {
  return is_cpp(path) &&
         std::find(folders.begin(), folders.end(), folder_of(path)) != folders.end();
}

bool matches(std::string_view path, std::string_view pattern) {
  return fnmatch(std::string(pattern).c_str(), std::string(path).c_str(), 0) == 0;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

bool has_word(std::string_view line, std::string_view word) {
  for (std::size_t at = line.find(word); at != std::string_view::npos;
       at = line.find(word, at + 1)) {
    const bool begins =
        at == 0 || !is_word_character(line[at - 1]) || !is_word_character(word.front());
    const std::size_t end = at + word.size();
    const bool ends =
        end == line.size() || !is_word_character(line[end]) || !is_word_character(word.back());
    if (begins && ends) return true;
  }
  return false;
}

std::string_view comment_of(std::string_view line) {
  const std::size_t at = line.find("//");
  return at == std::string_view::npos ? std::string_view() : line.substr(at + 2);
}

}  // namespace lt::tidy

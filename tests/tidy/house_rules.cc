#include "tests/tidy/house_rules.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <set>
#include <sstream>

namespace lt::tidy {

namespace {

// --- words in code ---

struct Rule {
  std::string_view word;  // as it stands in a line; with '(' or '_': outside of comments
  std::vector<std::string_view> where;    // shell-style; a file must match one
  std::vector<std::string_view> allowed;  // where it may stand nevertheless
  std::string_view cure;
};

const std::vector<std::string_view>& everywhere() {
  static const std::vector<std::string_view> patterns{"*"};
  return patterns;
}

const std::vector<Rule>& rules() {
  static const std::vector<std::string_view> program{"base/*",  "crypto/*", "configs/*", "tunnel/*",
                                                     "tuner/*", "mirror/*", "lab/*",     "app/*",
                                                     "channel/*"};
  static const std::vector<std::string_view> libraries{
      "base/*", "channel/*", "crypto/*", "configs/*", "tunnel/*", "tuner/*", "mirror/*", "lab/*"};
  static const std::vector<std::string_view> writers{"base/assert.cc", "base/log.cc"};
  static const std::vector<std::string_view> quick_tests{
      "tests/base/*", "tests/crypto/*", "tests/configs/*", "tests/tunnel/*", "tests/tuner/*"};
  static const std::vector<std::string_view> timeless{"base/*", "crypto/*", "tunnel/*", "app/daemon*", "app/keeper*", "app/route_guard*"};
  static const std::vector<Rule> table{
      {"Manager", everywhere(), {}, "say what it does, not that it manages"},
      {"catch (...)", program, {"app/main.cc"}, "only main catches everything"},
      {"catch(...)", program, {"app/main.cc"}, "only main catches everything"},
      {"TODO", everywhere(), {}, "do it, or open an issue"},
      {"FIXME", everywhere(), {}, "do it, or open an issue"},
      {"using namespace std;", everywhere(), {}, "name what you use"},
      {"std::cout", libraries, writers, "libraries return, app shows"},
      {"std::cerr", libraries, writers, "libraries return, app shows"},
      {"printf(", libraries, writers, "libraries return, app shows"},
      {"std::system(", everywhere(), {}, "children are started by base/process.h, without a shell"},
      {"popen(", everywhere(), {}, "children are started by base/process.h, without a shell"},
      {"execvp(", program, {"base/process.cc"}, "children are started by base/process.h"},
      {"memcmp(",
       {"crypto/*", "tunnel/handshake*", "tunnel/knock*"},
       {},
       "compare secrets in constant time"},
      {"SO_SNDBUF",
       program,
       {"tuner/iperf3_streams.cc"},  // what a client of iperf3 may ask for
       "a fixed buffer turns autotuning off (docs/adr/0002-tcp-as-carrier.md)"},
      {"SO_RCVBUF",
       program,
       {"tuner/iperf3_streams.cc"},  // what a client of iperf3 may ask for
       "a fixed buffer turns autotuning off (docs/adr/0002-tcp-as-carrier.md)"},
      {"sleep_for(", quick_tests, {}, "wait for the event"},
      {"usleep(", quick_tests, {}, "wait for the event"},
      {"system_clock", timeless, {}, "the wall clock may jump ten years: use the steady one"},
      {"gettimeofday(", timeless, {}, "the wall clock may jump ten years: use the steady one"},
      {"CLOCK_REALTIME", timeless, {}, "the wall clock may jump ten years: use the steady one"},
  };
  return table;
}

bool matches_any(std::string_view path, std::span<const std::string_view> patterns) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](std::string_view pattern) { return matches(path, pattern); });
}

bool stands_in(std::string_view line, const Rule& rule) {
  if (rule.word.find_first_of("(_") != std::string_view::npos)
    return has_word(line.substr(0, line.find("//")), rule.word);
  return rule.word == "Manager" ? line.find(rule.word) != std::string_view::npos
                                : has_word(line, rule.word);
}

bool is_banned_name(std::string_view path) {
  static const std::set<std::string_view> banned{"util",   "utils", "helper", "helpers",
                                                 "common", "misc",  "manager"};
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return banned.contains(name.substr(0, name.rfind('.')));
}

void check_header(const SourceFile& file, std::vector<Finding>& findings) {
  const auto lines = lines_of(file.text);
  if (lines.empty() || !lines.front().starts_with("//")) {
    findings.push_back({file.path, 1, "a header begins with a comment that says what it is for"});
  }
  if (std::find(lines.begin(), lines.end(), "#pragma once") == lines.end()) {
    findings.push_back({file.path, 1, "#pragma once is missing"});
  }
}

// --- paths in documents ---

// The texts between backticks of one line.
std::vector<std::string_view> backticked(std::string_view line) {
  std::vector<std::string_view> found;
  while (true) {
    const std::size_t open = line.find('`');
    if (open == std::string_view::npos) return found;
    const std::size_t close = line.find('`', open + 1);
    if (close == std::string_view::npos) return found;
    found.push_back(line.substr(open + 1, close - open - 1));
    line.remove_prefix(close + 1);
  }
}

bool is_plain_path(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '/' ||
           c == '-';
  });
}

// Files, and the folders they are in, with '/' at the end.
std::set<std::string> paths_of(std::span<const SourceFile> files) {
  std::set<std::string> paths;
  for (const SourceFile& file : files) {
    paths.insert(file.path);
    for (std::size_t slash = file.path.find('/'); slash != std::string::npos;
         slash = file.path.find('/', slash + 1)) {
      paths.insert(file.path.substr(0, slash + 1));
    }
  }
  return paths;
}

bool is_checked_kind(std::string_view path) {
  return is_cpp(path) || path.ends_with(".md") || path.ends_with('/');
}

// --- decision records ---

constexpr std::string_view records_folder = "docs/adr/";
constexpr std::string_view records_list = "docs/adr/README.md";
constexpr std::array<std::string_view, 7> record_sections{"Status",
                                                          "Context",
                                                          "Decision",
                                                          "Alternatives",
                                                          "Consequences",
                                                          "Evidence",
                                                          "What would change our mind"};

bool is_record(std::string_view path) {
  return path.starts_with(records_folder) && path != records_list && path.ends_with(".md");
}

// --- references ---

constexpr std::string_view references_path = "docs/REFERENCES.md";
constexpr std::array<std::string_view, 3> studies{"security.md", "performance.md", "statistics.md"};

// "security.md D9" for the row D9 below the heading security.md.
std::set<std::string> reference_rows(std::string_view text) {
  std::set<std::string> rows;
  std::string study;
  for (const std::string_view line : lines_of(text)) {
    if (line.starts_with("## ")) study = line.substr(3);
    if (!line.starts_with("| ") || study.empty()) continue;
    rows.insert(study + " " + std::string(line.substr(2, line.find(' ', 2) - 2)));
  }
  return rows;
}

// The name of a row at the beginning of `text`: D9, B-13, P2, 11, 5.2. Empty without one.
std::string_view row_name(std::string_view text) {
  const auto is_digit = [&](std::size_t at) {
    return at < text.size() && text[at] >= '0' && text[at] <= '9';
  };
  std::size_t end = 0;
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'P') {
    end = is_digit(1) ? 1 : 2;
    if (end == 2 && !(text.size() > 1 && text[1] == '-')) return {};
  }
  if (!is_digit(end)) return {};
  while (is_digit(end))
    ++end;
  if (end < text.size() && text[end] == '.' && is_digit(end + 1)) {
    do
      ++end;
    while (is_digit(end));
  }
  return text.substr(0, end);
}

// What `line` cites: each row that stands behind the name of a study, "D9, B-13..B-15 and P2"
// alike.
// A name at the end of a line goes on in the comment of the `next` one.
std::vector<std::string> citations_of(std::string_view line, std::string_view next) {
  std::vector<std::string> citations;
  for (const std::string_view study : studies) {
    const std::size_t at = line.find(study);
    if (at == std::string_view::npos) continue;
    std::string_view rest = line.substr(at + study.size());
    if (rest.empty()) {
      rest = comment_of(next);
      if (rest.starts_with('/')) rest.remove_prefix(1);
    }
    rest.remove_prefix(std::min<std::size_t>(1, rest.size()));
    for (std::string_view row = row_name(rest); !row.empty(); row = row_name(rest)) {
      citations.push_back(std::string(study) + " " + std::string(row));
      rest.remove_prefix(row.size());
      for (const std::string_view separator : {", ", "..", " and "}) {
        if (rest.starts_with(separator)) {
          rest.remove_prefix(separator.size());
          break;
        }
      }
    }
    if (citations.empty()) citations.emplace_back(study);
  }
  return citations;
}

// --- packages ---

constexpr std::string_view packages_path = "docs/adr/0014-packages.md";

// Words of the shell lists NAME_packages=( ... ) of ./run.
std::set<std::string> installed_packages(std::string_view run) {
  std::set<std::string> packages;
  bool is_inside = false;
  for (std::string_view line : lines_of(run)) {
    const std::size_t opening = line.find("_packages=(");
    if (opening != std::string_view::npos) {
      is_inside = true;
      line.remove_prefix(opening + std::string_view("_packages=(").size());
    }
    if (!is_inside) continue;
    const std::size_t end = line.find(')');
    std::istringstream words{std::string(line.substr(0, end))};
    for (std::string word; words >> word;)
      packages.insert(word);
    is_inside = end == std::string_view::npos;
  }
  return packages;
}

// The first cells of the page's table.
std::set<std::string> listed_packages(std::string_view page) {
  std::set<std::string> packages;
  for (const std::string_view line : lines_of(page)) {
    if (!line.starts_with("| ") || line.starts_with("| package ")) continue;
    packages.emplace(line.substr(2, line.find(' ', 2) - 2));
  }
  return packages;
}

}  // namespace

std::vector<Finding> check_code_words(std::span<const SourceFile> files) {
  std::vector<Finding> findings;
  for (const SourceFile& file : files) {
    if (!is_cpp(file.path) || matches(file.path, "tests/tidy/*")) continue;
    if (is_banned_name(file.path))
      findings.push_back({file.path, 0, "name the file after what it holds"});
    if (file.path.ends_with(".h")) check_header(file, findings);
    const auto lines = lines_of(file.text);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      for (const Rule& rule : rules()) {
        if (!matches_any(file.path, rule.where) || matches_any(file.path, rule.allowed)) continue;
        if (stands_in(lines[i], rule))
          findings.push_back(
              {file.path, i + 1, "'" + std::string(rule.word) + "': " + std::string(rule.cure)});
      }
    }
  }
  return findings;
}

std::vector<Finding> check_test_names(std::span<const SourceFile> files) {
  std::vector<Finding> findings;
  for (const SourceFile& file : files) {
    if (!is_cpp(file.path) || !file.path.starts_with("tests/") || file.path == "tests/tidy/house_rules.cc") continue;
    const std::string_view text = file.text;
    constexpr std::string_view opening = "TEST_CASE(";
    for (auto at = text.find(opening); at != text.npos; at = text.find(opening, at + 1)) {
      const auto begin = text.find_first_not_of(" \n", at + opening.size());
      if (begin == text.npos || text[begin] != '"') continue;
      const auto name = text.substr(begin + 1, text.find('"', begin + 1) - begin - 1);
      const auto line = static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
      if (name.find(';') != name.npos) findings.push_back({file.path, line + 1, "a semicolon hides this test from CTest: write a comma"});
    }
  }
  return findings;
}

std::vector<Finding> check_type_names(std::span<const SourceFile> files) {
  std::vector<Finding> findings;
  std::map<std::string, std::string> first;  // folder and name -> where it is defined
  for (const SourceFile& file : files) {
    if (!is_program_code(file.path) || !file.path.ends_with(".h")) continue;
    std::size_t number = 0;
    for (const std::string_view line : lines_of(file.text)) {
      ++number;
      std::string_view rest = line;
      bool is_type = false;
      for (const std::string_view word : {"enum ", "class ", "struct "}) {
        if (!rest.starts_with(word)) continue;
        rest.remove_prefix(word.size());
        is_type = true;
      }
      if (!is_type || line.find('{') == line.npos) continue;
      const auto end = std::min(rest.find_first_of(" :{<"), rest.size());
      if (rest.substr(end).starts_with("::")) continue;  // the body of what another header declares inside its type
      const std::string name(rest.substr(0, end));
      const auto [known, is_new] = first.emplace(std::string(folder_of(file.path)) + " " + name, file.path);
      if (!is_new && known->second != file.path) findings.push_back({file.path, number, name + " is a type of " + known->second + ", too: two types need two names"});
    }
  }
  return findings;
}

std::vector<Finding> check_readmes(std::span<const SourceFile> files) {
  const std::set<std::string> paths = paths_of(files);
  std::vector<Finding> findings;
  for (const std::string_view folder : code_folders()) {
    const std::string prefix = std::string(folder) + "/";
    const bool has_code = std::any_of(files.begin(), files.end(), [&](const SourceFile& file) {
      return is_program_code(file.path) && folder_of(file.path) == folder;
    });
    if (has_code && !paths.contains(prefix + "README.md")) {
      findings.push_back({prefix + "README.md", 0,
                          "is missing: role, files in reading order, what may not happen here"});
    }
  }
  for (const SourceFile& file : files) {
    if (!file.path.ends_with("/README.md") || file.path.starts_with("docs/")) continue;
    const std::string folder = file.path.substr(0, file.path.rfind('/') + 1);
    const auto lines = lines_of(file.text);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      for (const std::string_view word : backticked(lines[i])) {
        if (!is_cpp(word) || word.starts_with('.') || !is_plain_path(word) ||
            word.find('/') != std::string_view::npos)
          continue;
        if (!paths.contains(folder + std::string(word))) {
          findings.push_back(
              {file.path, i + 1, "names '" + std::string(word) + "', which is not in this folder"});
        }
      }
    }
  }
  return findings;
}

std::vector<Finding> check_document_paths(std::span<const SourceFile> files) {
  const std::set<std::string> paths = paths_of(files);
  std::vector<Finding> findings;
  for (const SourceFile& file : files) {
    if (!file.path.ends_with(".md")) continue;
    const auto lines = lines_of(file.text);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      for (const std::string_view word : backticked(lines[i])) {
        const std::string_view folder = folder_of(word);
        const bool is_ours = paths.contains(std::string(folder) + "/") && is_plain_path(word) &&
                             is_checked_kind(word);
        if (folder.empty() || !is_ours || paths.contains(std::string(word))) continue;
        findings.push_back(
            {file.path, i + 1, "names '" + std::string(word) + "', which does not exist"});
      }
    }
  }
  return findings;
}

std::vector<Finding> check_decision_records(std::span<const SourceFile> files) {
  std::vector<Finding> findings;
  const auto list_file = std::find_if(
      files.begin(), files.end(), [](const SourceFile& file) { return file.path == records_list; });
  const std::string_view listed =
      list_file == files.end() ? std::string_view() : std::string_view(list_file->text);
  std::string last;  // gaps are for records that are being written elsewhere
  for (const SourceFile& file : files) {
    if (!is_record(file.path)) continue;
    const std::string name = file.path.substr(records_folder.size());
    const std::string number = name.substr(0, 5);
    const bool is_number = number.find_first_not_of("0123456789") == 4 && number.ends_with('-');
    if (!is_number) findings.push_back({file.path, 0, "its name does not begin with a number of four digits"});
    if (number == last) findings.push_back({file.path, 0, "has the number of another record"});
    last = number;
    if (listed.find("(" + name + ")") == std::string_view::npos) {
      findings.push_back({file.path, 0, "is not listed in " + std::string(records_list)});
    }
    for (const std::string_view section : record_sections) {
      if (file.text.find("\n## " + std::string(section) + "\n") == std::string::npos) {
        findings.push_back({file.path, 0, "lacks the section '" + std::string(section) + "'"});
      }
    }
  }
  const auto lines = lines_of(listed);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::size_t open = lines[i].find("](");
    if (open == std::string_view::npos) continue;
    const std::string target(lines[i].substr(open + 2, lines[i].find(')', open) - open - 2));
    const bool exists = std::any_of(files.begin(), files.end(), [&](const SourceFile& file) {
      return file.path == std::string(records_folder) + target;
    });
    if (!exists)
      findings.push_back(
          {std::string(records_list), i + 1, "lists '" + target + "', which does not exist"});
  }
  return findings;
}

std::vector<Finding> check_references(std::span<const SourceFile> files) {
  const auto page = std::find_if(files.begin(), files.end(), [](const SourceFile& file) {
    return file.path == references_path;
  });
  const std::set<std::string> rows =
      page == files.end() ? std::set<std::string>() : reference_rows(page->text);
  std::vector<Finding> findings;
  for (const SourceFile& file : files) {
    if (!is_cpp(file.path) || matches(file.path, "tests/tidy/*")) continue;
    const auto lines = lines_of(file.text);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      for (const std::string& citation :
           citations_of(lines[i], i + 1 < lines.size() ? lines[i + 1] : std::string_view())) {
        if (!rows.contains(citation))
          findings.push_back(
              {file.path, i + 1,
               "cites '" + citation + "', which is no row of " + std::string(references_path)});
      }
    }
  }
  return findings;
}

std::vector<Finding> check_packages(std::span<const SourceFile> files) {
  std::set<std::string> installed;
  std::set<std::string> listed;
  for (const SourceFile& file : files) {
    if (file.path == "run") installed = installed_packages(file.text);
    if (file.path == packages_path) listed = listed_packages(file.text);
  }
  std::vector<Finding> findings;
  if (installed.empty())
    findings.push_back({"run", 0, "installs no packages, as far as can be read"});
  for (const std::string& package : installed) {
    if (!listed.contains(package))
      findings.push_back(
          {"run", 0, "installs " + package + ", which is not in " + std::string(packages_path)});
  }
  for (const std::string& package : listed) {
    if (!installed.contains(package))
      findings.push_back(
          {std::string(packages_path), 0, "lists " + package + ", which ./run does not install"});
  }
  return findings;
}

std::vector<Finding> check_glossary(std::span<const SourceFile> files) {
  constexpr std::string_view path = "docs/GLOSSARY.md";
  constexpr std::string_view opening = "- **";
  std::vector<Finding> findings;
  for (const SourceFile& file : files) {
    if (file.path != path) continue;
    std::string previous;
    const auto lines = lines_of(file.text);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (!lines[i].starts_with(opening)) continue;
      std::string word(
          lines[i].substr(opening.size(), lines[i].find("**", opening.size()) - opening.size()));
      std::transform(word.begin(), word.end(), word.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      if (word <= previous)
        findings.push_back({file.path, i + 1,
                            "'" + word + "' does not follow '" + previous + "' in the alphabet"});
      previous = word;
    }
    if (previous.empty()) findings.push_back({file.path, 0, "holds no word"});
  }
  return findings;
}

}  // namespace lt::tidy

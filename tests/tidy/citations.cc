#include "tests/tidy/citations.h"

#include <cctype>
#include <map>
#include <set>

namespace lt::tidy {

namespace {

constexpr std::string_view protocol_path = "docs/PROTOCOL.md";

bool is_letter_or_digit(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0;
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string name_of(unsigned number) {
  return "P-" + std::to_string(number);
}

// P-256 and its like are curves (FIPS 186), not requirements.
bool is_curve(unsigned number) {
  return number == 224 || number == 256 || number == 384 || number == 521;
}

// The numbers n of each P-n in `text`.
std::vector<unsigned> numbers_in(std::string_view text) {
  std::vector<unsigned> numbers;
  for (std::size_t at = text.find("P-"); at != std::string_view::npos;
       at = text.find("P-", at + 1)) {
    if (at > 0 && (is_letter_or_digit(text[at - 1]) || text[at - 1] == '_' || text[at - 1] == '-'))
      continue;
    unsigned number = 0;
    std::size_t end = at + 2;
    while (end < text.size() && is_digit(text[end]) && number < 100'000)
      number = number * 10 + static_cast<unsigned>(text[end++] - '0');
    const bool goes_on = end < text.size() && is_letter_or_digit(text[end]);
    if (end > at + 2 && !goes_on && !is_curve(number)) numbers.push_back(number);
  }
  return numbers;
}

// The tags [P-n] of `line`.
std::vector<unsigned> tags_in(std::string_view line) {
  std::vector<unsigned> numbers;
  for (std::size_t at = line.find("[P-"); at != std::string_view::npos;
       at = line.find("[P-", at + 1)) {
    const std::size_t close = line.find(']', at);
    if (close == std::string_view::npos) break;
    for (const unsigned number : numbers_in(line.substr(at + 1, close - at - 1)))
      numbers.push_back(number);
  }
  return numbers;
}

std::size_t count_of(std::string_view text, std::string_view word) {
  std::size_t count = 0;
  for (std::size_t at = text.find(word); at != std::string_view::npos;
       at = text.find(word, at + word.size()))
    ++count;
  return count;
}

struct Requirement {
  std::size_t line{0};
  bool has_code{false};
  bool has_test{false};
};
using Requirements = std::map<unsigned, Requirement>;

// A requirement is a line "- **P-n** text".
Requirements read_protocol(const SourceFile& protocol, std::vector<Finding>& findings) {
  constexpr std::string_view opening = "- **P-";
  Requirements requirements;
  const auto lines = lines_of(protocol.text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (!lines[i].starts_with(opening)) continue;
    const auto numbers = numbers_in(lines[i].substr(0, lines[i].find("**", opening.size())));
    if (numbers.size() != 1) {
      findings.push_back({protocol.path, i + 1, "a requirement is written '- **P-n** text'"});
      continue;
    }
    if (!requirements.emplace(numbers[0], Requirement{.line = i + 1}).second) {
      findings.push_back({protocol.path, i + 1, name_of(numbers[0]) + " is defined twice"});
    }
    if (count_of(lines[i], "MUST") != 1) {
      findings.push_back(
          {protocol.path, i + 1, name_of(numbers[0]) + " does not hold exactly one MUST"});
    }
  }
  return requirements;
}

void note(const SourceFile& file, Requirements& requirements, std::vector<Finding>& findings) {
  const bool is_test = folder_of(file.path) == "tests";
  const auto lines = lines_of(file.text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto mark = [&](const std::vector<unsigned>& numbers, bool Requirement::*seen) {
      for (const unsigned number : numbers) {
        const auto found = requirements.find(number);
        if (found == requirements.end()) {
          findings.push_back(
              {file.path, i + 1,
               name_of(number) + " is no requirement of " + std::string(protocol_path)});
        } else if (seen != nullptr) {
          found->second.*seen = true;
        }
      }
    };
    if (is_test && is_cpp(file.path)) {
      mark(tags_in(lines[i]), &Requirement::has_test);
      mark(numbers_in(comment_of(lines[i])), nullptr);
    } else if (is_program_code(file.path)) {
      mark(numbers_in(comment_of(lines[i])), &Requirement::has_code);
    } else {
      mark(numbers_in(lines[i]), nullptr);
    }
  }
}

}  // namespace

std::vector<Finding> check_citations(std::span<const SourceFile> files) {
  std::vector<Finding> findings;
  Requirements requirements;
  for (const SourceFile& file : files) {
    if (file.path == protocol_path) requirements = read_protocol(file, findings);
  }
  if (requirements.empty())
    findings.push_back({std::string(protocol_path), 0, "holds no requirement"});
  for (const SourceFile& file : files) {
    if (!matches(file.path, "tests/tidy/*")) note(file, requirements, findings);
  }
  for (const auto& [number, requirement] : requirements) {
    if (!requirement.has_code) {
      findings.push_back({std::string(protocol_path), requirement.line,
                          name_of(number) + " is cited by no code: write // " + name_of(number) +
                              " where it is obeyed"});
    }
    if (!requirement.has_test) {
      findings.push_back(
          {std::string(protocol_path), requirement.line,
           name_of(number) + " is proven by no test: tag one [" + name_of(number) + "]"});
    }
  }
  return findings;
}

}  // namespace lt::tidy

// The shell text of Syncoid: what is read means to a real shell what it means to us. The witness here splits words by
// the quoting rules of POSIX alone, so what we take for one word is one word, and nothing that a shell would expand, run
// or write to gets through.
#include <algorithm>

#include "mirror/command_text.h"
#include "tests/fuzz/fuzz.h"

namespace lt::fuzz {

using namespace mirror;

namespace {

// Quoted so that any shell gives it back: ' becomes '"'"'.
std::string quoted(std::string_view word) {
  std::string text = "'";
  for (const char c : word) {
    if (c == '\'') text += "'\"'\"'";
    else text += c;
  }
  return text + "'";
}

// The command as text again, in our own spelling.
std::string spell(const CommandText& command) {
  std::string text;
  for (const Pipeline& pipeline : command) {
    if (!text.empty()) text += "; ";
    for (std::size_t i = 0; i < pipeline.size(); ++i) {
      const PipelineStage& stage = pipeline[i];
      if (i > 0) text += " | ";
      for (const std::string& word : stage.argv) text += quoted(word) + " ";
      // Errors first where they follow the output to its old place.
      if (stage.errors == OutputTo::next) text += "2>&1 ";
      if (stage.output == OutputTo::nowhere) text += ">/dev/null ";
      if (stage.errors == OutputTo::nowhere) text += "2>/dev/null ";
    }
  }
  return text;
}

// Outside of quotes: only what no shell expands, at any place of a word. Inside of double quotes no expansion.
void expect_harmless(std::string_view text) {
  char quote = 0;
  char before = ' ';
  for (const char c : text) {
    expect(static_cast<unsigned char>(c) >= ' ' && c != 0x7f, "no control character gets through");
    if (quote == '"') expect(c != '$' && c != '`' && c != '\\', "nothing that a shell expands gets through");
    if (quote != 0) {
      if (c == quote) quote = 0;
      before = '"';
      continue;
    }
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    expect(is_letter || std::string_view("-_.,:/=@%+^# ;|>&'\"").find(c) != std::string_view::npos,
           "nothing that a shell expands gets through");
    expect(c != '#' || before != ' ', "no comment gets through");
    expect(c != '&' || before == '>', "no command is put behind another's back");
    if (c == '\'' || c == '"') quote = c;
    before = c;
  }
  expect(quote == 0, "no quote is left open");
}

}  // namespace

void run(ByteView input) {
  const std::string_view text = as_text(input);
  const auto command = parse_command_text(text);
  if (!command) return expect(!command.error().what.empty() && is_showable(command.error().what), "the reason may be shown");
  expect(text.size() <= command_text_bytes_max, "a text is bounded");
  expect(!command->empty() && command->size() <= pipelines_max, "there is at least one command, and not too many");
  std::size_t words = 0;
  for (const Pipeline& pipeline : *command) {
    expect(!pipeline.empty() && pipeline.size() <= stages_max, "a pipeline has at least one stage, and not too many");
    for (const PipelineStage& stage : pipeline) {
      expect(!stage.argv.empty(), "a stage has a program");
      for (const std::string& word : stage.argv) {
        words += word.size();
        expect(word.find('\0') == std::string::npos, "no word hides bytes behind a zero");
      }
    }
  }
  expect(words <= text.size(), "no word is longer than what was said");
  expect_harmless(text);
  const std::string again = spell(*command);
  if (again.size() > command_text_bytes_max) return;
  const auto parsed = parse_command_text(again);
  expect(parsed.has_value(), "a command can be said again");
  expect(*parsed == *command, "a command comes back from its own text");
}

}  // namespace lt::fuzz

#include "mirror/command_text.h"

#include <optional>

#include "base/text.h"

namespace lt::mirror {

namespace {

constexpr std::size_t shown_chars_max = 80;

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// Characters that stand for themselves outside quotes. Whatever the shell may expand, at any place
// of a word, is not among them.
bool is_plain(char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  return std::string_view("-_.,:/=@%+^#").find(c) != std::string_view::npos;
}

tl::unexpected<Error> refuse(std::string_view why, std::string_view at) {
  return fail(Errc::invalid, std::string(why) + " at \"" + printable(at, shown_chars_max) + "\"");
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  Result<CommandText> run() {
    CommandText pipelines;
    for (;;) {
      LT_TRY(auto pipeline, pipeline_of());
      pipelines.push_back(std::move(pipeline));
      if (pipelines.size() > pipelines_max) return fail(Errc::limit, "too many commands in one text");
      if (!take(";")) break;
      skip_blanks();
      if (rest_.empty()) break;
    }
    if (!rest_.empty()) return refuse("a character that is not taken", rest_);
    return pipelines;
  }

 private:
  Result<Pipeline> pipeline_of() {
    Pipeline stages;
    do {
      LT_TRY(auto stage, stage_of());
      stages.push_back(std::move(stage));
      if (stages.size() > stages_max) return fail(Errc::limit, "too many stages in one pipeline");
    } while (take("|"));
    return stages;
  }

  Result<PipelineStage> stage_of() {
    PipelineStage stage;
    for (;;) {
      skip_blanks();
      if (rest_.empty() || rest_.front() == '|' || rest_.front() == ';') break;
      if (take_redirection(stage)) continue;
      LT_TRY(auto word, word_of());
      stage.argv.push_back(std::move(word));
    }
    if (stage.argv.empty()) return refuse("a command is missing", rest_);
    return stage;
  }

  // Redirections take hold in the order in which they stand, as in the shell.
  bool take_redirection(PipelineStage& stage) {
    const std::string_view before = rest_;
    if (take("2>&1")) {
      stage.errors = stage.output;
    } else if (take("2>")) {
      if (!take_null()) return rest_ = before, false;
      stage.errors = OutputTo::nowhere;
    } else if (take("1>") || take(">")) {
      if (!take_null()) return rest_ = before, false;
      stage.output = OutputTo::nowhere;
    } else {
      return false;
    }
    if (at_word_end()) return true;
    rest_ = before;
    return false;
  }

  bool take_null() {
    skip_blanks();
    return take("/dev/null");
  }

  Result<std::string> word_of() {
    const std::string_view begin = rest_;
    if (rest_.front() == '#') return refuse("a comment", rest_);
    std::string word;
    while (!at_word_end()) {
      const char c = rest_.front();
      if (c == '\'' || c == '"') {
        LT_TRY(const std::string_view quoted, quoted_by(c));
        word += quoted;
      } else if (is_plain(c)) {
        word += c;
        rest_.remove_prefix(1);
      } else {
        return refuse("a character that is not taken", rest_);
      }
    }
    // "2>file" is a word followed by a redirection to a file: neither is taken.
    if (!rest_.empty() && (rest_.front() == '>' || rest_.front() == '<')) {
      return refuse("a redirection that is not taken", begin);
    }
    return word;
  }

  Result<std::string_view> quoted_by(char quote) {
    const std::string_view begin = rest_;
    rest_.remove_prefix(1);
    const auto end = rest_.find(quote);
    if (end == std::string_view::npos) return refuse("a quote without its end", begin);
    const std::string_view text = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    for (const char c : text) {
      if (is_control(c)) return refuse("a control character", begin);
      if (quote == '"' && (c == '$' || c == '`' || c == '\\')) return refuse("an expansion", begin);
    }
    return text;
  }

  bool at_word_end() const {
    return rest_.empty() || rest_.front() == ' ' || rest_.front() == '|' || rest_.front() == ';';
  }
  void skip_blanks() {
    while (!rest_.empty() && rest_.front() == ' ')
      rest_.remove_prefix(1);
  }
  bool take(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  std::string_view rest_;
};

}  // namespace

Result<CommandText> parse_command_text(std::string_view text) {
  if (text.size() > command_text_bytes_max) return fail(Errc::limit, "the command is too long");
  return Parser(text).run();
}

}  // namespace lt::mirror

#include "configs/openvpn_text.h"

#include <algorithm>

#include "base/text.h"

namespace lt::configs {

namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

// One line into words; nothing for an empty line or a comment.
class WordCutter {
 public:
  Result<std::vector<std::string>> cut(std::string_view line) {
    for (const char c : line) {
      if (!is_escaped_ && c == '\\' && state_ != State::single_quoted) {
        is_escaped_ = true;
        continue;
      }
      const bool is_comment = take(c);
      if (is_comment) break;
      if (is_escaped_ && c != '\\' && c != '"' && !is_blank(c)) {
        return fail(Errc::invalid,
                    "a backslash stands before what needs none; write \\\\ for one backslash");
      }
      is_escaped_ = false;
    }
    if (is_escaped_) return fail(Errc::invalid, "the line ends in a backslash; take it away");
    if (state_ == State::quoted || state_ == State::single_quoted)
      return fail(Errc::invalid, "a quotation is not closed; close it");
    if (state_ == State::plain) end_word();
    if (words_.size() > openvpn_words_max)
      return fail(Errc::invalid, "more than 16 words on a line; OpenVPN takes no more");
    return std::move(words_);
  }

 private:
  enum class State { between, plain, quoted, single_quoted };

  // @return whether a comment begins here
  bool take(char c) {
    switch (state_) {
      case State::between:
        return begin(c);
      case State::plain:
        if (!is_escaped_ && is_blank(c)) {
          end_word();
        } else {
          word_ += c;
        }
        return false;
      case State::quoted:
        if (!is_escaped_ && c == '"') {
          end_word();
        } else {
          word_ += c;
        }
        return false;
      case State::single_quoted:
        if (c == '\'') {
          end_word();
        } else {
          word_ += c;
        }
        return false;
    }
    return false;
  }

  bool begin(char c) {
    if (is_blank(c) && !is_escaped_) return false;
    if (!is_escaped_ && (c == ';' || c == '#')) return true;
    if (!is_escaped_ && c == '"') {
      state_ = State::quoted;
    } else if (!is_escaped_ && c == '\'') {
      state_ = State::single_quoted;
    } else {
      state_ = State::plain;
      word_ += c;
    }
    return false;
  }

  void end_word() {
    words_.push_back(std::move(word_));
    word_.clear();
    state_ = State::between;
  }

  State state_{State::between};
  bool is_escaped_{false};
  std::string word_;
  std::vector<std::string> words_;
};

// <ca> -> "ca".
std::optional<std::string> block_name(const std::vector<std::string>& words) {
  const std::string& word = words.front();
  if (words.size() != 1 || word.size() < 3 || word.front() != '<' || word.back() != '>')
    return std::nullopt;
  return word.substr(1, word.size() - 2);
}

class TextReader {
 public:
  explicit TextReader(const OpenVpnInclude& include) : include_(include) {}

  Status read(std::string_view text, const std::string& path, std::size_t depth) {
    if (text.size() > openvpn_text_bytes_max)
      return fail(Errc::limit,
                  printable(path, 200) + " is larger than 1 MiB; it is no OpenVPN config");
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    const auto rows = split(text, '\n');
    for (std::size_t at = 0; at < rows.size(); ++at)
      LT_CHECK(read_row(rows, at, path, depth));
    if (connection_)
      return fault(path, rows.size(), "<connection> is not closed; write </connection>");
    return {};
  }
  std::vector<OpenVpnLine> take() { return std::move(lines_); }

 private:
  static tl::unexpected<Error> fault(const std::string& path, std::size_t number,
                                     const std::string& what) {
    return fail(Errc::invalid, printable(path, 200) + ":" + std::to_string(number) + ": " + what);
  }

  // `at` moves on to the last row of what was read.
  Status read_row(const std::vector<std::string_view>& rows, std::size_t& at,
                  const std::string& path, std::size_t depth) {
    const std::size_t number = at + 1;
    if (trim(rows[at]).size() > openvpn_line_bytes_max)
      return fault(path, number, "longer than 255 bytes, which OpenVPN refuses; make it shorter");
    auto words = WordCutter().cut(rows[at]);
    if (!words) return fault(path, number, words.error().what);
    if (words->empty()) return {};
    if (++count_ > openvpn_lines_max)
      return fail(Errc::limit, printable(path, 200) + " has more lines than any OpenVPN config");
    if (const auto name = block_name(*words)) return read_block(*name, rows, at, path);
    OpenVpnLine line{path, number, std::move(*words), false, connection_};
    std::string& option = line.words.front();
    if (option.size() >= 3 && option.starts_with("--")) option.erase(0, 2);
    if (option == "config" && line.words.size() == 2) return read_included(line, depth);
    lines_.push_back(std::move(line));
    return {};
  }

  Status read_block(const std::string& name, const std::vector<std::string_view>& rows,
                    std::size_t& at, const std::string& path) {
    const std::size_t number = at + 1;
    if (name == "connection" || name == "/connection") return read_connection(name, path, number);
    const std::string end = "</" + name + ">";
    for (++at; at < rows.size(); ++at) {
      if (!trim(rows[at]).starts_with(end)) continue;
      lines_.push_back({path, number, {name}, true, connection_});
      return {};
    }
    return fault(path, number,
                 "<" + printable(name, 40) + "> is not closed; write " + printable(end, 40) +
                     " behind its content");
  }

  Status read_connection(const std::string& name, const std::string& path, std::size_t number) {
    const bool begins = name == "connection";
    if (begins == connection_.has_value())
      return fault(path, number,
                   begins ? "a <connection> inside another; close the first one"
                          : "</connection> closes nothing; take it away");
    connection_ = begins ? std::optional(connections_++) : std::nullopt;
    return {};
  }

  Status read_included(const OpenVpnLine& line, std::size_t depth) {
    if (depth + 1 >= openvpn_include_depth_max)
      return fault(line.file, line.number,
                   "files include each other more than 10 deep; take the circle out");
    const auto text = include_(line.words[1]);
    if (!text)
      return fail(with_context(text.error(),
                               printable(line.file, 200) + ":" + std::to_string(line.number)));
    return read(*text, line.words[1], depth + 1);
  }

  const OpenVpnInclude& include_;
  std::vector<OpenVpnLine> lines_;
  std::size_t count_{0};
  std::size_t connections_{0};
  std::optional<std::size_t> connection_;
};

}  // namespace

Result<std::vector<OpenVpnLine>> parse_openvpn_text(std::string_view text, const std::string& path,
                                                    const OpenVpnInclude& include) {
  TextReader reader(include);
  LT_CHECK(reader.read(text, path, 0));
  return reader.take();
}

}  // namespace lt::configs

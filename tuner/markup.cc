#include "tuner/markup.h"

#include <cstdint>

namespace lt::tuner {

namespace {

constexpr char32_t replacement = 0xFFFD;
constexpr std::string_view replacement_text = "\xEF\xBF\xBD";

struct Letter {
  char32_t value{replacement};
  std::size_t bytes{1};  // of the text that it took
};

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

// The letter that `text` begins with; a byte that begins none is one replacement.
// @source RFC 3629: the shortest form only, no surrogates, nothing above U+10FFFF
// @pre text is not empty
Letter first_letter(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {lead, 1};
  const std::size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return {};
  char32_t value = lead & (0x7FU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if (!is_continuation(text[i])) return {};
    value = (value << 6U) | (static_cast<unsigned char>(text[i]) & 0x3FU);
  }
  constexpr char32_t shortest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value < shortest[bytes] || value > 0x10FFFF || is_surrogate) return {};
  return {value, bytes};
}

bool is_unfit(char32_t letter) {
  if (letter == '\n' || letter == '\t') return false;
  const bool is_control = letter < 0x20 || (letter >= 0x7F && letter < 0xA0);
  const bool turns_direction = (letter >= 0x202A && letter <= 0x202E) ||
                               (letter >= 0x2066 && letter <= 0x2069) || letter == 0x200E ||
                               letter == 0x200F || letter == 0x061C;
  return is_control || turns_direction || letter == 0xFFFE || letter == 0xFFFF;
}

std::string_view reference_of(char32_t letter) {
  switch (letter) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return {};
  }
}

double width_em(char32_t letter) {
  constexpr std::string_view thin = " ijlI.,:;|!'()[]ft/-r";
  constexpr std::string_view broad = "mwMW@%";
  if (letter >= 0x1100) return letter >= 0x2000 && letter <= 0x2BFF ? 0.8 : 1.1;
  if (letter >= 0x80) return 0.7;
  const char c = static_cast<char>(letter);
  if (thin.find(c) != std::string_view::npos) return 0.41;
  if (broad.find(c) != std::string_view::npos) return 0.98;
  if (c >= 'A' && c <= 'Z') return 0.74;
  return 0.63;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  while (!text.empty()) {
    const Letter letter = first_letter(text);
    const std::string_view reference = reference_of(letter.value);
    if (!reference.empty()) {
      safe += reference;
    } else if (letter.value == replacement || is_unfit(letter.value)) {
      safe += replacement_text;
    } else {
      safe += text.substr(0, letter.bytes);
    }
    text.remove_prefix(letter.bytes);
  }
  return safe;
}

std::string shortened(std::string_view text, std::size_t characters_max) {
  std::size_t bytes = 0;
  std::size_t bytes_but_one =
      0;  // of all but the last character that fits: the ellipsis takes its place
  for (std::size_t characters = 0; bytes < text.size(); ++characters) {
    if (characters == characters_max) return std::string(text.substr(0, bytes_but_one)) + "\u2026";
    bytes_but_one = bytes;
    bytes += first_letter(text.substr(bytes)).bytes;
  }
  return std::string(text);
}

double text_width_em(std::string_view text) {
  double width = 0;
  while (!text.empty()) {
    const Letter letter = first_letter(text);
    width += width_em(letter.value);
    text.remove_prefix(letter.bytes);
  }
  return width;
}

}  // namespace lt::tuner

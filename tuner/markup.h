// Text that goes into a page: made safe first. What an arm is called, what a peer said, what an
// error tells may hold anything; markup it is never.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lt::tuner {

/// `text` as it may stand between tags and inside a quoted attribute, of HTML and of SVG: the five
/// characters of markup as references; control characters, marks that turn the direction of
/// writing, and bytes that are not UTF-8 as U+FFFD.
/// @source XML 1.0 section 2.2 (which characters there are), Unicode 14 section 23.2 (bidi marks)
[[nodiscard]] std::string escaped(std::string_view text);

/// At most `characters_max` characters of it, an ellipsis in the place of what was left out. Not
/// escaped yet.
[[nodiscard]] std::string shortened(std::string_view text, std::size_t characters_max);

/// About how wide a sans-serif font sets it. Errs on the wide side, so that what is laid out by it
/// does not overlap. (unit: em)
/// @source advance widths of DejaVu Sans, the widest of the usual system fonts, by class of letter
[[nodiscard]] double text_width_em(std::string_view text);

}  // namespace lt::tuner

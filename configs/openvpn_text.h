// The text of an OpenVPN config as OpenVPN itself cuts it into words: quotes, backslashes,
// comments, blocks of inline files, <connection> blocks and included files.
//
// What stands in a block of an inline file (keys, certificates, passwords) is skipped, never kept.
// @source OpenVPN 2.6.14: options.c, parse_line, check_inline_file, read_config_file
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lt::configs {

inline constexpr std::size_t openvpn_text_bytes_max = 1U << 20;
inline constexpr std::size_t openvpn_line_bytes_max = 255;  // OPTION_LINE_SIZE less its final zero
inline constexpr std::size_t openvpn_words_max = 16;        // MAX_PARMS
inline constexpr std::size_t openvpn_include_depth_max = 10;
inline constexpr std::size_t openvpn_lines_max = 5'000;  // ours: of a file and all it includes

struct OpenVpnLine {
  std::string file;
  std::size_t number{0};                    // of the line, from 1
  std::vector<std::string> words;           // the option first, without leading dashes; never empty
  bool is_inline{false};                    // its content stands in a block behind it
  std::optional<std::size_t> connection{};  // of which <connection> block, from 0

  [[nodiscard]] const std::string& option() const { return words.front(); }
  /// The option's parameter, from 1; empty when there are not so many.
  [[nodiscard]] std::string_view word(std::size_t place) const {
    return place < words.size() ? std::string_view(words[place]) : std::string_view();
  }
};

/// Gives the text of a file that a `config` line names. @error any: why it cannot
using OpenVpnInclude = std::function<Result<std::string>(const std::string& path)>;

/// @error invalid: `path:line: ...` with what to write instead · limit: larger than the above
///        · what `include` says
[[nodiscard]] Result<std::vector<OpenVpnLine>> parse_openvpn_text(std::string_view text,
                                                                  const std::string& path,
                                                                  const OpenVpnInclude& include);

}  // namespace lt::configs

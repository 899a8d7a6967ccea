// CommandText: the shell text that Syncoid hands to the far side, as what it means: pipelines of
// argument vectors with their redirections. Or a refusal: nothing here guesses, and no shell is ever
// asked.
//
// The grammar is the part of the POSIX shell that Syncoid 2.1 to 2.3 writes (its escapeshellparam,
// buildsynccmd, pruneoldsyncsnaps):
//
//     text     = pipeline { ";" pipeline } [ ";" ]
//     pipeline = stage { "|" stage }
//     stage    = word { word | redirection }
//     word     = { plain characters | 'anything but a quote' | "anything but a quote, $, ` or \" }
//     redirection = ">/dev/null" | "1>/dev/null" | "2>/dev/null" | "2>&1"
//
// Everything else of the shell is refused: expansion of any kind, comments, backslashes, other
// files, background jobs, groups, control characters.
// @source POSIX.1-2017 XCU 2.2 (quoting), 2.7 (redirection); syncoid 2.1.0 lines 1247-1323
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/process.h"
#include "base/result.h"

namespace lt::mirror {

inline constexpr std::size_t command_text_bytes_max = 64 << 10;
inline constexpr std::size_t stages_max = 8;      // Syncoid's longest has three
inline constexpr std::size_t pipelines_max = 32;  // it prunes eleven snapshots with one text

/// Where one of a stage's two outputs goes.
enum class OutputTo : std::uint8_t {
  next,     // to the next stage, or to the asker's standard output
  errors,   // to the asker's standard error
  nowhere,  // /dev/null
};

struct PipelineStage {
  Argv argv;
  OutputTo output{OutputTo::next};
  OutputTo errors{OutputTo::errors};

  friend bool operator==(const PipelineStage&, const PipelineStage&) = default;
};

/// Stages run at once, each reading what the one before it writes.
using Pipeline = std::vector<PipelineStage>;
/// Pipelines run one after another; the last one's last stage gives the exit status.
using CommandText = std::vector<Pipeline>;

/// @error invalid: the text says something that is not in the grammar above
/// @error limit: it is too long
[[nodiscard]] Result<CommandText> parse_command_text(std::string_view text);

}  // namespace lt::mirror

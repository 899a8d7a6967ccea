// linktune lab grid: is what a sweep chooses as good as the best that an exhaustive grid finds, and how much sooner?
//
// For one profile of the lab at a time, each part with a journal of its own in one folder, so that it can be interrupted
// anywhere and goes on when the same command is given again:
//   NAME.sweep.jsonl   the sweep, as an owner would run it
//   NAME.grid.jsonl    every arm of the space, in interleaved blocks (tuner/grid.h)
//   NAME.duel.jsonl    the sweep's choice against the best of the grid, in fresh blocks
//   NAME.json          what came of it
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "app/outcome.h"

namespace lt::app {

struct GridCommand {
  std::string profile;                      // of the lab; empty: measure nothing, report the folder
  std::vector<std::string> lab_words;       // over the profile's
  std::string name;                         // of the files; empty: the profile
  std::string folder{"linktune-grid"};
  std::string goal{"throughput"};
  std::string budget{"12m"};                // of the sweep
  unsigned seconds{2};                      // measured each way, by sweep, grid and duel
  unsigned omit_seconds{1};
  unsigned blocks{3};                       // of the grid
  unsigned duel_blocks{8};
  bool is_whole{false};                     // the grid holds what is one knob away from each arm, too
  bool with_native{true};
  bool with_openvpn{true};
  std::uint64_t seed{1};
};

/// @error interrupted: the same command goes on · invalid: an option, or a journal of another program
[[nodiscard]] Result<Outcome> run_grid(const GridCommand& command, const std::stop_token& stop);

}  // namespace lt::app

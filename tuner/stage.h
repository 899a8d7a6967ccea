// Stages of a sweep, and the block: one randomised pass over the arms that are still in the running.
//
// What a block consists of is written to the journal before its first unit, so a report needs the
// journal alone, and not the rules that once chose the block.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/units.h"

namespace lt::tuner {

/// In the order they are walked. `ranking` is the whole of a sweep in one stage; `recheck` comes
/// when a sweep is resumed.
enum class Stage : std::uint8_t { ranking, calibration, search, screen, confirmation, recheck };

[[nodiscard]] std::string_view name_of(Stage stage);
[[nodiscard]] std::optional<Stage> stage_from_name(std::string_view name);

struct PlannedUnit {
  std::size_t arm{0};   // place in SweepHeader::arms
  bool is_sham{false};  // measured again on the start of the unit before it, without a restart

  friend bool operator==(const PlannedUnit&, const PlannedUnit&) = default;
};

struct Block {
  std::size_t number{0};  // counts all blocks of a sweep, from 0
  Stage stage{Stage::ranking};
  std::size_t round{0};       // within the stage, from 0
  std::size_t planned{1};     // blocks that this round is to have; the first of them settles it
  std::size_t epoch{0};       // blocks of different epochs are never pooled as if they were one
  Milliseconds duration{0};   // of each test; 0: the plan's
  Milliseconds omit{0};       // likewise
  Milliseconds idle{0};       // likewise
  std::vector<PlannedUnit> units{};  // in the order of their trials
};

}  // namespace lt::tuner

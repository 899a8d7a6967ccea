// Calibration: how far the same settings differ from themselves, before any settings are compared.
//
// The present settings are started afresh and measured, and measured again on the same start (the
// sham), with the bare line in each block. From that: how noisy one measurement is, what a fresh
// start adds, what the line does by itself; and so how many samples a start deserves, how long each
// must be, and which difference the budget can show at all. @source statistics.md 2, 9
#pragma once

#include <optional>
#include <string>

#include "base/units.h"

namespace lt::tuner {

struct Calibration {
  std::size_t starts{0};
  std::size_t shams{0};
  double sigma{0};  // deviation of log goodput between measurements of one start
  double tau{0};    // added by a fresh start; 0: none to be seen
  double drift{0};  // of the bare line between blocks
  Milliseconds start_time{0};      // of one start and its end, without measuring
  Milliseconds sample_time{0};     // of one measurement
  std::size_t samples_per_start{1};  // K
  Milliseconds duration{0};        // T: measured each way
  std::size_t blocks{0};           // of the confirmation that the budget holds
  double detectable{0};            // relative difference that they show with 80 % power; 0: not known
  Milliseconds eta{0};             // of the whole sweep, from its beginning
  std::string sentence{};          // for people
};

}  // namespace lt::tuner

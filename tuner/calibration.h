// Calibration: how far the same settings differ from themselves, before any settings are compared.
//
// The present settings are started afresh and measured, and measured again on the same start (the
// sham), with the bare line in each block. From that: how noisy one measurement is, what a fresh
// start adds, what the line does by itself; and so how many samples a start deserves, how long each
// must be, and which difference the budget can show at all. @source statistics.md 2, 9
#pragma once

#include <string>

#include "tuner/evidence.h"

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

inline constexpr std::size_t calibration_blocks = 3;
inline constexpr std::size_t samples_per_start_max = 4;
inline constexpr Milliseconds sample_duration_max{10'000};
inline constexpr double power = 0.80;
/// Deviation of one measurement where calibration could not see any. @source statistics.md 2.3
inline constexpr double deviation_guess = 0.10;

/// K = ceil(sqrt(start / sample * sigma^2 / tau^2)), 1 to samples_per_start_max; the most when tau
/// is 0. @source statistics.md 2.2
[[nodiscard]] std::size_t samples_per_start(double start_seconds, double sample_seconds, double sigma,
                                            double tau);

/// From the calibration blocks of the evidence; with guesses where there are none.
/// @pre header.question
[[nodiscard]] Calibration calibrate(const Evidence& evidence);

/// Deviation of the log difference of two arms in one block, K samples on each start.
[[nodiscard]] double difference_deviation(const Calibration& calibration, std::size_t samples);

/// How long one arm takes in a block: a start and `samples` measurements of `duration` each way.
[[nodiscard]] Milliseconds time_of_arm(const Calibration& calibration, const TrialPlan& plan,
                                       std::size_t samples);

}  // namespace lt::tuner

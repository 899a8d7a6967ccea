// Verification: is a choice of some weeks ago still the right one? A short ranking of bare line,
// present settings and choice, held against the figures that the sweep recorded.
#pragma once

#include <string>
#include <vector>

#include "tuner/statistics.h"
#include "tuner/sweep.h"

namespace lt::tuner {

/// What a report recorded of one arm.
struct RecordedArm {
  Arm arm{};
  double bits_per_second{0};              // median; 0: none
  std::optional<Interval> interval{};     // 95 % of the log mean
};

/// One of a report's `arms`, by its hash. @error invalid: it is not among them, or its row is wrong
[[nodiscard]] Result<RecordedArm> recorded_arm(const Json& rows, std::string_view hash);

/// What verify needs of a report.
struct RecordedChoice {
  RecordedArm bare{};
  RecordedArm incumbent{};
  RecordedArm choice{};
  TrialPlan plan{};
  std::vector<Fact> facts{};
};

/// @error invalid: no report of a staged sweep, or none with a choice
[[nodiscard]] Result<RecordedChoice> recorded_choice(const Json& report);

enum class VerifyState : std::uint8_t {
  holds,           // the line is what it was, and the choice does on it what it did
  line_changed,    // the bare line is another one: time for a new sweep
  choice_changed,  // the line is what it was, the choice is not
  choice_behind,   // the settings from before are shown better now
  failed,          // the choice does not carry the line
  noisy,           // nothing can be said today
};

[[nodiscard]] std::string_view name_of(VerifyState state);

struct Verification {
  VerifyState state{VerifyState::noisy};
  double bare_ratio{0};    // now to then; 0: not known
  double choice_ratio{0};
  std::size_t blocks{0};
  std::string sentence{};
};

inline constexpr double change_least = 0.10;   // a smaller change is no alarm, however sure
inline constexpr double noise_most = 0.25;     // of the interval's half width: beyond it nothing is said
inline constexpr Milliseconds verify_time{120'000};

/// The plan of a verification's trials, and how many blocks of the arms fit verify_time.
[[nodiscard]] TrialPlan verify_plan(const TrialPlan& recorded);
[[nodiscard]] std::size_t verify_blocks(const TrialPlan& plan, std::size_t arms);
/// Bare line, choice, and the settings from before when they are others.
[[nodiscard]] std::vector<Arm> verify_arms(const RecordedChoice& recorded);

[[nodiscard]] Verification verify_against(const RecordedChoice& recorded, const SweepResult& now);

[[nodiscard]] Json to_json(const Verification& verification);

}  // namespace lt::tuner

// How long the trials of a staged sweep are: as the owner asked, or, where that is left to the sweep, as
// long as the line needs and no longer than the budget allows.
//
// A decision takes fresh starts, not seconds: on the time that is there, ten blocks of short trials decide
// where three of long ones cannot. @source statistics.md 2.2
#pragma once

#include "tuner/evidence.h"

namespace lt::tuner {

/// Fresh starts of a sweep that leaves nothing out. Only a budget that holds them gets the longest trials.
inline constexpr std::size_t comfortable_units = 200;

/// The plan of the trials. A function of the question and of the idle round trip: the same at any time once
/// the physics are known, and as asked before, or where the question does not leave it open.
/// @pre header.question
[[nodiscard]] TrialPlan fitted_plan(const Evidence& evidence);

}  // namespace lt::tuner

// The decision in words and as JSON: part of the report of a staged sweep. Arms are named by label
// for people and by hash for machines.
#pragma once

#include <string>

#include "tuner/decision.h"
#include "tuner/evidence.h"

namespace lt::tuner {

/// Verdict, price, the path to it, pairs, noise, knobs.
[[nodiscard]] std::string text_of(const Decision& decision, const SweepHeader& header);
[[nodiscard]] Json json_of(const Decision& decision, const SweepHeader& header);

/// What each knob did, a line each; from the JSON of a report. @error invalid: no decision in it
[[nodiscard]] Result<std::string> explain_json(const Json& report);

}  // namespace lt::tuner

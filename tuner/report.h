// The report of a sweep: a table for people, JSON and CSV for machines. Pure: the same result gives
// the same bytes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tuner/decision.h"
#include "tuner/doubt.h"
#include "tuner/sweep.h"
#include "tuner/verdict.h"

namespace lt::tuner {

inline constexpr std::string_view report_schema = "linktune.sweep/1";

struct Report {
  SweepResult result;
  Verdict verdict;
  std::vector<Doubt> doubts;
  std::optional<Decision> decision;  // of a staged sweep
};

/// Judges a result and gathers the doubts.
[[nodiscard]] Report make_report(SweepResult result);

/// Table, verdict, doubts, seed and how to repeat it. Plain text, no colour.
[[nodiscard]] std::string text_of(const Report& report);
[[nodiscard]] Json json_of(const Report& report);
/// How to come to a verdict where there is none yet, as a command; empty: there is one, or nothing is known to help.
[[nodiscard]] std::string how_to_settle(const Report& report);
/// Settings that the line cannot carry, each with the reason.
[[nodiscard]] std::vector<std::string> ruled_out_of(const Evidence& evidence);
/// One line for each unit, a header line first (RFC 4180).
[[nodiscard]] std::string csv_of(const Report& report);

/// One probe's result for people.
[[nodiscard]] std::string text_of(const ProbeResult& result);

}  // namespace lt::tuner

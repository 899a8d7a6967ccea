// Fate: what became of an arm, in one word for the tables of report and page, and in a tone for charts.
#pragma once

#include <string>
#include <vector>

#include "tuner/chart.h"
#include "tuner/report.h"

namespace lt::tuner {

struct ArmFate {
  std::string word;
  ChartTone tone{ChartTone::plain};
};
[[nodiscard]] ArmFate fate_of(const Report& report, const ArmSummary& row);

/// Whether a decision's list, `confirmed` for example, holds this arm.
[[nodiscard]] bool contains(const std::vector<std::size_t>& list, std::size_t arm);

/// No trial of it was begun: the budget had no room. That says nothing of the arm.
[[nodiscard]] bool is_untried(const ArmSummary& row);

}  // namespace lt::tuner

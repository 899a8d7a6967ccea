#include "tuner/fate.h"

#include <algorithm>

namespace lt::tuner {

namespace {

// The round in which the search left an arm behind.
const Placing* dropped(const Decision& decision, std::size_t arm) {
  const Placing* last = nullptr;
  for (const PathStep& step : decision.path) {
    for (const Placing& placing : step.placings)
      if (placing.arm == arm) last = &placing;
  }
  return last != nullptr && !last->is_kept ? last : nullptr;
}

// The choice may be no more than what came out first.
std::string word_of_choice(const Decision& decision) {
  if (decision.claim != Claim::inconclusive) return "chosen";
  return decision.choice == decision.incumbent ? "kept" : "first, not decided";
}

ArmFate fate_by_decision(const Decision& decision, const ArmSummary& row) {
  if (decision.choice == row.arm) return {word_of_choice(decision), ChartTone::chosen};
  if (contains(decision.over_limit, row.arm)) return {"over the limit", ChartTone::muted};
  if (contains(decision.not_worse, row.arm)) return {"not worse", ChartTone::plain};
  if (contains(decision.confirmed, row.arm)) return {"worse", ChartTone::plain};
  if (const Placing* placing = dropped(decision, row.arm))
    return {placing->reason.empty() ? "dropped" : placing->reason, ChartTone::muted};
  return {"searched", ChartTone::muted};
}

}  // namespace

bool contains(const std::vector<std::size_t>& list, std::size_t arm) {
  return std::find(list.begin(), list.end(), arm) != list.end();
}

bool is_untried(const ArmSummary& row) {
  return row.units == 0 && row.failures == 0 && row.harness_failures == 0;
}

ArmFate fate_of(const Report& report, const ArmSummary& row) {
  if (row.standing == Standing::control) return {"bare line", ChartTone::muted};
  if (row.standing == Standing::failed) return {"failed", ChartTone::bad};
  if (is_untried(row)) return {"not tried", ChartTone::muted};
  if (row.standing == Standing::unmeasured) return {"the bench failed", ChartTone::muted};
  if (report.decision) return fate_by_decision(*report.decision, row);
  const bool is_ahead = row.standing == Standing::ahead;
  return {std::string(name_of(row.standing)), is_ahead ? ChartTone::chosen : ChartTone::plain};
}

}  // namespace lt::tuner

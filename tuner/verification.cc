#include "tuner/verification.h"

#include <algorithm>
#include <cmath>

#include "base/format.h"
#include "tuner/decision.h"
#include "tuner/fields.h"
#include "tuner/figures.h"
#include "tuner/report.h"
#include "tuner/verdict.h"

namespace lt::tuner {

namespace {

constexpr std::array ranking_only{Stage::ranking};
constexpr Milliseconds verify_duration{3'000};
constexpr Milliseconds verify_idle{500};

Result<std::optional<Interval>> interval_field(const Json& row, std::string_view name) {
  if (!has_field(row, name)) return std::optional<Interval>{};
  LT_TRY(const Json interval, object_field(row, name));
  Interval read;
  LT_TRY(read.low, number_field(interval, "low"));
  LT_TRY(read.high, number_field(interval, "high"));
  return std::optional(read);
}

// How an arm does now against then, on the log scale.
struct Change {
  double difference{0};
  double reach{0};  // of the 95 % interval of the difference
};

std::optional<Change> change_of(const RecordedArm& then, const Figures& figures, std::size_t arm) {
  const auto now = figures.of(arm);
  const auto interval = student_t_interval(now, confidence);
  if (!interval || then.bits_per_second <= 0) return std::nullopt;
  const double reach_now = (interval->high - interval->low) / 2;
  const double reach_then =
      then.interval && then.interval->low > 0 ? std::log(then.interval->high / then.interval->low) / 2 : 0;
  return Change{mean(now) - std::log(then.bits_per_second), std::hypot(reach_now, reach_then)};
}

bool has_moved(const Change& change) {
  return std::abs(change.difference) > std::max(change.reach, std::log1p(change_least));
}

std::string percent(double log_difference) {
  return format("{:+.0f} %", std::expm1(log_difference) * 100);
}

std::size_t failures_of(const SweepResult& now, std::size_t arm) {
  return static_cast<std::size_t>(std::count_if(now.units.begin(), now.units.end(), [&](const Unit& unit) {
    return unit.arm == arm && unit.status == UnitStatus::arm_failed;
  }));
}

}  // namespace

Result<RecordedArm> recorded_arm(const Json& rows, std::string_view hash) {
  for (const Json& row : rows) {
    LT_TRY(const std::string own, text_field(row, "hash", 16));
    if (own != hash) continue;
    RecordedArm recorded;
    LT_TRY(recorded.arm, arm_from_json(row));
    LT_TRY(recorded.bits_per_second, number_field(row, "score_bits_per_second"));
    LT_TRY(recorded.interval, interval_field(row, "interval_bits_per_second"));
    return recorded;
  }
  return fail(Errc::invalid, "the report names an arm that it does not hold");
}

std::string_view name_of(VerifyState state) {
  switch (state) {
    case VerifyState::holds:
      return "holds";
    case VerifyState::line_changed:
      return "line_changed";
    case VerifyState::choice_changed:
      return "choice_changed";
    case VerifyState::choice_behind:
      return "choice_behind";
    case VerifyState::failed:
      return "failed";
    case VerifyState::noisy:
      return "noisy";
  }
  return "unknown";
}

Result<RecordedChoice> recorded_choice(const Json& report) {
  LT_TRY(const std::string schema, text_field(report, "schema", 64));
  if (schema != report_schema || !has_field(report, "decision"))
    return fail(Errc::invalid, "this is no report of a staged sweep: give what `linktune sweep --json` printed");
  LT_TRY(const Json decision, object_field(report, "decision"));
  if (!has_field(decision, "choice"))
    return fail(Errc::invalid, "this sweep chose nothing, so there is nothing to verify");
  RecordedChoice recorded;
  LT_TRY(const Json rows, list_field(report, "arms", arms_max));
  LT_TRY(const std::string choice, text_field(decision, "choice", 16));
  LT_TRY(const std::string incumbent, text_field(decision, "incumbent", 16));
  LT_TRY(recorded.choice, recorded_arm(rows, choice));
  LT_TRY(recorded.incumbent, recorded_arm(rows, incumbent));
  LT_TRY(recorded.bare, recorded_arm(rows, hash_of(Arm{})));
  LT_TRY(const Json plan, object_field(report, "plan"));
  LT_TRY(recorded.plan, trial_plan_from_json(plan));
  LT_TRY(const Json facts, object_field(report, "facts"));
  for (const auto& [name, value] : facts.items()) {
    if (value.is_string()) recorded.facts.push_back({name, value.get<std::string>()});
  }
  return recorded;
}

TrialPlan verify_plan(const TrialPlan& recorded) {
  TrialPlan plan = recorded;
  plan.duration = std::min(recorded.duration, verify_duration);
  plan.idle = std::min(recorded.idle, verify_idle);
  return plan;
}

std::size_t verify_blocks(const TrialPlan& plan, std::size_t arms) {
  const Milliseconds block =
      static_cast<Milliseconds::rep>(arms) * (plan.measuring_time() + start_time_guess);
  return std::max<std::size_t>(2, static_cast<std::size_t>(verify_time / block));
}

std::vector<Arm> verify_arms(const RecordedChoice& recorded) {
  std::vector<Arm> arms{recorded.bare.arm, recorded.choice.arm};
  if (canonical_text(recorded.choice.arm) != canonical_text(recorded.incumbent.arm))
    arms.push_back(recorded.incumbent.arm);
  return arms;
}

Verification verify_against(const RecordedChoice& recorded, const SweepResult& now) {
  Verification result;
  result.blocks = now.blocks_done;
  const Figures figures(now, ranking_only, pick_goodput(now.header.plan), 1);
  const std::size_t bare = *now.header.place_of(recorded.bare.arm);
  const std::size_t choice = *now.header.place_of(recorded.choice.arm);
  const std::string label = "\"" + recorded.choice.arm.label + "\"";
  if (failures_of(now, choice) > 0) {
    result.state = VerifyState::failed;
    result.sentence = label + " does not carry the line any more: run `linktune sweep` again.";
    return result;
  }
  const auto of_bare = change_of(recorded.bare, figures, bare);
  const auto of_choice = change_of(recorded.choice, figures, choice);
  if (!of_bare || !of_choice) {
    result.sentence = "Too little was measured to say anything; try again.";
    return result;
  }
  result.bare_ratio = std::exp(of_bare->difference);
  result.choice_ratio = std::exp(of_choice->difference);
  if (has_moved(*of_bare)) {
    result.state = VerifyState::line_changed;
    result.sentence = "The bare line has changed by " + percent(of_bare->difference) +
                      " since the sweep: its result is of another line; run `linktune sweep` again.";
    return result;
  }
  const auto incumbent = now.header.place_of(recorded.incumbent.arm);
  if (incumbent && *incumbent != choice) {
    const auto ratio = ratio_interval(figures.differences(choice, *incumbent), confidence);
    if (ratio && ratio->high < 1) {
      result.state = VerifyState::choice_behind;
      result.sentence = label + " is behind the settings from before it now: run `linktune sweep` again.";
      return result;
    }
  }
  // The bare line's own connection may waver where the choice stands still: on a line that loses packets its rate is chance.
  const bool is_bare_steady = of_bare->reach <= noise_most;
  if (has_moved(*of_choice)) {
    result.state = VerifyState::choice_changed;
    result.sentence = label + " has changed by " + percent(of_choice->difference) +
                      (is_bare_steady ? ", but the bare line is what it was: look for what changed on the gateways."
                                      : ", and the bare line wavers too much to say whether it has: run `linktune sweep` again.");
    return result;
  }
  // A change that may be chance is no proof that nothing has changed.
  if (of_choice->reach > noise_most || std::abs(of_choice->difference) > std::log1p(change_least)) {
    result.sentence = "The line is too unsteady today to say anything; try at a quieter time.";
    return result;
  }
  result.state = VerifyState::holds;
  result.sentence = label + " still does what it did (" + percent(of_choice->difference) +
                    (is_bare_steady ? "), on a line that is what it was (" + percent(of_bare->difference) + ")."
                                    : "); the bare line's own connection wavers too much to be compared.");
  return result;
}

Json to_json(const Verification& verification) {
  return {{"schema", "linktune.verify.1"},
          {"state", std::string(name_of(verification.state))},
          {"bare_ratio", verification.bare_ratio},
          {"choice_ratio", verification.choice_ratio},
          {"blocks", verification.blocks},
          {"sentence", verification.sentence}};
}

}  // namespace lt::tuner

#include "tuner/gate.h"

#include <algorithm>
#include <array>

#include "tuner/fields.h"

namespace lt::tuner {

namespace {

constexpr std::size_t name_length_max = 64;
constexpr std::size_t what_length_max = 512;

}  // namespace

std::string_view name_of(GateVerdict verdict) {
  switch (verdict) {
    case GateVerdict::passed:
      return "passed";
    case GateVerdict::failed:
      return "failed";
    case GateVerdict::skipped:
      return "skipped";
  }
  return "unknown";
}

std::optional<GateVerdict> gate_verdict_from_name(std::string_view name) {
  for (const GateVerdict verdict :
       {GateVerdict::passed, GateVerdict::failed, GateVerdict::skipped}) {
    if (name_of(verdict) == name) return verdict;
  }
  return std::nullopt;
}

void GateOutcome::add(GateCheck check) {
  if (check.verdict == GateVerdict::failed && !failure) {
    failure = Error{Errc::rejected, check.name + ": " + check.what, 0};
  }
  checks.push_back(std::move(check));
}

std::size_t GateOutcome::count(GateVerdict verdict) const {
  return static_cast<std::size_t>(
      std::count_if(checks.begin(), checks.end(),
                    [&](const GateCheck& check) { return check.verdict == verdict; }));
}

Json to_json(const GateOutcome& outcome) {
  Json checks = Json::array();
  for (const GateCheck& check : outcome.checks) {
    checks.push_back({{"name", check.name},
                      {"verdict", std::string(name_of(check.verdict))},
                      {"what", check.what}});
  }
  Json value = Json::object();
  value["failure"] = outcome.failure ? error_to_json(*outcome.failure) : Json(nullptr);
  value["checks"] = checks;
  return value;
}

Result<GateOutcome> gate_outcome_from_json(const Json& value) {
  GateOutcome outcome;
  if (has_field(value, "failure")) {
    LT_TRY(const Json failure, object_field(value, "failure"));
    LT_TRY(outcome.failure, error_from_json(failure));
  }
  LT_TRY(const Json checks, list_field(value, "checks", gate_checks_max));
  for (const Json& item : checks) {
    GateCheck check;
    LT_TRY(check.name, text_field(item, "name", name_length_max));
    LT_TRY(const std::string verdict, text_field(item, "verdict", name_length_max));
    const auto known = gate_verdict_from_name(verdict);
    if (!known) return fail(Errc::invalid, "`verdict` must be passed, failed or skipped");
    check.verdict = *known;
    LT_TRY(check.what, text_field(item, "what", what_length_max));
    outcome.checks.push_back(std::move(check));
  }
  if (outcome.failure.has_value() != (outcome.count(GateVerdict::failed) > 0)) {
    return fail(Errc::invalid, "`failure` must be there if, and only if, a check failed");
  }
  return outcome;
}

}  // namespace lt::tuner

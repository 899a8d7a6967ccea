// How long trials are: what the line needs, what the budget pays for, what was asked.
#include "tuner/trial_times.h"

#include <catch2/catch.hpp>

using namespace lt;
using namespace lt::tuner;

namespace {

struct Asked {
  std::chrono::minutes budget{10};
  double round_trip_us{500};
};

Evidence evidence_of(const Asked& asked) {
  Evidence evidence;
  evidence.header.question = Question{};
  evidence.header.question->budget = asked.budget;
  evidence.header.question->fits_times = true;
  evidence.physics = PhysicsRecord{};
  evidence.physics->physics.idle = summarise({asked.round_trip_us, asked.round_trip_us});
  return evidence;
}

}  // namespace

TEST_CASE("on a short line and a small budget trials are short", "[tuner][times]") {
  const TrialPlan plan = fitted_plan(evidence_of({}));
  CHECK(plan.duration == 1s);
  CHECK(plan.omit == 500ms);
  CHECK(plan.idle == 300ms);
}

TEST_CASE("a long round trip makes trials longer, up to what was asked", "[tuner][times]") {
  const TrialPlan asked{};
  const TrialPlan fibre = fitted_plan(evidence_of({.round_trip_us = 30'000}));
  CHECK(fibre.duration == 1'500ms);
  CHECK(fibre.omit == 1'500ms);
  const TrialPlan far = fitted_plan(evidence_of({.round_trip_us = 160'000}));
  CHECK(far.duration == asked.duration);
  CHECK(far.omit == asked.omit);
  CHECK(far.idle == asked.idle);
}

TEST_CASE("where slow start outlasts what is omitted, more is omitted, and as much more measured, up to ten seconds",
          "[tuner][times]") {
  const TrialPlan asked{};
  const TrialPlan satellite = fitted_plan(evidence_of({.round_trip_us = 600'000}));
  CHECK(satellite.omit == 7'200ms);
  CHECK(satellite.duration == 6'000ms);
  CHECK(satellite.idle == asked.idle);
  const TrialPlan moon = fitted_plan(evidence_of({.round_trip_us = 2'600'000}));
  CHECK(moon.omit == 10s);
  CHECK(moon.duration == 10s);
}

TEST_CASE("a large budget buys the trials that were asked for, one between buys less", "[tuner][times]") {
  const TrialPlan asked{};
  const TrialPlan small = fitted_plan(evidence_of({}));
  const TrialPlan middle = fitted_plan(evidence_of({.budget = std::chrono::minutes(40)}));
  const TrialPlan large = fitted_plan(evidence_of({.budget = std::chrono::minutes(120)}));
  CHECK(large.duration == asked.duration);
  CHECK(large.omit == asked.omit);
  CHECK(middle.duration > small.duration);
  CHECK(middle.duration < large.duration);
}

TEST_CASE("nothing is shortened that was asked for, or on a line that nobody knows", "[tuner][times]") {
  const TrialPlan asked{};
  Evidence fixed = evidence_of({});
  fixed.header.question->fits_times = false;
  CHECK(fitted_plan(fixed).duration == asked.duration);
  Evidence unprobed = evidence_of({});
  unprobed.physics.reset();
  CHECK(fitted_plan(unprobed).duration == asked.duration);
  Evidence failed = evidence_of({});
  failed.physics->failure = Error{Errc::timed_out, "no answer", 0};
  CHECK(fitted_plan(failed).duration == asked.duration);
  Evidence silent = evidence_of({});
  silent.physics->physics.idle = {};
  CHECK(fitted_plan(silent).duration == asked.duration);
  Evidence brief = evidence_of({});
  brief.header.plan.duration = 700ms;
  CHECK(fitted_plan(brief).duration == 700ms);
}

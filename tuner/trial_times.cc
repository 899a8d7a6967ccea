#include "tuner/trial_times.h"

#include <algorithm>
#include <cmath>

#include "tuner/sweep.h"

namespace lt::tuner {

namespace {

// What the line needs: a connection has come up after some dozens of round trips, and not before half a
// second, which a tunnel on a busy machine takes.
constexpr double round_trips_needed = 50;
constexpr Milliseconds omit_least{500};
constexpr Milliseconds duration_least{1'000};
constexpr double idle_round_trips_needed = 10;
constexpr Milliseconds idle_least{300};

// Where not even these fit into what is asked, what is asked would measure slow start: of the tunnel's connection, and of
// the one inside it, which grows one round trip behind. A satellite's 600 ms take 7.2 s before 6 s.
constexpr double slow_start_round_trips = 12;
constexpr double steady_round_trips = 10;
constexpr Milliseconds phase_most{10'000};

Milliseconds lasting(double round_trips, double round_trip_us) {
  return Milliseconds(static_cast<Milliseconds::rep>(std::ceil(round_trips * round_trip_us / 1'000)));
}

// As asked, or longer on a line so long that it would tell nothing.
TrialPlan stretched(TrialPlan plan, double round_trip_us) {
  plan.omit = std::max(plan.omit, std::min(phase_most, lasting(slow_start_round_trips, round_trip_us)));
  plan.duration = std::max(plan.duration, std::min(phase_most, lasting(steady_round_trips, round_trip_us)));
  return plan;
}

Milliseconds needed(double round_trips, double round_trip_us, Milliseconds least, Milliseconds asked) {
  return std::min(asked, std::max(least, lasting(round_trips, round_trip_us)));
}

Milliseconds between(Milliseconds least, Milliseconds most, double share) {
  return least + Milliseconds(static_cast<Milliseconds::rep>(share * static_cast<double>((most - least).count())));
}

// Which part of the way from `least` to `asked` the budget pays for.
double share_affordable(const TrialPlan& least, const TrialPlan& asked, Milliseconds budget) {
  const auto unit = [](const TrialPlan& plan) {
    return static_cast<double>((start_time_guess + plan.measuring_time()).count());
  };
  const double affordable = static_cast<double>(budget.count()) / static_cast<double>(comfortable_units);
  if (unit(asked) <= affordable) return 1;
  return std::max(0.0, (affordable - unit(least)) / (unit(asked) - unit(least)));
}

}  // namespace

TrialPlan fitted_plan(const Evidence& evidence) {
  if (!evidence.header.question->fits_times || !evidence.physics || evidence.physics->failure ||
      evidence.physics->physics.idle.count == 0)
    return evidence.header.plan;
  const double round_trip_us = evidence.physics->physics.idle.us_p50;
  const TrialPlan asked = stretched(evidence.header.plan, round_trip_us);
  TrialPlan plan = asked;
  plan.idle = needed(idle_round_trips_needed, round_trip_us, idle_least, asked.idle);
  plan.omit = needed(round_trips_needed, round_trip_us, omit_least, asked.omit);
  plan.duration = needed(round_trips_needed, round_trip_us, duration_least, asked.duration);
  const double share = share_affordable(plan, asked, evidence.header.question->budget);
  plan.idle = between(plan.idle, asked.idle, share);
  plan.omit = between(plan.omit, asked.omit, share);
  plan.duration = between(plan.duration, asked.duration, share);
  return plan;
}

}  // namespace lt::tuner

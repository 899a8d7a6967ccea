#include "tuner/calibration.h"

#include <algorithm>
#include <cmath>

#include "base/format.h"
#include "tuner/figures.h"
#include "tuner/plan.h"
#include "tuner/sweep.h"
#include "tuner/trial_times.h"
#include "tuner/verdict.h"

namespace lt::tuner {

namespace {

constexpr std::array calibration_only{Stage::calibration};
// The plain block of a confirmation: bare line, incumbent, defaults, one finalist.
constexpr std::size_t confirmation_arms_least = 4;
constexpr double confirmation_share = 0.5;  // of the budget, when it is forecast

struct Starts {
  std::vector<double> shams;  // log differences of fresh and sham on one start
  std::vector<double> means;  // of each start
};

Starts starts_of(const Figures& figures, std::size_t incumbent) {
  Starts starts;
  for (const auto& [block, row] : figures.rows()) {
    const auto start = row.find(incumbent);
    if (start == row.end()) continue;
    starts.means.push_back(mean(start->second));
    for (std::size_t i = 1; i < start->second.size(); ++i)
      starts.shams.push_back(start->second[i] - start->second[i - 1]);
  }
  return starts;
}

void take_noise(Calibration& calibration, const Evidence& evidence, std::size_t incumbent) {
  const Figures figures(evidence, calibration_only,
                        pick_figure(evidence.header.question->goal, evidence.header.plan),
                        samples_per_start_max);
  const Starts starts = starts_of(figures, incumbent);
  calibration.starts = starts.means.size();
  calibration.shams = starts.shams.size();
  if (starts.means.size() < 2 || starts.shams.empty()) {
    calibration.sigma = deviation_guess;
    return;
  }
  calibration.sigma = neighbour_deviation(starts.shams);
  for (std::size_t arm = 0; arm < evidence.header.arms.size(); ++arm) {
    if (evidence.header.arms[arm].carrier == ArmCarrier::bare)
      calibration.drift = deviation(figures.of(arm));
  }
  const double between = deviation(starts.means);
  const double left = between * between - calibration.sigma * calibration.sigma / 2 -
                      calibration.drift * calibration.drift;
  calibration.tau = std::sqrt(std::max(0.0, left));
}

// What a start and its end took beyond the measuring.
void take_times(Calibration& calibration, const Evidence& evidence, std::size_t incumbent) {
  const TrialPlan plan = fitted_plan(evidence);
  calibration.sample_time = plan.measuring_time();
  calibration.start_time = start_time_guess;
  Milliseconds spent{0};
  Milliseconds::rep starts = 0;
  Milliseconds::rep samples = 0;
  for (const Unit& unit : evidence.units) {
    if (unit.arm != incumbent || evidence.blocks[unit.block].stage != Stage::calibration ||
        unit.status != UnitStatus::measured)
      continue;
    spent += std::chrono::duration_cast<Milliseconds>(Nanoseconds(unit.stop_ns - unit.start_ns));
    starts += unit.is_sham ? 0 : 1;
    ++samples;
  }
  if (starts > 0)
    calibration.start_time = std::max(Milliseconds(0), spent - samples * plan.measuring_time()) / starts;
}

double unsteadiness_of(const Evidence& evidence, std::size_t incumbent) {
  return median_of(evidence, incumbent,
                   [](const Sample& s) -> std::optional<double> { return s.variation; });
}

std::size_t blocks_in(const Calibration& calibration, const TrialPlan& plan, Milliseconds time,
                      std::size_t samples) {
  const Milliseconds block = static_cast<Milliseconds::rep>(confirmation_arms_least) *
                             time_of_arm(calibration, plan, samples);
  return static_cast<std::size_t>(std::max(time, Milliseconds(0)) / std::max(block, Milliseconds(1)));
}

Milliseconds part_of(Milliseconds time, double share) {
  return Milliseconds(static_cast<Milliseconds::rep>(share * static_cast<double>(time.count())));
}

std::size_t blocks_within(const Calibration& calibration, const TrialPlan& plan,
                          Milliseconds budget, std::size_t samples) {
  return blocks_in(calibration, plan, part_of(budget, confirmation_share), samples);
}

// Behind physics and calibration, and the least that a search and slow starts take.
Milliseconds most_for_confirmation(const Evidence& evidence) {
  const Milliseconds budget = evidence.header.question->budget;
  Nanoseconds calibrating{0};
  for (const Unit& unit : evidence.units) {
    if (evidence.blocks[unit.block].stage == Stage::calibration) calibrating += Nanoseconds(unit.stop_ns - unit.start_ns);
  }
  const Milliseconds before = (evidence.physics ? evidence.physics->took : Milliseconds(0)) +
                              std::chrono::duration_cast<Milliseconds>(calibrating);
  return budget - before - part_of(budget, search_share_least + slack_share);
}

// Longer where the rate had not settled, as far as the budget still holds the blocks of a decision. Times
// that were fitted to a budget have no room for it: more starts say more than longer ones.
void choose_duration(Calibration& calibration, const Evidence& evidence, double unsteadiness) {
  const TrialPlan plan = fitted_plan(evidence);
  calibration.duration = plan.duration;
  if (unsteadiness <= steady_variation_max || evidence.header.question->fits_times) return;
  const double factor = std::pow(unsteadiness / steady_variation_max, 2);
  const auto wished = std::min<double>(static_cast<double>(sample_duration_max.count()),
                                       factor * static_cast<double>(plan.duration.count()));
  Calibration longer = calibration;
  for (longer.duration = Milliseconds(static_cast<Milliseconds::rep>(wished));
       longer.duration > plan.duration; longer.duration -= Milliseconds(500)) {
    if (blocks_within(longer, plan, evidence.header.question->budget, 1) < blocks_for_decision) continue;
    calibration.duration = longer.duration;
    return;
  }
}

void choose_samples(Calibration& calibration, const Evidence& evidence) {
  const auto seconds = [](Milliseconds time) { return static_cast<double>(time.count()) * 1e-3; };
  const TrialPlan plan = fitted_plan(evidence);
  const Milliseconds sample =
      time_of_arm(calibration, plan, 1) - calibration.start_time;
  calibration.samples_per_start =
      calibration.starts < 2 ? 1
                             : samples_per_start(seconds(calibration.start_time), seconds(sample),
                                                 calibration.sigma, calibration.tau);
  const Milliseconds budget = evidence.header.question->budget;
  while (calibration.samples_per_start > 1 &&
         blocks_within(calibration, plan, budget, calibration.samples_per_start) < blocks_for_decision)
    --calibration.samples_per_start;
}

std::string percent(double share) {
  return format("{:.1f} %", share * 100);
}

void forecast(Calibration& calibration, const Evidence& evidence) {
  const Question& question = *evidence.header.question;
  const TrialPlan plan = fitted_plan(evidence);
  // What ten blocks take is set aside, down to the least that a search needs.
  const std::size_t at_most = blocks_in(calibration, plan, most_for_confirmation(evidence), calibration.samples_per_start);
  calibration.blocks = std::max(blocks_within(calibration, plan, question.budget, calibration.samples_per_start),
                                std::min(blocks_for_decision, at_most));
  calibration.eta = question.budget;
  if (calibration.blocks >= 2) {
    calibration.detectable = std::expm1(effect_detectable(
        calibration.blocks, difference_deviation(calibration, calibration.samples_per_start),
        question.confidence, power));
  }
  calibration.sentence =
      format("One measurement repeats to within {} on the same start; a fresh start adds {}; the bare "
             "line moves by {}. ",
             percent(calibration.sigma), percent(calibration.tau), percent(calibration.drift));
  if (calibration.starts < 2)
    calibration.sentence = "The present settings did not carry the calibration; a deviation of 10 % is assumed. ";
  calibration.sentence += format("So {} measured on each start, {:.1f} s each way. ",
                                 calibration.samples_per_start == 1
                                     ? std::string("one sample is")
                                     : std::to_string(calibration.samples_per_start) + " samples are",
                                 static_cast<double>(calibration.duration.count()) / 1000);
  calibration.sentence +=
      calibration.detectable > 0
          ? format("About {} blocks of confirmation fit the budget of {} min: enough to see a difference of {} "
                   "with 80 % power.",
                   calibration.blocks, question.budget / std::chrono::minutes(1),
                   percent(calibration.detectable))
          : format("The budget of {} min holds no two blocks of confirmation: nothing can be decided.",
                   question.budget / std::chrono::minutes(1));
}

}  // namespace

std::size_t samples_per_start(double start_seconds, double sample_seconds, double sigma, double tau) {
  if (tau <= 0) return samples_per_start_max;
  const double wished = std::ceil(std::sqrt(start_seconds / sample_seconds) * sigma / tau);
  return static_cast<std::size_t>(
      std::clamp(wished, 1.0, static_cast<double>(samples_per_start_max)));
}

Calibration calibrate(const Evidence& evidence) {
  Calibration calibration;
  const std::size_t incumbent = *evidence.header.place_of(evidence.header.question->incumbent);
  take_noise(calibration, evidence, incumbent);
  take_times(calibration, evidence, incumbent);
  choose_duration(calibration, evidence, unsteadiness_of(evidence, incumbent));
  choose_samples(calibration, evidence);
  forecast(calibration, evidence);
  return calibration;
}

double difference_deviation(const Calibration& calibration, std::size_t samples) {
  const double of_sample = calibration.sigma * calibration.sigma / static_cast<double>(samples);
  return std::sqrt(2 * (calibration.tau * calibration.tau + of_sample));
}

Milliseconds time_of_arm(const Calibration& calibration, const TrialPlan& plan, std::size_t samples) {
  TrialPlan timed = plan;
  if (calibration.duration > Milliseconds(0)) timed.duration = calibration.duration;
  return calibration.start_time +
         static_cast<Milliseconds::rep>(samples) * timed.measuring_time();
}

}  // namespace lt::tuner

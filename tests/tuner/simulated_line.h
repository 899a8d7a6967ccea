// A line and its tunnels for staged sweeps: every number is a function of the seed and of the place
// of a unit in the sweep, so a sweep that is killed and resumed meets the very same world.
#pragma once

#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "tuner/random.h"
#include "tuner/sweep.h"

namespace lt::tuner {

/// What an arm truly is.
struct Truth {
  double rate{800e6};     // bit/s
  double wait_us{5'000};  // p95 under load
  double cpu{1.5};        // s for each Gbit
  double noise{0};        // of one measurement, beside the line's, on the log scale
};

struct LineOptions {
  std::uint64_t seed{1};
  std::map<std::string, Truth> arms{};  // by canonical text; others as Truth is
  double noise{0.04};                   // of one measurement, on the log scale
  double bare_noise{0};                 // of the bare line's, beside it
  double restart{0.05};                 // of a fresh start
  double drift{0.10};                   // stationary deviation of an AR(1) walk that all share
  double drift_memory{0.97};
  double bad_restarts{0.03};            // share of starts that come out 30 % low
  std::function<bool(const Arm&, std::size_t unit)> is_black_hole{};  // fails a trial
  std::function<bool(const Arm&)> is_gated{};                          // fails the gate
  std::function<bool(std::size_t unit)> is_harness_failure{};
  std::vector<Fact> facts{{"kernel", "Simulated 1.0"}};
  double shift{0};            // of everything, on the log scale: another line
  std::size_t units_before{0};  // kept in the journal that is gone on with, rechecks not counted
  std::size_t stop_at{SIZE_MAX};
};

class SimulatedLine final : public Bench, public Progress {
 public:
  SimulatedLine(LineOptions options, ManualClock& clock)
      : options_(std::move(options)), clock_(clock), ordinal_(options_.units_before) {}

  void unit_starts(const SweepProgress& now) override {
    is_recheck_ = now.stage == Stage::recheck;
    if (!is_recheck_) ++ordinal_;
    left.push_back(now.left);
  }
  void note(std::string_view sentence) override { notes.emplace_back(sentence); }

  Result<Physics> physics(const std::stop_token&) override {
    clock_.advance(5s);
    Physics physics;
    physics.idle = summarise({9'000, 10'000, 11'000});
    return physics;
  }

  Result<Started> prepare(const Arm& arm, const std::stop_token&) override {
    if (is_up_) return fail(Errc::protocol, "prepare without dismantle");
    is_up_ = true;
    arm_ = arm;
    ++prepares;
    clock_.advance(2s);
    Random random(derive_seed(options_.seed, 3 * ordinal_));
    start_effect_ = options_.restart * random.normal();
    if (random.unit() < options_.bad_restarts) start_effect_ += std::log(0.7);
    return Started{std::nullopt, 2s};
  }

  Result<GateOutcome> gate(const std::stop_token&) override {
    if (!is_up_) return fail(Errc::protocol, "gate without prepare");
    clock_.advance(3s);
    gated.push_back(canonical_text(arm_));
    GateOutcome outcome;
    const bool fails = options_.is_gated && options_.is_gated(arm_);
    outcome.add({"full_size", fails ? GateVerdict::failed : GateVerdict::passed, "simulated"});
    return outcome;
  }

  Result<Sample> measure(const TrialPlan& plan, const std::stop_token&) override {
    if (!is_up_) return fail(Errc::protocol, "measure without prepare");
    clock_.advance(plan.measuring_time());
    if (ordinal_ >= options_.stop_at) return fail(Errc::interrupted, "stopped");
    if (options_.is_harness_failure && options_.is_harness_failure(ordinal_))
      return fail(Errc::closed, "the simulated control line broke");
    if (options_.is_black_hole && options_.is_black_hole(arm_, ordinal_))
      return Sample::failed({Errc::timed_out, "the arm black-holes", 0});
    return sample();
  }

  Status dismantle() override {
    if (!is_up_) return fail(Errc::protocol, "dismantle without prepare");
    is_up_ = false;
    clock_.advance(1s);
    return {};
  }

  std::vector<Fact> facts() const override { return options_.facts; }

  std::vector<Milliseconds> left;
  std::vector<std::string> notes;
  std::vector<std::string> gated;
  std::size_t prepares{0};
  [[nodiscard]] bool is_up() const { return is_up_; }

 private:
  Sample sample() {
    const auto known = options_.arms.find(canonical_text(arm_));
    const bool is_bare = arm_.carrier == ArmCarrier::bare;
    const Truth truth = known != options_.arms.end() ? known->second
                        : is_bare                    ? Truth{900e6, 10'500, 0.3, options_.bare_noise}
                                                     : Truth{};
    Random random(derive_seed(options_.seed, 3 * ordinal_ + 1));
    const double logs = drift_at(ordinal_) + (is_bare ? 0 : start_effect_) +
                        (options_.noise + truth.noise) * random.normal() + options_.shift;
    Sample sample;
    sample.up = BitsPerSecond{static_cast<std::uint64_t>(truth.rate * std::exp(logs))};
    sample.down = BitsPerSecond{static_cast<std::uint64_t>(truth.rate * 1.2 * std::exp(logs))};
    sample.idle = summarise({9'000, 10'000, 11'000});
    const double wait = truth.wait_us * std::exp(0.05 * random.normal());
    sample.loaded = summarise({wait, wait, wait});
    sample.cpu_seconds_per_gbit = truth.cpu * std::exp(0.03 * random.normal());
    return sample;
  }

  double drift_at(std::size_t ordinal) {
    const double innovation =
        options_.drift * std::sqrt(1 - options_.drift_memory * options_.drift_memory);
    while (walk_.size() <= ordinal) {
      Random random(derive_seed(options_.seed, 3 * walk_.size() + 2));
      walk_.push_back(walk_.empty() ? options_.drift * random.normal()
                                    : options_.drift_memory * walk_.back() +
                                          innovation * random.normal());
    }
    return walk_[ordinal];
  }

  LineOptions options_;
  ManualClock& clock_;
  std::size_t ordinal_;
  bool is_recheck_{false};
  bool is_up_{false};
  Arm arm_;
  double start_effect_{0};
  std::vector<double> walk_;
};

}  // namespace lt::tuner

// A bench without machines: arms have a true rate, the line drifts, starts vary, things fail - all
// from a seed, on a clock that the bench itself moves.
#pragma once

#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "tuner/bench.h"
#include "tuner/random.h"

namespace lt::tuner {

/// What goes wrong with one call; `unit` counts prepares from 0.
struct Fault {
  enum class Kind {
    none,
    arm_start,
    arm_measure,
    bench_start,
    bench_measure,
    bench_dismantle,
    stop
  };
  Kind kind{Kind::none};
};

class SimulatedBench final : public Bench {
 public:
  struct Options {
    std::uint64_t seed{1};
    std::map<std::string, double> rates;  // bit/s by canonical text; others 100e6
    double start_deviation{0.0};          // of log rate, by fresh start
    double drift_deviation{0.0};  // of log rate, by step of a random walk that all arms share
    std::function<Fault(std::size_t unit, const Arm&)> fault = [](std::size_t, const Arm&) {
      return Fault{};
    };
    std::vector<Fact> facts{{"kernel", "Simulated 1.0"}};
    bool is_repeatable{false};  // rates depend on the arm and its how-many-th start only
  };

  SimulatedBench(Options options, ManualClock& clock)
      : options_(std::move(options)), clock_(clock), random_(options_.seed) {}

  Result<Started> prepare(const Arm& arm, const std::stop_token&) override {
    LT_CHECK(require(!is_up_, "prepare without dismantle"));
    is_up_ = true;
    arm_ = arm;
    fault_ = options_.fault(prepares_++, arm);
    starts.push_back(canonical_text(arm));
    clock_.advance(3s);
    drift_ += options_.drift_deviation * random_.normal();
    if (fault_.kind == Fault::Kind::bench_start) return fail(Errc::io, "the simulated bench broke");
    if (fault_.kind == Fault::Kind::arm_start)
      return Started{Error{Errc::timed_out, "the arm does not come up", 0}, 3s};
    return Started{std::nullopt, 3s};
  }

  Result<Sample> measure(const TrialPlan& plan, const std::stop_token&) override {
    LT_CHECK(require(is_up_, "measure without prepare"));
    clock_.advance(plan.measuring_time());
    if (fault_.kind == Fault::Kind::bench_measure)
      return fail(Errc::closed, "the simulated control line broke");
    if (fault_.kind == Fault::Kind::stop) return fail(Errc::interrupted, "stopped");
    if (fault_.kind == Fault::Kind::arm_measure)
      return Sample::failed({Errc::timed_out, "the arm black-holes", 0});
    Sample sample;
    const double rate = rate_of();
    sample.up = BitsPerSecond{static_cast<std::uint64_t>(rate)};
    sample.down = BitsPerSecond{static_cast<std::uint64_t>(rate * 1.1)};
    sample.idle = summarise({300, 310, 320});
    sample.loaded = summarise({5000, 6000, 9000});
    sample.cpu_seconds_per_gbit = 1.5;
    return sample;
  }

  Status dismantle() override {
    LT_CHECK(require(is_up_, "dismantle without prepare"));
    is_up_ = false;
    ++dismantles;
    clock_.advance(1s);
    if (fault_.kind == Fault::Kind::bench_dismantle)
      return fail(Errc::io, "the simulated bench cannot clean up");
    return {};
  }

  std::vector<Fact> facts() const override { return options_.facts; }

  std::vector<std::string> starts;  // canonical text of each prepare
  std::size_t dismantles{0};
  [[nodiscard]] bool is_up() const { return is_up_; }

 private:
  static Status require(bool condition, const char* what) {
    if (condition) return {};
    return fail(Errc::protocol, what);
  }

  double rate_of() {
    const std::string text = canonical_text(arm_);
    const auto known = options_.rates.find(text);
    const double base = known == options_.rates.end() ? 100e6 : known->second;
    if (options_.is_repeatable) {
      Random own(derive_seed(options_.seed, std::hash<std::string>{}(text) + measured_[text]++));
      return base * std::exp(options_.start_deviation * own.normal());
    }
    return base * std::exp(drift_ + options_.start_deviation * random_.normal());
  }

  Options options_;
  ManualClock& clock_;
  Random random_;
  Arm arm_;
  Fault fault_;
  bool is_up_{false};
  std::size_t prepares_{0};
  double drift_{0};
  std::map<std::string, std::uint64_t> measured_;
};

}  // namespace lt::tuner

#include "mirror/yield.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

namespace lt::mirror {

namespace {

/// A line with a queue: what comes faster than it drains waits. Steps of one millisecond.
struct Line {
  double rate{500e6};       // bit/s
  double base_ms{20};
  double queue_bits{0};
  double queue_bits_max{500e6 * 0.1};
  double others{0};         // bit/s of other traffic, which takes its share first
  double noise_ms{0.15};    // mean

  double step(double bits) {  // @return bits that got through
    queue_bits = std::min(queue_bits + bits + others / 1000, queue_bits_max);
    const double drained = std::min(queue_bits, rate / 1000);
    queue_bits -= drained;
    return drained * (bits / std::max(1.0, bits + others / 1000));
  }
  [[nodiscard]] double delay_ms() const { return queue_bits / rate * 1000; }
};

struct Seen {
  double mean_rate{0};
  double p95_ms{0};
};

/// Runs the mirror for `seconds`, of which the first `settle` do not count.
Seen run(YieldControl& control, Line& line, ManualClock& clock, double& carried, double seconds,
         double settle, double offered, std::mt19937& random) {
  std::exponential_distribution<double> noise(1 / line.noise_ms);  // one-sided, as on a real path
  std::vector<double> delays;
  double got = 0;
  const int steps = static_cast<int>(seconds * 1000);
  for (int i = 0; i < steps; ++i) {
    clock.advance(Milliseconds(1));
    const auto rate = control.rate({static_cast<std::uint64_t>(carried / 8)}, clock.now());
    const double through = line.step(std::min(static_cast<double>(rate.value), offered) / 1000);
    carried += through;
    if (i % 10 == 0) {
      const double round_trip = line.base_ms + line.delay_ms() + noise(random);
      control.on_echo(Nanoseconds(static_cast<std::int64_t>(round_trip * 1e6)), clock.now());
    }
    if (i < static_cast<int>(settle * 1000)) continue;
    got += through;
    delays.push_back(line.delay_ms());
  }
  std::sort(delays.begin(), delays.end());
  return {.mean_rate = got / (seconds - settle), .p95_ms = delays[delays.size() * 95 / 100]};
}

}  // namespace

TEST_CASE("a free line is filled to 90 % and nobody waits more than 5 ms", "[mirror][yield]") {
  const double rate = GENERATE(20e6, 100e6, 500e6, 1e9);
  const double base = GENERATE(5.0, 20.0, 80.0);
  INFO("line " << rate << " bit/s, " << base << " ms, seed 11");
  std::mt19937 random(11);
  ManualClock clock;
  YieldControl control(Milliseconds(5));
  Line line{.rate = rate, .base_ms = base, .queue_bits_max = rate * 0.2};
  double carried = 0;
  const Seen seen = run(control, line, clock, carried, 60, 15, 1e12, random);
  CHECK(seen.mean_rate >= 0.9 * rate);
  CHECK(seen.p95_ms <= 5.0);
}

TEST_CASE("when others come they get the line, and when they go the mirror takes it again",
          "[mirror][yield]") {
  std::mt19937 random(12);
  ManualClock clock;
  YieldControl control(Milliseconds(5));
  Line line{.rate = 500e6, .queue_bits_max = 500e6 * 0.2};
  double carried = 0;
  run(control, line, clock, carried, 30, 0, 1e12, random);
  line.others = 300e6;  // a download that takes what it wants
  const Seen beside = run(control, line, clock, carried, 40, 20, 1e12, random);
  CHECK(beside.p95_ms <= 5.0);
  CHECK(beside.mean_rate >= 0.8 * 200e6);
  line.others = 520e6;  // others fill the line by themselves: a standing queue
  const Seen full = run(control, line, clock, carried, 40, 30, 1e12, random);
  CHECK(full.mean_rate <= 0.02 * 500e6);
  line.others = 0;
  const Seen free = run(control, line, clock, carried, 40, 15, 1e12, random);
  CHECK(free.mean_rate >= 0.9 * 500e6);
  CHECK(free.p95_ms <= 5.0);
}

TEST_CASE("after others have filled the line the mirror is back within seconds, on a path that wavers too", "[mirror][yield]") {
  const double noise = GENERATE(0.15, 0.6);
  const double rate = GENERATE(20e6, 100e6, 500e6, 1e9);
  INFO("line " << rate << " bit/s, noise of " << noise << " ms, seed 14");
  std::mt19937 random(14);
  ManualClock clock;
  YieldControl control(Milliseconds(5));
  Line line{.rate = rate, .queue_bits_max = rate * 0.2, .noise_ms = noise};
  double carried = 0;
  const double before = run(control, line, clock, carried, 30, 15, 1e12, random).mean_rate;
  line.others = 1.04 * rate;
  CHECK(run(control, line, clock, carried, 20, 19, 1e12, random).mean_rate <= 0.1 * rate);
  line.others = 0;
  double seconds = 0;
  while (seconds < 60 && run(control, line, clock, carried, 0.5, 0, 1e12, random).mean_rate < 0.9 * before) seconds += 0.5;
  CHECK(seconds <= 6);
  CHECK(run(control, line, clock, carried, 20, 0, 1e12, random).p95_ms <= 5.0);
}

TEST_CASE("a mirror that begins beside others takes the line as soon as they have gone", "[mirror][yield]") {
  std::mt19937 random(16);
  ManualClock clock;
  YieldControl control(Milliseconds(5));
  Line line{.others = 520e6};
  double carried = 0;
  control.on_echo(Milliseconds(20), clock.now());  // before they came
  CHECK(run(control, line, clock, carried, 20, 19, 1e12, random).mean_rate <= 0.1 * line.rate);
  line.others = 0;
  CHECK(run(control, line, clock, carried, 30, 12, 1e12, random).mean_rate >= 0.9 * line.rate);
}

TEST_CASE("people who come and go every few seconds do not wait longer for the mirror's return", "[mirror][yield]") {
  std::mt19937 random(15);
  ManualClock clock;
  YieldControl control(Milliseconds(5));
  Line line{.queue_bits_max = 500e6 * 0.2};
  double carried = 0;
  run(control, line, clock, carried, 30, 0, 1e12, random);
  double worst = 0;
  for (int i = 0; i < 10; ++i) {  // they leave a third of the line free, then all of it
    line.others = i % 2 == 0 ? 330e6 : 0;
    worst = std::max(worst, run(control, line, clock, carried, 12, 6, 1e12, random).p95_ms);
  }
  CHECK(worst <= 5.0);
}

TEST_CASE("a slow source does not raise the rate that it does not use", "[mirror][yield]") {
  std::mt19937 random(13);
  ManualClock clock;
  YieldControl control(Milliseconds(5));
  Line line;
  double carried = 0;
  run(control, line, clock, carried, 30, 0, 50e6, random);
  CHECK(control.rate({static_cast<std::uint64_t>(carried / 8)}, clock.now()).value <= 90'000'000);
}

TEST_CASE("without echoes the rate stays where it is", "[mirror][yield]") {
  ManualClock clock;
  YieldControl control(Milliseconds(5));
  for (int i = 0; i < 100; ++i) {
    clock.advance(Milliseconds(100));
    CHECK(control.rate({0}, clock.now()) == YieldControl::rate_first);
  }
}

}  // namespace lt::mirror

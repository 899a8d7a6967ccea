#include "tunnel/queue_governor.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <deque>
#include <random>
#include <utility>

using namespace lt;
using namespace lt::tunnel;
using namespace std::chrono_literals;

namespace {

/// A line as a fluid: a sender that always wants more, a rate, a buffer, a round trip. What the
/// sender may have under way beyond the line is what any buffer-filling TCP would: the whole buffer.
class Line {
 public:
  double rate{62.5e6};         // of the line (unit: B/s)
  double buffer{1.25e6};       // before it (unit: B)
  double foreign_queue{0};     // of somebody else, always there (unit: B)
  double loss{0};              // share of bytes sent again
  double jitter{0};            // of the measured round trip (unit: s)
  double packet_jitter{0};     // of each packet's, which the kernel smooths (unit: s)
  double wander{0};            // what the delay wanders by to either side, each way, as in the lab (unit: s)
  bool starts{false};          // the sender begins with ten packets a round trip, and doubles
  std::chrono::nanoseconds base;
  double overcounted{0};       // of what is said to be delivered (unit: B)
  bool is_backlogged{true};
  double offered{4};  // what the sender would send uncapped (unit: rates of the line)
  std::mt19937_64 random{1};

  explicit Line(std::chrono::nanoseconds target, std::chrono::nanoseconds round_trip = 20ms)
      : base(round_trip), governor(target) {}

  /// Lets `time` pass, and keeps what the queue and the delivery were.
  void run(std::chrono::nanoseconds time) {
    delays.clear();
    if (delivered_ == 0) idle(1s);  // a slow start begins without a queue
    const double base_seconds = std::chrono::duration<double>(base).count();
    if (start_rate_ == 0) start_rate_ = starts ? 14'480 / base_seconds : 1e18;
    const double before = delivered_;
    const Instant until = now + time;
    constexpr auto step = 1ms;
    while (now < until) {
      const double seconds = std::chrono::duration<double>(step).count();
      const double cap = static_cast<double>(governor.cap());
      start_rate_ = std::min(1e18, start_rate_ * std::exp2(seconds / base_seconds));
      const double wanted = is_backlogged ? std::min({cap, offered * rate, start_rate_}) : rate / 10;
      queue_ = std::min(buffer, queue_ + wanted * seconds);
      const double out = std::min(queue_, rate * seconds);
      queue_ -= out;
      delivered_ += out;
      lost_ += out * loss;
      smooth(out / 1448);
      now += step;
      delays.push_back(queue_ / rate);
      if (now < governor.next_sample()) continue;
      static_cast<void>(governor.take(sample(), now));
    }
    used = (delivered_ - before) / (rate * std::chrono::duration<double>(time).count());
  }
  /// The sender has nothing but a PING a second.
  void idle(std::chrono::nanoseconds time) {
    const bool was_backlogged = std::exchange(is_backlogged, false);
    for (const Instant until = now + time; now < until; now += 1s) static_cast<void>(governor.take(sample(), now));
    is_backlogged = was_backlogged;
  }
  [[nodiscard]] double delay_ms(double share) {
    std::sort(delays.begin(), delays.end());
    return 1000 * delays.at(static_cast<std::size_t>(share * static_cast<double>(delays.size() - 1)));
  }

  QueueGovernor governor;
  Instant now{std::chrono::hours(1)};
  std::vector<double> delays;  // of the queue, each millisecond (unit: s)
  double used{0};              // share of the line

 private:
  [[nodiscard]] PathSample sample() {
    std::uniform_real_distribution<double> noise(0, jitter);
    const double delay = (queue_ + foreign_queue) / rate + noise(random) + smoothed_jitter_ + wandered();
    return {.rtt = base + std::chrono::nanoseconds(std::llround(delay * 1e9)),
            .delivered = static_cast<std::uint64_t>(delivered_ + overcounted),
            .retransmitted = static_cast<std::uint64_t>(lost_),
            .is_backlogged = is_backlogged};
  }

  // There and back: from knot to knot, in a straight line.
  double wandered() {
    if (wander == 0) return 0;
    std::uniform_real_distribution<double> knot(-wander, wander);
    const auto distance = std::max<std::chrono::nanoseconds>(10ms, std::chrono::nanoseconds(std::llround(4e9 * wander)));
    double both = 0;
    for (auto& [from, to] : knots_) {
      if (now - knots_at_ >= 2 * distance) from = knot(random);
      else if (now - knots_at_ >= distance) from = to;
      if (now - knots_at_ >= distance) to = knot(random);
      const double share = std::chrono::duration<double>(now - knots_at_) / distance;
      both += from + (to - from) * (share >= 1 ? 0 : share);
    }
    if (now - knots_at_ >= distance) knots_at_ = now;
    return both;
  }

  // As the kernel does: each acknowledged packet counts for an eighth.
  void smooth(double packets) {
    if (packet_jitter == 0) return;
    std::uniform_real_distribution<double> late(0, packet_jitter);
    for (unacknowledged_ += packets; unacknowledged_ >= 1; --unacknowledged_)
      smoothed_jitter_ += (late(random) - smoothed_jitter_) / 8;
  }

  double start_rate_{0};
  std::array<std::pair<double, double>, 2> knots_{};
  Instant knots_at_{};
  double smoothed_jitter_{0};
  double unacknowledged_{0};
  double queue_{0};
  double delivered_{0};
  double lost_{0};
};

}  // namespace

TEST_CASE("the governor keeps the queue short and the line full, at any rate and round trip",
          "[tunnel][governor]") {
  const double mbit = GENERATE(2.0, 20.0, 100.0, 500.0, 1000.0, 10000.0);
  const auto base = GENERATE(5ms, 20ms, 80ms, 200ms);
  INFO(mbit << " Mbit/s, " << base.count() << " ms");
  Line line(3ms, base);
  line.rate = mbit * 125e3;
  line.buffer = line.rate * std::chrono::duration<double>(base).count();
  line.run(400 * base);  // it has to find the line first
  line.run(600 * base);
  CHECK(line.delay_ms(0.95) <= 6.5);
  CHECK(line.delay_ms(0.5) <= 3.0);
  CHECK(line.used >= 0.97);
}

TEST_CASE("without the governor the buffer stands full", "[tunnel][governor]") {
  Line line(0ms);
  line.run(10s);
  CHECK_FALSE(line.governor.is_on());
  CHECK(line.delay_ms(0.5) == Approx(20).margin(1));
  CHECK(line.governor.cap() == QueueGovernor::no_cap);
}

TEST_CASE("a line that becomes narrower is followed within seconds, one that becomes wider is found",
          "[tunnel][governor]") {
  Line line(3ms);
  line.run(10s);
  line.rate /= 2;
  line.run(5s);
  line.run(5s);
  CHECK(line.delay_ms(0.95) <= 6.0);
  CHECK(line.used >= 0.96);
  line.rate *= 4;
  line.run(10s);
  line.run(10s);
  CHECK(line.used >= 0.95);
  CHECK(line.delay_ms(0.95) <= 6.0);
}

TEST_CASE("beside a queue that is not ours the lane does not starve", "[tunnel][governor]") {
  Line line(3ms);
  line.run(5s);
  for (int i = 1; i <= 8; ++i) {  // somebody else, who fills what is left to him
    line.foreign_queue = line.rate * 0.0125 * i;
    line.run(500ms);
  }
  CHECK(line.governor.cap() == QueueGovernor::no_cap);
  line.run(10s);
  CHECK(line.used >= 0.9);
  line.foreign_queue = 0;
  line.run(60s);
  line.run(20s);
  CHECK(line.governor.cap() != QueueGovernor::no_cap);
  CHECK(line.delay_ms(0.95) <= 6.0);
}

TEST_CASE("a path that becomes longer is no queue, and a shorter one is found", "[tunnel][governor]") {
  Line line(3ms);
  line.run(5s);
  line.base = 45ms;
  line.run(2s);
  line.run(10s);
  CHECK(line.used >= 0.95);
  CHECK(line.delay_ms(0.95) <= 7.0);
  line.base = 12ms;
  line.run(12s);
  line.run(10s);
  CHECK(line.used >= 0.95);
  CHECK(line.delay_ms(0.95) <= 7.0);
}

TEST_CASE("on a line that loses packets without a queue nothing is capped", "[tunnel][governor]") {
  const double loss = GENERATE(1e-4, 1e-3, 1e-2);
  Line line(3ms);
  line.loss = loss;
  line.run(10s);
  INFO("loss " << loss);
  unsigned uncapped = 0;
  for (int i = 0; i < 20; ++i) {
    line.run(1s);
    if (line.governor.cap() == QueueGovernor::no_cap) ++uncapped;
  }
  CHECK(uncapped >= 15);
}

TEST_CASE("a line that is lossy for minutes is left alone for minutes, and governed once it is sound", "[tunnel][governor]") {
  Line line(3ms, 80ms);
  line.loss = 1e-3;
  line.run(2s);
  line.offered = 0.95;  // bbr there: it fills the line, and no buffer
  line.run(3s);
  for (int second = 0; second < 120; ++second) {
    line.run(1s);
    REQUIRE(line.governor.cap() == QueueGovernor::no_cap);
    REQUIRE(line.used >= 0.94);
  }
  line.loss = 0;
  line.offered = 4;
  line.run(60s);
  line.run(20s);
  CHECK(line.governor.cap() != QueueGovernor::no_cap);
  CHECK(line.delay_ms(0.95) <= 6.0);
}

TEST_CASE("on a radio line, whose round trip wavers, a sender starts as on any other, and finds a short queue",
          "[tunnel][governor]") {
  const double mbit = GENERATE(20.0, 60.0, 500.0);
  const auto base = GENERATE(20ms, 50ms, 200ms);
  const double jitter = GENERATE(0.001, 0.004, 0.016, 0.032);
  INFO(mbit << " Mbit/s, " << base.count() << " ms, " << jitter * 1000 << " ms of jitter");
  Line line(3ms, base);
  line.rate = mbit * 125e3;
  line.buffer = line.rate * 0.2;
  line.packet_jitter = jitter;
  line.starts = true;
  line.run(1s);
  line.run(2s);
  CHECK(line.used >= 0.5);
  line.run(7s);
  line.run(50s);
  CHECK(line.used >= 0.95);
  CHECK(line.delay_ms(0.5) <= 20);
}

TEST_CASE("where the delay wanders, the line is carried full, and a sender who wants more finds more", "[tunnel][governor]") {
  const double mbit = GENERATE(20.0, 60.0, 500.0);
  const auto base = GENERATE(20ms, 50ms, 200ms);
  const double wander = GENERATE(0.001, 0.004, 0.008);
  const double first = GENERATE(0.3, 1.0);  // what the sender wants at first (unit: rates of the line)
  const unsigned seed = GENERATE(1U, 2U, 3U);
  INFO(mbit << " Mbit/s, " << base.count() << " ms +-" << wander * 1000 << " ms, at first " << first << ", seed " << seed);
  Line line(3ms, base);
  line.random.seed(seed);
  line.rate = mbit * 125e3;
  line.buffer = line.rate * 0.2;
  line.wander = wander;
  line.starts = true;
  line.offered = first;
  line.idle(10s);
  line.run(1s);
  for (int second = 1; second < 10; ++second) {
    if (second == 4) line.offered = 4;
    line.run(1s);
    INFO("second " << second);
    if (second > 1) CHECK(line.used >= 0.2);  // the first is the start
  }
  line.run(30s);
  CHECK(line.used >= 0.9);
  // A delay that goes up and down by nearly all of itself looks like a queue: there the buffer fills, as without a governor.
  if (wander < 0.4 * std::chrono::duration<double>(base).count()) CHECK(line.delay_ms(0.5) <= 14);
}

TEST_CASE("a lane that has nothing to send learns nothing and caps nothing", "[tunnel][governor]") {
  Line line(3ms);
  line.is_backlogged = false;
  line.jitter = 0.050;
  line.run(60s);
  CHECK(line.governor.cap() == QueueGovernor::no_cap);
}

// What is acknowledged out of order is counted in whole segments, and taken back when the rest has come.
TEST_CASE("a count of delivered bytes that steps back while a queue stands is no rate", "[tunnel][governor]") {
  const auto stepped_after = GENERATE(range(0, 400, 10));
  INFO("stepped back " << stepped_after << " ms after the line was full");
  Line line(3ms);
  line.jitter = 0.008;  // so that a queue is proven late
  line.offered = 0.5;
  line.overcounted = 1e9;
  line.run(2s);
  line.offered = 1.02;
  line.run(std::chrono::milliseconds(stepped_after));
  line.overcounted = 0;
  for (int i = 0; i < 200; ++i) {
    line.run(5ms);
    const bool is_capped = line.governor.cap() != QueueGovernor::no_cap;
    REQUIRE((!is_capped || static_cast<double>(line.governor.cap()) < 3 * line.rate));
  }
}

TEST_CASE("whatever a connection tells, the cap never falls below a trickle", "[tunnel][governor]") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  QueueGovernor governor(3ms);
  Instant now{std::chrono::hours(1)};
  for (int i = 0; i < 100'000; ++i) {
    now += std::chrono::microseconds(random() % 300'000);
    const PathSample sample{.rtt = std::chrono::nanoseconds(static_cast<std::int64_t>(random() % 2'000'000'000)),
                            .delivered = random() >> (random() % 64),
                            .retransmitted = random() >> (random() % 64),
                            .is_backlogged = random() % 4 != 0};
    static_cast<void>(governor.take(sample, now));
    REQUIRE(governor.cap() >= 128'000);
    REQUIRE(governor.next_sample() > now);
  }
}

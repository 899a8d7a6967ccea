#include "lab/wan_model.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <optional>
#include <vector>

using namespace lt;
using namespace lt::lab;

namespace {

constexpr Bytes packet = 1500_B;

WanSettings settings(const std::vector<std::string>& words) {
  const auto parsed = WanSettings::parse(words, WanSettings{});
  REQUIRE(parsed);
  return *parsed;
}

// A model with a clock of its own.
struct Line {
  explicit Line(const std::vector<std::string>& words, Direction direction = Direction::to_offsite)
      : model(settings(words), direction, clock.now()) {}

  bool send(Bytes size = packet) { return model.offer(size, clock.now()) == Offer::accepted; }
  std::vector<Departure> receive() {
    std::vector<Departure> departures;
    while (const auto departure = model.take(clock.now()))
      departures.push_back(*departure);
    REQUIRE(model.counters().conserved());
    return departures;
  }
  std::optional<Departure> receive_after(Nanoseconds time) {
    clock.advance(time);
    const auto departures = receive();
    return departures.empty() ? std::nullopt : std::optional(departures.front());
  }
  void set(const std::vector<std::string>& words) {
    const auto parsed = WanSettings::parse(words, model.settings());
    REQUIRE(parsed);
    model.set(*parsed, clock.now());
  }
  // The fates of `count` packets, one a millisecond; true: lost.
  std::vector<bool> fates(int count) {
    std::vector<bool> lost;
    for (int i = 0; i < count; ++i) {
      REQUIRE(send());
      for (const Departure& departure : receive())
        lost.push_back(departure.fate == Fate::lost);
      clock.advance(1ms);
    }
    return lost;
  }

  ManualClock clock;
  WanModel model;
};

std::uint64_t count_lost(const std::vector<bool>& fates) {
  return static_cast<std::uint64_t>(std::count(fates.begin(), fates.end(), true));
}

// |z| <= 4 fails once in 16,000 for a true coin; with a fixed seed it fails always or never.
void check_share(std::uint64_t hits, double count, double share, double variance_factor = 1) {
  const double deviation = std::sqrt(count * share * (1 - share) * variance_factor);
  const double z = (static_cast<double>(hits) - count * share) / deviation;
  CAPTURE(hits, count * share, z);
  CHECK(std::abs(z) <= 4);
}

}  // namespace

TEST_CASE("a line without limits delivers at once and unchanged", "[lab][model]") {
  Line line({"rate=unlimited"});
  REQUIRE(line.send());
  const auto departures = line.receive();
  REQUIRE(departures.size() == 1);
  CHECK(departures[0].fate == Fate::delivered);
  CHECK(departures[0].due == line.clock.now());
  CHECK_FALSE(departures[0].flip);
}

TEST_CASE("a packet is delayed by exactly the delay and the time on the line", "[lab][model]") {
  Line line({"rate=12mbit", "delay=10ms"});  // 1500 bytes take 1 ms
  const Instant sent = line.clock.now();
  REQUIRE(line.send());
  CHECK_FALSE(line.receive_after(11ms - 1ns));
  const auto departure = line.receive_after(1ns);
  REQUIRE(departure);
  CHECK(departure->due == sent + 11ms);
}

TEST_CASE("packets sent together leave one by one at the rate of the line", "[lab][model]") {
  Line line({"rate=12mbit", "queue=1MB"});
  const Instant sent = line.clock.now();
  for (int i = 0; i < 100; ++i)
    REQUIRE(line.send());
  line.clock.advance(100ms);
  const auto departures = line.receive();
  REQUIRE(departures.size() == 100);
  for (std::size_t i = 0; i < departures.size(); ++i)
    CHECK(departures[i].due == sent + (i + 1) * 1ms);
}

TEST_CASE("the line's times do not depend on how often the caller looks", "[lab][model]") {
  const std::uint64_t seed = 20260731;
  INFO("seed " << seed);
  std::vector<std::vector<Instant>> results;
  for (const Nanoseconds step : {Nanoseconds(10us), Nanoseconds(1ms), Nanoseconds(7777us)}) {
    Line line({"rate=50mbit", "delay=5ms", "jitter=2ms", "queue=100kB", "seed=5"});
    Random random(seed);
    std::vector<Instant> dues;
    Instant looked = line.clock.now();
    for (int i = 0; i < 2000; ++i) {
      line.clock.advance(Nanoseconds(random.next() % 400'000));
      static_cast<void>(line.send(Bytes{64 + random.next() % 1400}));
      if (line.clock.now() - looked < step) continue;
      looked = line.clock.now();
      for (const Departure& departure : line.receive())
        dues.push_back(departure.due);
    }
    line.clock.advance(1s);
    for (const Departure& departure : line.receive())
      dues.push_back(departure.due);
    results.push_back(std::move(dues));
  }
  CHECK(results[0] == results[1]);
  CHECK(results[0] == results[2]);
}

TEST_CASE("the queue takes its bytes and not one more, beside the packet on the line",
          "[lab][model]") {
  Line line({"rate=12mbit", "queue=4500b"});
  for (int i = 0; i < 4; ++i)
    CHECK(line.send());
  CHECK_FALSE(line.send(1_B));
  CHECK(line.model.counters().packets_dropped_queue == 1);
  CHECK(line.model.counters().bytes_held == 6000);
  line.clock.advance(1ms);  // one leaves, the next goes onto the line
  CHECK(line.receive().size() == 1);
  CHECK_FALSE(line.send(1501_B));
  CHECK(line.send());
  CHECK(line.model.counters().packets_dropped_queue == 2);
}

TEST_CASE("a queue of nothing passes a packet when the line is free", "[lab][model]") {
  Line line({"rate=12mbit", "queue=0b"});
  CHECK(line.send());
  CHECK_FALSE(line.send());
  line.clock.advance(1ms);
  CHECK(line.send());
}

TEST_CASE("random loss stays within the binomial bound for its seed", "[lab][model]") {
  const auto seed = GENERATE(1, 2, 3, 4);
  const auto percent = GENERATE(0.1, 1.0, 30.0);
  CAPTURE(seed, percent);
  Line line(
      {"rate=unlimited", "loss=" + std::to_string(percent) + "%", "seed=" + std::to_string(seed)});
  constexpr int count = 20'000;
  const auto lost = count_lost(line.fates(count));
  check_share(lost, count, percent / 100);
  CHECK(line.model.counters().packets_lost_single == lost);
}

TEST_CASE("loss of all loses all and loss of nothing loses nothing", "[lab][model]") {
  CHECK(count_lost(Line({"loss=100%"}).fates(1000)) == 1000);
  CHECK(count_lost(Line({"loss=0%"}).fates(1000)) == 0);
}

TEST_CASE("one seed is one fate, another seed or direction is another", "[lab][model]") {
  const auto fates = Line({"loss=10%", "burst=5%/4", "seed=9"}).fates(2000);
  CHECK(Line({"loss=10%", "burst=5%/4", "seed=9"}).fates(2000) == fates);
  CHECK(Line({"loss=10%", "burst=5%/4", "seed=10"}).fates(2000) != fates);
  CHECK(Line({"loss=10%", "burst=5%/4", "seed=9"}, Direction::to_office).fates(2000) != fates);
}

TEST_CASE("settings of another kind do not shift the sequence of losses", "[lab][model]") {
  const auto fates = Line({"loss=10%", "seed=9"}).fates(2000);
  CHECK(Line({"loss=10%", "seed=9", "corrupt=50%"}).fates(2000) == fates);
}

TEST_CASE("setting the seed anew begins its sequence again", "[lab][model]") {
  Line line({"loss=20%", "seed=1"});
  const auto first = line.fates(1000);
  CHECK(line.fates(1000) != first);
  line.set({"seed=2"});
  line.set({"seed=1"});
  CHECK(line.fates(1000) == first);
}

TEST_CASE("bursts have the share and the mean length that were asked for", "[lab][model]") {
  const auto seed = GENERATE(1, 2, 3);
  const auto share = GENERATE(0.05, 0.5);
  CAPTURE(seed, share);
  const double length = share < 0.1 ? 8 : 4;
  constexpr int count = 50'000;
  Line line({share < 0.1 ? "burst=5%/8" : "burst=50%/4", "seed=" + std::to_string(seed)});
  const auto fates = line.fates(count);
  // Neighbours resemble each other: the variance of a two-state chain is larger than that of a
  // coin.
  const double leave = 1 / length;
  const double resemblance = 1 - leave - leave * share / (1 - share);
  check_share(count_lost(fates), count, share, (1 + resemblance) / (1 - resemblance));
  double bursts = 0;
  for (std::size_t i = 1; i < fates.size(); ++i)
    bursts += fates[i] && !fates[i - 1] ? 1 : 0;
  const double mean = static_cast<double>(count_lost(fates)) / bursts;
  // A geometric length has a deviation of sqrt(length (length - 1)).
  CHECK(std::abs(mean - length) <= 4 * std::sqrt(length * (length - 1) / bursts));
  CHECK(line.model.counters().packets_lost_burst == count_lost(fates));
}

TEST_CASE("corruption stays within the binomial bound and delivers", "[lab][model]") {
  Line line({"rate=unlimited", "corrupt=2%", "seed=11"});
  std::uint64_t flips = 0;
  constexpr int count = 20'000;
  for (int i = 0; i < count; ++i) {
    REQUIRE(line.send());
    for (const Departure& departure : line.receive()) {
      CHECK(departure.fate == Fate::delivered);
      flips += departure.flip ? 1U : 0U;
    }
  }
  check_share(flips, count, 0.02);
  CHECK(line.model.counters().packets_corrupted == flips);
  CHECK(line.model.counters().packets_out == count);
}

TEST_CASE("jitter wanders within its bounds, both ways, and keeps the order", "[lab][model]") {
  const auto seed = GENERATE(1, 2, 3);
  CAPTURE(seed);
  Line line({"rate=unlimited", "delay=20ms", "jitter=8ms", "seed=" + std::to_string(seed)});
  std::vector<Instant> sent;
  std::vector<Instant> received;
  for (int i = 0; i < 20'000; ++i) {  // 2 s, a packet each 100 us
    sent.push_back(line.clock.now());
    REQUIRE(line.send());
    line.clock.advance(100us);
    for (const Departure& departure : line.receive())
      received.push_back(departure.due);
  }
  CHECK(std::is_sorted(received.begin(), received.end()));
  REQUIRE(received.size() > 19'000);
  Nanoseconds least = 1h;
  Nanoseconds most = 0ns;
  for (std::size_t i = 0; i < received.size(); ++i) {
    least = std::min<Nanoseconds>(least, received[i] - sent[i]);
    most = std::max<Nanoseconds>(most, received[i] - sent[i]);
  }
  CHECK(least >= 12ms);
  CHECK(most <= 28ms);
  CHECK(least < 14ms);  // 60 knots, evenly drawn within +-8 ms: the extremes come near the bounds
  CHECK(most > 26ms);
}

TEST_CASE("a shorter delay overtakes nothing that is under way", "[lab][model]") {
  Line line({"rate=unlimited", "delay=100ms"});
  const Instant begin = line.clock.now();
  REQUIRE(line.send());
  line.clock.advance(10ms);
  line.set({"delay=1ms"});
  REQUIRE(line.send());
  CHECK_FALSE(line.receive_after(80ms));
  line.clock.advance(10ms);
  const auto departures = line.receive();
  REQUIRE(departures.size() == 2);
  CHECK(departures[0].due == begin + 100ms);
  CHECK(departures[1].due == begin + 100ms);
  REQUIRE(line.send());
  CHECK(line.receive_after(1ms));
}

TEST_CASE("a new rate holds for all that waits, not for the packet on the line", "[lab][model]") {
  Line line({"rate=12mbit", "queue=1MB"});
  const Instant begin = line.clock.now();
  for (int i = 0; i < 3; ++i)
    REQUIRE(line.send());
  line.clock.advance(500us);
  line.set({"rate=120mbit"});
  line.clock.advance(10ms);
  const auto departures = line.receive();
  REQUIRE(departures.size() == 3);
  CHECK(departures[0].due == begin + 1ms);
  CHECK(departures[1].due == begin + 1100us);
  CHECK(departures[2].due == begin + 1200us);
}

TEST_CASE("a black-out takes what waits, what flies and what comes, and then it is over",
          "[lab][model]") {
  Line line({"rate=12mbit", "delay=5ms", "queue=1MB"});
  for (int i = 0; i < 10; ++i)
    REQUIRE(line.send());
  line.clock.advance(3ms);
  line.set({"blackout=on"});
  CHECK_FALSE(line.send());
  for (const Departure& departure : line.receive())
    CHECK(departure.fate == Fate::lost);
  CHECK(line.model.counters().packets_blackout == 11);
  CHECK(line.model.counters().packets_held == 0);
  CHECK(line.model.counters().bytes_held == 0);
  CHECK(line.model.counters().packets_out == 0);
  CHECK_FALSE(line.model.next_event());
  line.clock.advance(1s);
  line.set({"blackout=off"});
  REQUIRE(line.send());
  const auto departure = line.receive_after(6ms);
  REQUIRE(departure);
  CHECK(departure->fate == Fate::delivered);
}

TEST_CASE("following next_event alone misses no packet and is never late", "[lab][model]") {
  Line line({"rate=100mbit", "delay=3ms", "jitter=1ms", "queue=1MB", "loss=5%"});
  for (int i = 0; i < 500; ++i)
    REQUIRE(line.send());
  std::size_t seen = 0;
  for (int steps = 0; seen < 500; ++steps) {
    REQUIRE(steps < 2000);
    const auto next = line.model.next_event();
    REQUIRE(next);
    line.clock.advance(std::max<Nanoseconds>(*next - line.clock.now(), 0ns));
    for (const Departure& departure : line.receive()) {
      CHECK(departure.due == line.clock.now());
      ++seen;
    }
  }
  CHECK_FALSE(line.model.next_event());
}

TEST_CASE("next_event knows of a packet as soon as it is offered", "[lab][model]") {
  Line line({"rate=12mbit", "delay=2ms", "queue=1MB"});
  CHECK_FALSE(line.model.next_event());
  REQUIRE(line.send());
  CHECK(line.model.next_event() == line.clock.now() + 3ms);
  REQUIRE(line.send());
  CHECK(line.model.next_event() == line.clock.now() + 3ms);
  REQUIRE(line.receive_after(3ms));
  CHECK(line.model.next_event() == line.clock.now() + 1ms);
}

TEST_CASE("what the storage cannot hold is counted apart from what the queue drops",
          "[lab][model]") {
  Line line({"rate=1kbit", "queue=90MB"});
  for (std::size_t i = 0; i < WanModel::packets_held_max; ++i)
    REQUIRE(line.send(40_B));
  CHECK_FALSE(line.send(40_B));
  CHECK(line.model.counters().packets_dropped_storage == 1);
  line.model.refuse_for_storage(40_B);
  CHECK(line.model.counters().packets_dropped_storage == 2);
  CHECK(line.model.counters().packets_dropped_queue == 0);
  CHECK(line.model.counters().conserved());
}

TEST_CASE("packets are conserved whatever happens to the settings", "[lab][model]") {
  const auto seed = GENERATE(1U, 2U, 3U, 4U, 5U);
  INFO("seed " << seed);
  Random random(seed);
  Line line({"rate=50mbit", "delay=2ms", "queue=30kB"});
  const std::vector<std::string> changes{
      "rate=5mbit",           "rate=unlimited", "delay=0ms jitter=0ms",
      "delay=9ms jitter=3ms", "loss=20%",       "loss=0%",
      "burst=10%/3",          "burst=0%",       "blackout=on",
      "blackout=off",         "queue=5kB",      "queue=60kB",
      "corrupt=5%",           "seed=77"};
  std::uint64_t accepted = 0;
  std::uint64_t left = 0;
  Instant last{};
  for (int i = 0; i < 5000; ++i) {
    line.clock.advance(Nanoseconds(random.next() % 300'000));
    accepted += line.send(Bytes{1 + random.next() % 1500}) ? 1U : 0U;
    for (const Departure& departure : line.receive()) {
      CHECK(departure.due <= line.clock.now());
      CHECK(departure.due >= last);
      last = departure.due;
      ++left;
    }
    CHECK(accepted == left + line.model.counters().packets_held);
    if (random.chance(0.02)) {
      const std::string& change = changes[random.next() % changes.size()];
      const auto space = change.find(' ');
      if (space == std::string::npos) {
        line.set({change});
      } else {
        line.set({change.substr(0, space), change.substr(space + 1)});
      }
    }
  }
  line.set({"blackout=on"});
  left += line.receive().size();
  CHECK(accepted == left);
  CHECK(line.model.counters().bytes_held == 0);
}

#include "lab/wan_settings.h"

#include <catch2/catch.hpp>

#include "base/text.h"

using namespace lt;
using namespace lt::lab;

namespace {

Result<WanSettings> parse(const std::vector<std::string>& words) {
  return WanSettings::parse(words, WanSettings{});
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  for (const auto word : split(text, ' '))
    words.emplace_back(word);
  return words;
}

}  // namespace

TEST_CASE("every word is read in its units", "[lab][settings]") {
  const auto settings =
      parse({"rate=500mbit", "delay=10ms", "jitter=1ms", "loss=0.1%", "burst=0.5%/8",
             "corrupt=0.01%", "queue=2MB", "blackout=on", "seed=7"});
  REQUIRE(settings);
  CHECK(settings->rate.value == 500'000'000);
  CHECK(settings->delay == 10ms);
  CHECK(settings->jitter == 1ms);
  CHECK(settings->loss == Approx(0.001));
  CHECK(settings->burst_share == Approx(0.005));
  CHECK(settings->burst_packets == 8);
  CHECK(settings->corrupt == Approx(0.0001));
  CHECK(settings->queue.value == 2'000'000);
  CHECK(settings->blackout);
  CHECK(settings->seed == 7);
}

TEST_CASE("units may be any of the family, in any case, with decimals", "[lab][settings]") {
  CHECK(parse({"rate=1.5gbit"})->rate.value == 1'500'000'000);
  CHECK(parse({"rate=64KBIT"})->rate.value == 64'000);
  CHECK(parse({"rate=1bit"})->rate.value == 1);
  CHECK(parse({"rate=unlimited"})->rate.value == 0);
  CHECK(parse({"delay=250us"})->delay == 250us);
  CHECK(parse({"delay=0.5ms"})->delay == 500us);
  CHECK(parse({"delay=10s", "queue=0B"})->delay == 10s);
  CHECK(parse({"queue=64KiB"})->queue.value == 65536);
  CHECK(parse({"queue=1mib"})->queue.value == 1048576);
  CHECK(parse({"queue=0b"})->queue.value == 0);
  CHECK(parse({"burst=0%"})->burst_share == 0);
  CHECK(parse({"loss=100%"})->loss == 1);
}

TEST_CASE("what is not named stays as it was", "[lab][settings]") {
  const auto base = parse({"rate=10mbit", "delay=5ms", "seed=3"});
  REQUIRE(base);
  const auto changed = WanSettings::parse(std::vector<std::string>{"loss=1%"}, *base);
  REQUIRE(changed);
  CHECK(changed->rate == base->rate);
  CHECK(changed->delay == base->delay);
  CHECK(changed->seed == 3);
  CHECK(WanSettings::parse({}, *base) == *base);
}

TEST_CASE("settings written as words read back as they were", "[lab][settings]") {
  for (const auto& words : std::vector<std::vector<std::string>>{
           {},
           {"rate=512345kbit", "delay=12345us", "jitter=7us"},
           {"loss=0.1%", "burst=0.033%/12.5", "corrupt=0.0001%"},
           {"queue=1234567b", "blackout=on", "seed=18446744073709551615"},
           {"mtu=1492", "fragments=drop", "icmp=drop"},
           {"rate=unlimited", "queue=0b", "loss=33.3%"}}) {
    const auto settings = parse(words);
    REQUIRE(settings);
    CAPTURE(settings->text());
    const auto again = WanSettings::parse(words_of(settings->text()), WanSettings{});
    REQUIRE(again);
    CHECK(*again == *settings);
  }
  CHECK(parse({"loss=0.1%"})->text().find("loss=0.1%") != std::string::npos);
}

TEST_CASE("an unknown word is answered with the nearest known one", "[lab][settings]") {
  const auto settings = parse({"los=1%"});
  REQUIRE_FALSE(settings);
  CHECK(settings.error().code == Errc::invalid);
  CHECK(settings.error().what.find("did you mean loss?") != std::string::npos);
}

TEST_CASE("a value that says nothing clear is refused with its cure", "[lab][settings]") {
  const auto word = GENERATE(
      as<std::string>(), "rate", "rate=", "rate=500", "rate=mbit", "rate=-1mbit", "rate=0mbit",
      "rate=1e3mbit", "rate=500mbits", "rate=101gbit", "rate=nan", "rate=infmbit", "rate= 5mbit",
      "delay=10", "delay=-1ms", "delay=11s", "delay=1e1ms", "jitter=x", "loss=1", "loss=101%",
      "loss=-1%", "loss=%", "loss=0.1%%", "burst=1%", "burst=1%/", "burst=1%/0.5", "burst=1%/x",
      "burst=/5", "burst=1%/2000000", "burst=1%/2/3", "corrupt=2", "queue=5", "queue=97MB",
      "queue=-1kB", "mtu=575", "mtu=1501", "mtu=", "mtu=none", "fragments=off", "icmp=on",
      "blackout=yes", "blackout=", "seed=-1", "seed=1.5", "seed=18446744073709551616", "seed=", "=",
      "=5", "", " ", "rate=5mbit ", "delay=10 ms");
  CAPTURE(word);
  const auto settings = parse({word});
  REQUIRE_FALSE(settings);
  CHECK(settings.error().code == Errc::invalid);
  CHECK(settings.error().what.size() > 20);
}

TEST_CASE("settings that contradict each other are refused", "[lab][settings]") {
  CHECK(parse({"delay=1ms", "jitter=1ms"}));
  CHECK_FALSE(parse({"delay=1ms", "jitter=2ms"}));
  CHECK_FALSE(parse({"burst=100%/10"}));
  CHECK(parse({"burst=50%/1"}));
  CHECK_FALSE(parse({"burst=60%/1"}));  // a burst of 1 is followed by a good packet at least
  CHECK_FALSE(parse({"delay=1ms", "delay=2ms"}));
}

TEST_CASE("more than the emulator can hold is refused, not silently dropped", "[lab][settings]") {
  CHECK(parse({"rate=500mbit", "delay=1s", "queue=33MB"}));
  const auto settings = parse({"rate=500mbit", "delay=1s", "queue=34MB"});
  REQUIRE_FALSE(settings);
  CHECK(settings.error().code == Errc::limit);
}

TEST_CASE("every profile is found by its name and says what it is", "[lab][settings]") {
  for (const char* const name :
       {"wan", "raw", "lan", "fibre", "dsl", "lte", "lossy", "intercontinental", "satellite"}) {
    CAPTURE(name);
    const auto profile = find_profile(name);
    REQUIRE(profile);
    CHECK(profile->name == name);
    CHECK_FALSE(profile->summary.empty());
    CHECK(profile->raw == (profile->name == "raw"));
  }
  const auto wan = find_profile("wan");
  for (const Direction direction : all_directions) {
    CHECK(wan->of(direction).rate.value == 500'000'000);
    CHECK(wan->of(direction).delay == 10ms);
  }
  const auto missing = find_profile("satelite");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().what.find("did you mean satellite?") != std::string::npos);
}

// What a lane of cubic runs until slow start has ended, by samples that are written down here.
#include "tunnel/slow_start.h"

#include <catch2/catch.hpp>

using namespace lt::tunnel;

namespace {

using Control = SlowStart::Control;

constexpr PathSample calm{.is_backlogged = false, .is_in_slow_start = true};
constexpr PathSample bulk{.is_backlogged = true, .is_in_slow_start = true};
constexpr PathSample ended{.is_backlogged = true, .is_in_slow_start = false};

// What came last of so many samples.
std::optional<Control> after(SlowStart& slow_start, const PathSample& sample, int times) {
  std::optional<Control> last;
  for (int i = 0; i < times; ++i) {
    if (const auto change = slow_start.take(sample)) last = change;
  }
  return last;
}

}  // namespace

TEST_CASE("a lane without bulk has reno, which does not guess, and cubic as soon as it has bulk", "[tunnel][slow-start]") {
  SlowStart slow_start;
  CHECK(SlowStart::begins_with == Control::reno);
  CHECK_FALSE(after(slow_start, calm, 1'000));
  CHECK_FALSE(slow_start.take(bulk));  // a burst
  CHECK(slow_start.take(bulk) == Control::cubic);
  CHECK_FALSE(after(slow_start, bulk, 1'000));
  CHECK_FALSE(after(slow_start, calm, 3));
  CHECK(slow_start.take(calm) == Control::reno);  // what it has carried did not fill the path
  CHECK_FALSE(slow_start.has_ended());
}

TEST_CASE("bursts with calm between them are no bulk", "[tunnel][slow-start]") {
  SlowStart slow_start;
  for (int i = 0; i < 100; ++i) {
    CHECK_FALSE(slow_start.take(bulk));
    CHECK_FALSE(slow_start.take(calm));
  }
}

TEST_CASE("once slow start has ended the lane has cubic, for good", "[tunnel][slow-start]") {
  SlowStart of_reno;
  CHECK(of_reno.take(ended) == Control::cubic);
  CHECK(of_reno.has_ended());
  CHECK_FALSE(after(of_reno, calm, 1'000));
  CHECK_FALSE(after(of_reno, bulk, 1'000));

  SlowStart of_cubic;
  REQUIRE(after(of_cubic, bulk, 2) == Control::cubic);
  CHECK_FALSE(of_cubic.take(ended));  // it has it already
  CHECK(of_cubic.has_ended());
  CHECK_FALSE(after(of_cubic, calm, 1'000));
}

TEST_CASE("a lane that is full from its first sample on has cubic from the second, and keeps it", "[tunnel][slow-start]") {
  SlowStart slow_start;
  CHECK(after(slow_start, bulk, 2) == Control::cubic);
  CHECK_FALSE(after(slow_start, bulk, 1'000));
}

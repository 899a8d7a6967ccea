#include "base/units.h"

#include <catch2/catch.hpp>

#include "base/clock.h"

namespace lt {
namespace {

TEST_CASE("counts of one unit add, subtract and compare", "[base][units]") {
  CHECK(1_KiB == Bytes{1024});
  CHECK(1_MiB == Bytes{1048576});
  CHECK(3_B + 4_B == 7_B);
  CHECK(4_B - 3_B == 1_B);
  CHECK(1_KiB < 1_MiB);
  Bytes sum = 1_B;
  sum += 2_B;
  CHECK(sum == 3_B);
}

// Units that must not meet do not compile together.
template <class A, class B>
concept Addable = requires(A a, B b) {
  a + b;
};
static_assert(Addable<Bytes, Bytes>);
static_assert(!Addable<Bytes, Packets>);
static_assert(!Addable<Bytes, BitsPerSecond>);

TEST_CASE("bytes at a rate take their time, rounded up", "[base][units]") {
  CHECK(125'000'000_B / BitsPerSecond{1'000'000'000} == std::chrono::seconds(1));
  CHECK(1500_B / BitsPerSecond{1'000'000'000} == std::chrono::microseconds(12));
  CHECK(1_B / BitsPerSecond{3} == Nanoseconds(2'666'666'667));
  CHECK(0_B / BitsPerSecond{1} == Nanoseconds(0));
  CHECK(Bytes{2147483647} / BitsPerSecond{1'000'000'000} == Nanoseconds(17'179'869'176));
}

TEST_CASE("bytes over a time are a rate", "[base][units]") {
  CHECK(125'000'000_B / Nanoseconds(1'000'000'000) == BitsPerSecond{1'000'000'000});
  CHECK((1500_B / Nanoseconds(12'000)).value == 1'000'000'000);
  CHECK(Bytes{~std::uint64_t{0}} / Nanoseconds(1) == BitsPerSecond{~std::uint64_t{0}});
  CHECK(Bytes{2'305'843'008} / Nanoseconds(1) == BitsPerSecond{18'446'744'064'000'000'000ULL});
  CHECK(Bytes{2'305'843'010} / Nanoseconds(1) == BitsPerSecond{~std::uint64_t{0}});
}

TEST_CASE("a clock that is moved by hand stands still otherwise", "[base][clock]") {
  ManualClock clock;
  const Instant before = clock.now();
  CHECK(clock.now() == before);
  clock.advance(std::chrono::seconds(5));
  CHECK(clock.now() - before == std::chrono::seconds(5));
  const SteadyClock steady;
  const Instant first = steady.now();
  CHECK(first <= steady.now());
}

}  // namespace
}  // namespace lt

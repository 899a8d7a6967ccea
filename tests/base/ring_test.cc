#include "base/ring.h"

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <thread>

namespace lt {
namespace {

TEST_CASE("a ring gives back what was pushed, in order, and refuses what does not fit",
          "[base][ring]") {
  Ring<int, 4> ring;
  CHECK_FALSE(ring.pop());
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 4; ++i)
      CHECK(ring.push(round * 10 + i));
    CHECK_FALSE(ring.push(99));
    CHECK(ring.pop() == round * 10);
    CHECK(ring.push(98));
    CHECK_FALSE(ring.push(99));
    for (int i = 1; i < 4; ++i)
      CHECK(ring.pop() == round * 10 + i);
    CHECK(ring.pop() == 98);
    CHECK_FALSE(ring.pop());
  }
}

TEST_CASE("a ring moves what cannot be copied", "[base][ring]") {
  Ring<std::unique_ptr<int>, 2> ring;
  CHECK(ring.push(std::make_unique<int>(5)));
  const auto popped = ring.pop();
  REQUIRE(popped);
  CHECK(**popped == 5);
}

TEST_CASE("between two threads nothing is lost, doubled or out of order", "[base][ring]") {
  constexpr std::uint64_t count = 200'000;
  Ring<std::pair<std::uint64_t, std::string>, 8> ring;
  std::thread pusher([&] {
    for (std::uint64_t i = 0; i < count;) {
      if (ring.push({i, std::to_string(i)})) {
        ++i;
      } else {
        std::this_thread::yield();
      }
    }
  });
  std::uint64_t faults = 0;
  for (std::uint64_t expected = 0; expected < count;) {
    const auto popped = ring.pop();
    if (!popped) {
      std::this_thread::yield();
      continue;
    }
    if (popped->first != expected || popped->second != std::to_string(expected)) ++faults;
    ++expected;
  }
  pusher.join();
  CHECK(faults == 0);
  CHECK_FALSE(ring.pop());
}

}  // namespace
}  // namespace lt

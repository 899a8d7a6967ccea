#include "tunnel/backoff.h"

#include <catch2/catch.hpp>

namespace lt::tunnel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

milliseconds waited(Backoff& backoff, Instant now, Byte random) {
  return std::chrono::duration_cast<milliseconds>(backoff.next(now, random) - now);
}

TEST_CASE("the first try is made at once, then the waits double to the longest",
          "[tunnel][backoff][P-51]") {
  const Instant now{seconds(1000)};
  for (unsigned random = 0; random < 256; ++random) {
    Backoff backoff(milliseconds(100), milliseconds(5000));
    CHECK(waited(backoff, now, static_cast<Byte>(random)) == milliseconds(0));
    for (const int wanted : {100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000}) {
      const auto wait = waited(backoff, now, static_cast<Byte>(random));
      INFO("random " << random << ", wanted " << wanted);
      CHECK(wait == milliseconds(wanted / 2 + wanted * static_cast<int>(random) / 255));
      CHECK(wait >= milliseconds(wanted / 2));
      CHECK(wait <= milliseconds(wanted + wanted / 2));
    }
  }
}

TEST_CASE("a wait stays at its longest for ever, and begins anew when told so",
          "[tunnel][backoff][P-51][P-52]") {
  const Instant now{seconds(1000)};
  Backoff backoff(milliseconds(100), milliseconds(5000));
  for (int i = 0; i < 100'000; ++i) {
    const auto wait = waited(backoff, now, 255);
    if (wait > milliseconds(7500)) FAIL("wait " << i << " is " << wait.count() << " ms");
  }
  CHECK(waited(backoff, now, 0) == milliseconds(2500));
  backoff.reset();
  CHECK(waited(backoff, now, 255) == milliseconds(0));
  CHECK(waited(backoff, now, 255) == milliseconds(150));
}

}  // namespace
}  // namespace lt::tunnel

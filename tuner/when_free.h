// A server that has just ended a test may still be closing it, at most as long as it waits for a
// silent path: whoever asks again in that time is not turned away.
#pragma once

#include <stop_token>
#include <thread>

#include "base/clock.h"
#include "base/result.h"
#include "tuner/probe.h"

namespace lt::tuner {

inline constexpr Milliseconds busy_patience = silence_max + Milliseconds(2'000);

/// What `ask` gives, asked again while it fails with Errc::busy and there is patience left.
template <class Ask>
[[nodiscard]] auto when_free(const std::stop_token& stop, Ask ask) -> decltype(ask()) {
  const auto until = SteadyClock{}.now() + busy_patience;
  for (;;) {
    auto result = ask();
    const bool is_busy = !result && result.error().code == Errc::busy;
    if (!is_busy || stop.stop_requested() || SteadyClock{}.now() > until) return result;
    std::this_thread::sleep_for(Milliseconds(50));
  }
}

}  // namespace lt::tuner

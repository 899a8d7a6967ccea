// A probe's result as two honest ends make it.
#pragma once

#include "tuner/probe.h"

namespace lt::fuzz {

inline tuner::ProbeResult a_result() {
  tuner::ProbeResult result;
  result.request.data = *IpAddress::parse("10.99.0.2");
  result.up.emplace();
  result.up->bytes = {125'000'000};
  result.up->measured = std::chrono::seconds(1);
  result.up->series.assign(10, 12'500'000);
  result.up->congestion = "cubic";
  result.up->flows = 1;
  result.idle = {.sent = 200, .arrived = 199, .replied = 199, .returned = 198, .latency = tuner::summarise({400, 410, 900})};
  result.client_cpu = {.cpus = 2, .window_seconds = 1, .busy_seconds = 0.5};
  result.client_kernel = "Linux 6.1.0";
  return result;
}

}  // namespace lt::fuzz

// The survey of a line: everything of Physics that two ends can find out over it. Ciphers and
// devices are the machine's; who knows them adds them.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "tuner/bare_segments.h"
#include "tuner/physics.h"
#include "tuner/probe.h"

namespace lt::tuner {

struct SurveyOptions {
  ProbeClientOptions client{};
  IpAddress data{};                   // the far end of the bare line
  std::optional<IpAddress> source{};  // this end of it; none: by route
  std::string congestion{"cubic"};
  Milliseconds duration{3'000};  // of each load
  Milliseconds omit{2'000};      // left out before it
  unsigned flows{4};  // besides one: what one connection leaves unused shows what loss costs it
};

/// `segments` gets what size of TCP segments the line carries. Path MTU and fragments each way, the idle round trip, and the goodput of the bare line each way:
/// the better of one connection and of several. What the line does not let pass becomes a note.
/// @error as run_probe: the bench is at fault
[[nodiscard]] Result<Physics> survey_line(const SurveyOptions& options, BareSegments& segments,
                                          const std::stop_token& stop);

}  // namespace lt::tuner

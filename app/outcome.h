// Outcome: what a command has to say at its end, for people and for programs.
#pragma once

#include <string>

#include "base/json.h"
#include "base/result.h"

namespace lt::app {

/// Exit codes, stable: docs/OPERATING.md.
enum ExitCode : int {
  exit_done = 0,
  exit_failed = 1,
  exit_usage = 2,          // a usage or config error
  exit_not_permitted = 3,
  exit_unreachable = 4,    // the peer
  exit_inconclusive = 5,
};

[[nodiscard]] constexpr int exit_code_of(Errc code) {
  switch (code) {
    case Errc::invalid: return exit_usage;
    case Errc::not_permitted: return exit_not_permitted;
    case Errc::unreachable: return exit_unreachable;
    case Errc::not_found:
    case Errc::exists:
    case Errc::busy:
    case Errc::timed_out:
    case Errc::closed:
    case Errc::protocol:
    case Errc::rejected:
    case Errc::limit:
    case Errc::unsupported:
    case Errc::interrupted:
    case Errc::io: return exit_failed;
  }
  return exit_failed;
}

struct Outcome {
  Json json;         // with a `schema` field; printed with --json
  std::string text;  // printed without
  int exit_code{exit_done};
};

}  // namespace lt::app

// Hooks: programs of the site's own that are told what happened.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace lt::mirror {

struct HookEvent {
  std::string event;    // "done", "failed", "stale", "stalled"
  std::string job;
  std::string dataset;  // empty where the whole job is meant
  std::string text;     // one sentence
};

/// Runs `argv` with the event in its environment, and waits for it at most 30 s. An empty `argv` is
/// no hook. @error the program's own: said, never a reason to stop a run
[[nodiscard]] Status call_hook(const std::vector<std::string>& argv, const HookEvent& event);

}  // namespace lt::mirror

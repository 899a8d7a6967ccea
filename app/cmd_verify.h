// linktune verify and explain: what came of a sweep, some weeks later and knob by knob.
#pragma once

#include <stop_token>
#include <string>

#include "app/outcome.h"

namespace lt::app {

struct VerifyChoiceCommand {
  std::string result;         // the report of a sweep, as `linktune sweep --json` printed it, or its journal
  std::string config_path;    // measure between this site and the other one of its link; or
  std::string run_directory;  // with it: where control sockets are
  std::string lab_profile;    // measure in a lab of this profile; empty: the report's own
};

/// The report of a sweep from the file with it, or from the sweep's journal. @error invalid: neither
[[nodiscard]] Result<Json> read_sweep_report(const std::string& path);

/// Two minutes of bare line, choice and the settings from before. Exit code 0 when the choice holds, 1 when line or
/// choice have changed, 5 when nothing can be said.
[[nodiscard]] Result<Outcome> run_verify(const VerifyChoiceCommand& command, const std::stop_token& stop);

/// What each knob did, from a report or a journal. @error invalid: neither
[[nodiscard]] Result<Outcome> run_explain(const std::string& path);

}  // namespace lt::app

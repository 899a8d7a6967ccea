// The table of what comes after a sweep: `linktune replay`, `explain`, `verify`.
#pragma once

#include "app/cli_shell.h"

namespace lt::app {

void add_sweep_results(CLI::App& app, Shell& shell);

}  // namespace lt::app

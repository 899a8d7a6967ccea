// The table of the probe's command: `linktune probe`, at both ends.
#pragma once

#include "app/cli_shell.h"

namespace lt::app {

void add_probe(CLI::App& app, Shell& shell);

}  // namespace lt::app

// The table of the mirror's commands: `linktune mirror ...`.
#pragma once

#include "app/cli_shell.h"

namespace lt::app {

void add_mirror(CLI::App& app, Shell& shell);

}  // namespace lt::app

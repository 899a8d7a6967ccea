// The table of the commands that prove and restore: `linktune mirror verify | drill | restore | seed`.
#pragma once

#include "app/cli_shell.h"

namespace lt::app {

void add_mirror_proof(CLI::App& group, Shell& shell);

}  // namespace lt::app

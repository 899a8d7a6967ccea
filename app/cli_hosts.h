// The commands of a sweep between two hosts: `sweep agent`, `apply`, `confirm`, `rollback`. Part of the door of CLI11.
#pragma once

#include "app/cli_shell.h"

namespace lt::app {

/// Below `sweep`: agent, and the watcher that trials start.
void add_sweep_agent(CLI::App& sweep, Shell& shell);
/// apply, confirm, rollback, and the watcher that they start.
void add_apply(CLI::App& app, Shell& shell);

}  // namespace lt::app

// The command line: a table of sub-commands, their options and help. The door of CLI11.
#pragma once

namespace lt::app {

/// Runs one command. @return its exit code (outcome.h)
[[nodiscard]] int run_cli(int argc, char** argv);

}  // namespace lt::app

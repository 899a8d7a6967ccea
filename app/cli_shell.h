// Shell: what the tables of commands share. Part of the door of CLI11: included by app/cli*.cc only.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "app/outcome.h"
#include "base/log.h"

namespace lt::app {

// What every command shares, and the one that was chosen.
struct Shell {
  bool json{false};
  std::function<Result<Outcome>(Log&)> command;
};

/// A sub-command of `parent` with the options that all have.
CLI::App* add_command(CLI::App& parent, Shell& shell, const std::string& name, const std::string& about);

}  // namespace lt::app

// Running labs by name: what `linktune lab up | down | exec | set | status` do. Such a lab outlives
// the program that started it; its emulator is a process of its own, `linktune lab emulate`, that
// belongs to no terminal.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/process.h"
#include "base/result.h"
#include "lab/sandbox.h"
#include "lab/topology.h"

namespace lt::lab {

/// Builds a lab and leaves it standing; returns when it carries packets.
/// @param program  the executable that understands `lab emulate --name NAME --ready-fd N`
/// (emulate() below)
/// @return its status
/// @error as Sandbox::build; whatever was made is removed again
[[nodiscard]] Result<Json> up(const SandboxOptions& options, const std::string& program);

/// Removes a lab, or what is left of one: its emulator, what runs in it, namespaces, state.
/// @error not_found: there is none · busy: it belongs to a program that still runs
[[nodiscard]] Status down(const std::string& name);

/// Becomes `argv` inside `host`: returns only when that fails, and its exit code is the program's
/// own.
[[nodiscard]] Status exec(const std::string& name, Host host, const Argv& argv);

/// Changes the WAN of a running lab. @return its status afterwards
/// @error invalid · not_found · unsupported: profile raw · closed: its emulator has ended
[[nodiscard]] Result<Json> set(const std::string& name, Directions directions,
                               const std::vector<std::string>& words);

/// A lab whose owner has ended is told with "running": false. @error not_found: there is no such
/// lab
[[nodiscard]] Result<Json> status(const std::string& name);

/// The background emulator: carries the WAN of the lab `name` until SIGTERM or SIGINT.
/// @param ready_fd  gets "ok", or the reason why not, when the lab carries packets; then it is
/// closed
/// @pre started by up(), whose state file it reads
[[nodiscard]] Status emulate(const std::string& name, int ready_fd);

}  // namespace lt::lab

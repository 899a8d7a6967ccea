// `linktune lab`: the commands behind the words. Parsing of the command line is cli.cc's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/process.h"
#include "base/result.h"

namespace lt::app {

/// `lab up [--name NAME] [--profile PROFILE] [--seed N] [WORD ...]`, with words such as
/// rate=100mbit.
struct LabUpOptions {
  std::string name{"lt"};
  std::string profile{"wan"};
  std::vector<std::string> settings{};              // words for both directions, over the profile's
  std::optional<std::uint64_t> seed{};              // absent: drawn; the status tells it
  std::optional<std::string> congestion_control{};  // of the namespaces; absent: cubic
  std::string program{"/proc/self/exe"};  // becomes the emulator: understands `lab emulate`
};

/// Builds the lab and leaves it standing. @return its status
[[nodiscard]] Result<Json> lab_up(const LabUpOptions& options);

/// Takes the lab down, or what is left of it.
[[nodiscard]] Status lab_down(const std::string& name);

/// `lab exec [--name NAME] HOST -- COMMAND ...`: becomes the command, so that its exit code,
/// terminal and signals are its own; returns only when that fails.
[[nodiscard]] Status lab_exec(const std::string& name, const std::string& host, const Argv& argv);

/// `lab set [--name NAME] [--direction both|to-offsite|to-office] WORD ...`. @return the status
/// afterwards
[[nodiscard]] Result<Json> lab_set(const std::string& name, const std::string& direction,
                                   const std::vector<std::string>& words);

[[nodiscard]] Result<Json> lab_status(const std::string& name);

/// Hidden: `lab emulate --name NAME --ready-fd N`, the background process of `lab up`. Runs until
/// SIGTERM or SIGINT.
/// @pre no other thread runs yet
[[nodiscard]] Status lab_emulate(const std::string& name, int ready_fd);

/// What lab_up, lab_set and lab_status returned, for people: several lines, each ended.
[[nodiscard]] std::string lab_text(const Json& status);

/// The profiles and the words of `lab set`, for --help: several lines, each ended.
[[nodiscard]] std::string lab_help();

}  // namespace lt::app

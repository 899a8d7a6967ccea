// The ssh-shaped shim: what Syncoid finds as `ssh` on its PATH. It takes ssh's arguments, answers those
// about master connections itself, and carries the command to the other site's agent.
//
// There is no ssh here: no shell, no login, no key but the link's. Options that would change what is
// carried (forwardings, another port) are refused; those that only say how ssh should connect are
// taken and mean nothing. Exit status: the command's, or 255 as ssh's own.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"

namespace lt::app {

inline constexpr int ssh_failed = 255;

/// What an ssh command line asks for.
struct SshCall {
  enum class Kind { answer_done, run, version };
  Kind kind{Kind::run};
  std::string host;     // without the user
  std::string command;  // the words, joined by spaces as ssh joins them

  friend bool operator==(const SshCall&, const SshCall&) = default;
};

/// @param words  of the command line, without the program's name
/// @error invalid: an option that cannot be meant here, no host, no command
[[nodiscard]] Result<SshCall> parse_ssh_call(const std::vector<std::string>& words);

/// Whether the command is a `zfs send` or `receive` of data: a stream that is paced and metered.
[[nodiscard]] bool is_stream_command(const std::string& command);

/// Runs it with this process's standard streams. Messages go to standard error.
/// @return the exit status
[[nodiscard]] int run_ssh_shim(const std::vector<std::string>& words, std::stop_token stop);

/// Puts the shim as `ssh` into `folder`, for the PATH of Syncoid. @param program  the path of linktune
[[nodiscard]] Status install_ssh_shim(const std::string& folder, const std::string& program);

}  // namespace lt::app

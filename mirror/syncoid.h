// Syncoid as a child: its argument vector, and what its words mean. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/process.h"
#include "configs/mirror_config.h"

namespace lt::mirror {

/// The host that stands for the other site in Syncoid's arguments; the ssh-shaped shim knows it.
inline constexpr std::string_view peer_host = "root@peer";

/// Syncoid for the one dataset `source` of `job`, without what is below it.
[[nodiscard]] Argv syncoid_argv(const std::string& program, const configs::MirrorJob& job,
                                const std::string& source, const std::string& target);

enum class Trouble : std::uint8_t {
  busy,         // something receives into the target already
  unreachable,  // the link or the agent
  restarted,    // the agent has lost the stream: it runs anew, or the link was away for too long
  no_source,    // the source does not exist
  full,         // the target has no room
  modified,     // the target was written to
  diverged,     // no common snapshot
  damaged,      // what was read or received is broken
  refused,      // the agent does not allow it
  no_program,   // Syncoid or zfs is missing
  other,
};

struct Failure {
  Trouble trouble{Trouble::other};
  std::string what;  // one sentence with its cure

  /// Whether another attempt may succeed without anybody doing anything.
  [[nodiscard]] bool is_passing() const {
    return trouble == Trouble::busy || trouble == Trouble::unreachable || is_gone_by() ||
           trouble == Trouble::damaged || trouble == Trouble::other;
  }
  /// Whether what went wrong is over already: there is nothing to wait for.
  [[nodiscard]] bool is_gone_by() const { return trouble == Trouble::restarted; }
};

/// What Syncoid's last words say about why it ended with `exit_code`.
[[nodiscard]] Failure failure_of(std::string_view words, int exit_code, const std::string& source,
                                 const std::string& target);

/// Words of success in which something went wrong nevertheless: Syncoid 2.1 ends with 0 there.
[[nodiscard]] bool is_hidden_failure(std::string_view words);

}  // namespace lt::mirror

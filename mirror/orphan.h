// Orphan receives: a `zfs receive` that a dead stream left behind blocks every later run, since
// Syncoid sees its target as taken. Found by its words in /proc; it has lost its stream when nobody
// holds the writing end of its pipe, or when a run of ours started it and that run's Syncoid is
// gone. A receive that somebody else runs is left alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lt::mirror {

/// Whether the argument vector (each word ended by a zero byte, as in /proc) is a `zfs send` or
/// `zfs receive`.
[[nodiscard]] bool is_zfs_stream(std::string_view command_line);

/// Whether it is a `zfs receive` into `dataset`.
[[nodiscard]] bool is_receive_into(std::string_view command_line, std::string_view dataset);

/// The processes of this machine that receive into `dataset` and have lost their stream.
[[nodiscard]] std::vector<int> find_orphan_receives(std::string_view dataset);

/// Ends them by SIGTERM. @return how many
unsigned end_orphan_receives(std::string_view dataset);

}  // namespace lt::mirror

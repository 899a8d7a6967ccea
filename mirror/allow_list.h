// The allow list: which commands of Syncoid an agent runs, and on which datasets.
//
// A rule is code that knows one program's options, not a pattern over text: a word that no rule
// expects is a refusal. Datasets are confined to what the config names ([[mirror.receive]], read).
// What is allowed may be narrower than what was asked: in an append-only tree
//
//     zfs rollback -R|-r FS@SNAP   becomes   zfs rollback FS@SNAP
//     zfs receive ... -F ... FS    becomes   a rewind of FS, then zfs receive ... FS
//
// so that ZFS itself refuses where newer snapshots, or a whole dataset, would have to be destroyed.
// Pure, but for command_finder. @source syncoid 2.1.0, 2.3.0; zfs-receive(8), zfs-rollback(8) of OpenZFS 2.2
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "configs/mirror_config.h"
#include "mirror/command_text.h"

namespace lt::mirror {

struct AllowRules {
  std::vector<configs::MirrorReceive> receive;  // may be written into
  std::vector<std::string> read;                // may be read
};

/// An answer that the agent gives by itself, without a child.
struct Answer {
  std::string output;
  int exit_status{0};

  friend bool operator==(const Answer&, const Answer&) = default;
};

/// The answer to `ps -Ao args=`: of all processes the zfs receives into allowed datasets, and no others.
struct ReceiveList {
  friend bool operator==(const ReceiveList&, const ReceiveList&) = default;
};

/// What remains of a `receive -F` in an append-only tree: `dataset` goes back to its newest snapshot, and loses
/// what no snapshot holds. Syncoid rolls back by itself up to 2.1, and leaves it to -F since.
struct Rewind {
  std::string dataset;

  friend bool operator==(const Rewind&, const Rewind&) = default;
};

using AllowedStep = std::variant<Pipeline, Answer, ReceiveList, Rewind>;

/// Tells where a program is, as `command -v` does; nothing: it is not installed.
using CommandFinder = std::function<std::optional<std::string>(const std::string&)>;

/// What of `command` may run, step by step: all of it, or nothing.
/// @error rejected: the sentence names the word that no rule allows
[[nodiscard]] Result<std::vector<AllowedStep>> allow(const CommandText& command, const AllowRules& rules,
                                                     const CommandFinder& find_command);

/// Whether the peer may read `dataset`.
[[nodiscard]] bool may_read(const AllowRules& rules, std::string_view dataset);
/// The rule under which the peer may write into `dataset`, or nothing.
[[nodiscard]] const configs::MirrorReceive* receive_rule(const AllowRules& rules, std::string_view dataset);

/// The dataset that a command line receives into ("zfs receive -s tank/a" as its argument vector).
[[nodiscard]] std::optional<std::string> receive_target(const Argv& argv);

}  // namespace lt::mirror

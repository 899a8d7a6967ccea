// Rewind: the way of a dataset back to its newest snapshot, as two commands of ZFS. Pure.
//
// `zfs receive -F` goes that way before an incremental stream, but destroys newer snapshots with it. Here it is `zfs
// rollback` without -r: should a snapshot come in between, ZFS itself refuses, and nothing that has one is lost.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "mirror/command_text.h"

namespace lt::mirror {

/// The question for the snapshots of `dataset`, newest last.
[[nodiscard]] Pipeline snapshot_question(const std::string& dataset);

/// The rollback that `answer`, the end of what the question printed, asks for; nothing where `dataset` has no snapshot.
[[nodiscard]] std::optional<Pipeline> way_back(const std::string& dataset, std::string_view answer);

}  // namespace lt::mirror

// Executable rule 1: who may include whom, and where each library's door is. The tables are those
// of docs/ARCHITECTURE.md; they stand in layers.cc.
#pragma once

#include "tests/tidy/source_tree.h"

namespace lt::tidy {

/// Checks every #include of the program's own code in `files`.
///
/// A finding for: an include upward or sideways, a file of our own that does not exist, a quoted
/// include that is not written from the root, a library outside its door, a header that no table
/// knows, what a floor must not touch (crypto: sockets and clocks).
[[nodiscard]] std::vector<Finding> check_layers(std::span<const SourceFile> files);

/// Checks the USES lines of the folders' CMakeLists.txt against the same table.
[[nodiscard]] std::vector<Finding> check_cmake_uses(std::span<const SourceFile> files);

}  // namespace lt::tidy

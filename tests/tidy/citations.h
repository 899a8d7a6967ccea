// Executable rule 2: each requirement P-n of docs/PROTOCOL.md is cited by code that obeys it and by
// a test that proves it, and no citation points nowhere.
#pragma once

#include "tests/tidy/source_tree.h"

namespace lt::tidy {

/// @param files  with docs/PROTOCOL.md among them
///
/// A finding for: a requirement without "// P-n" in the program's code or without the tag "[P-n]"
/// in a test, a citation of a number that is no requirement, a number defined twice, a requirement
/// without exactly one MUST. The tests of these checks (tests/tidy) are left out, since they speak
/// of made-up requirements.
[[nodiscard]] std::vector<Finding> check_citations(std::span<const SourceFile> files);

}  // namespace lt::tidy

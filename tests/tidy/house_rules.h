// The rules of the house that a machine can see: names that are banned, doors that are single,
// documents that are true.
#pragma once

#include "tests/tidy/source_tree.h"

namespace lt::tidy {

/// Words and calls that do not belong here (docs/STYLE.md), and headers without a first comment or
/// `#pragma once`.
[[nodiscard]] std::vector<Finding> check_code_words(std::span<const SourceFile> files);

/// No test's name holds a semicolon: CTest would cut the name in two there, run neither half, and call
/// both passed.
[[nodiscard]] std::vector<Finding> check_test_names(std::span<const SourceFile> files);

/// No two headers of a folder define a type of one name: its namespace is the folder's, and the linker would make
/// one destructor of the two without a word.
[[nodiscard]] std::vector<Finding> check_type_names(std::span<const SourceFile> files);

/// Every folder of code has a README that names only files which exist.
[[nodiscard]] std::vector<Finding> check_readmes(std::span<const SourceFile> files);

/// Paths in backticks (`tunnel/wire.h`, `docs/adr/`) in documents exist.
[[nodiscard]] std::vector<Finding> check_document_paths(std::span<const SourceFile> files);

/// Decision records are numbered without a gap, hold every section, and are listed in
/// docs/adr/README.md.
[[nodiscard]] std::vector<Finding> check_decision_records(std::span<const SourceFile> files);

/// What code cites of a study ("security.md D9, B-13..B-15") is a row of docs/REFERENCES.md.
[[nodiscard]] std::vector<Finding> check_references(std::span<const SourceFile> files);

/// The packages that ./run installs are the rows of docs/adr/0014-packages.md.
[[nodiscard]] std::vector<Finding> check_packages(std::span<const SourceFile> files);

/// The glossary's words stand in alphabetical order, each once.
[[nodiscard]] std::vector<Finding> check_glossary(std::span<const SourceFile> files);

}  // namespace lt::tidy

#include <catch2/catch.hpp>

#include "configs/knob.h"
#include "tests/tidy/source_tree.h"

using namespace lt::tidy;

TEST_CASE("the table of knobs in docs/OPERATING.md is the table of the program", "[tidy]") {
  const std::string table = lt::configs::knob_table_markdown();
  std::string page;
  for (const SourceFile& file : read_tree(LINKTUNE_SOURCE_DIR)) {
    if (file.path == "docs/OPERATING.md") page = file.text;
  }
  REQUIRE_FALSE(page.empty());
  for (const std::string_view row : lines_of(table)) {
    INFO("docs/OPERATING.md lacks the row\n" << row);
    CHECK(page.find("\n" + std::string(row) + "\n") != std::string::npos);
  }
  INFO(
      "the rows of docs/OPERATING.md must stand in the order of the program, without others "
      "between");
  CHECK(page.find("\n" + table) != std::string::npos);
}

#include "tests/tidy/house_rules.h"

#include <catch2/catch.hpp>

using namespace lt::tidy;

namespace {

using Check = std::vector<Finding> (*)(std::span<const SourceFile>);

void passes(Check check, const std::vector<SourceFile>& files) {
  const auto findings = check(files);
  INFO(list(findings));
  CHECK(findings.empty());
}

void fails_once(Check check, const std::vector<SourceFile>& files, const std::string& words) {
  const auto findings = check(files);
  INFO(list(findings));
  REQUIRE(findings.size() == 1);
  CHECK_THAT(findings[0].text(), Catch::Contains(words));
}

const std::string record_text =
    "# 1. Title\n\n## Status\n\n## Context\n\n## Decision\n\n## Alternatives\n\n## "
    "Consequences\n\n## Evidence\n\n"
    "## What would change our mind\n";

}  // namespace

TEST_CASE("no test hides behind a semicolon in its name", "[tidy]") {
  passes(check_test_names, read_tree(LINKTUNE_SOURCE_DIR));
  const std::string named = std::string("TEST_") + "CASE(";
  fails_once(check_test_names, {{"tests/a_test.cc", "\n" + named + "\"one; two\", \"[a]\") {}\n"}}, "semicolon");
  passes(check_test_names, {{"tests/a_test.cc", named + "\"one, two\") { f(\";\"); }\n"}});
}

TEST_CASE("no two types of a folder have one name", "[tidy]") {
  passes(check_type_names, read_tree(LINKTUNE_SOURCE_DIR));
  const SourceFile one{"app/one.h", "struct Job {\n};\n"};
  fails_once(check_type_names, {one, {"app/two.h", "\nclass Job final : public Work {\n"}}, "app/one.h");
  fails_once(check_type_names, {one, {"app/two.h", "enum class Job : int { a };\n"}}, "two names");
  passes(check_type_names, {one, {"app/two.h", "struct Job;\n"}, {"lab/two.h", "struct Job {\n"}, {"app/two.cc", "struct Job {\n"}});
}

TEST_CASE("the code holds no banned word, name or call", "[tidy]") {
  passes(check_code_words, read_tree(LINKTUNE_SOURCE_DIR));
}
TEST_CASE("every folder has a README that names existing files", "[tidy]") {
  passes(check_readmes, read_tree(LINKTUNE_SOURCE_DIR));
}
TEST_CASE("documents name existing files", "[tidy]") {
  passes(check_document_paths, read_tree(LINKTUNE_SOURCE_DIR));
}
TEST_CASE("decision records are complete, numbered and listed", "[tidy]") {
  passes(check_decision_records, read_tree(LINKTUNE_SOURCE_DIR));
}
TEST_CASE("what code cites of a study is a row of the references", "[tidy]") {
  passes(check_references, read_tree(LINKTUNE_SOURCE_DIR));
}
TEST_CASE("./run installs the packages that have a reason, and no others", "[tidy]") {
  passes(check_packages, read_tree(LINKTUNE_SOURCE_DIR));
}
TEST_CASE("the glossary is in order", "[tidy]") {
  passes(check_glossary, read_tree(LINKTUNE_SOURCE_DIR));
}

TEST_CASE("a banned word is found with its line, and part of a longer word is not one", "[tidy]") {
  fails_once(check_code_words, {{"tunnel/lane.cc", "int a;\n// TODO later\n"}},
             "tunnel/lane.cc:2: 'TODO'");
  fails_once(check_code_words, {{"tunnel/lane.cc", "class LaneManager;\n"}}, "'Manager'");
  fails_once(check_code_words, {{"tests/base/fd_test.cc", "std::this_thread::sleep_for(1s);\n"}},
             "wait for the event");
  fails_once(check_code_words, {{"crypto/kdf.cc", "if (memcmp(a, b, 4) == 0)\n"}}, "constant time");
  fails_once(check_code_words, {{"tuner/a.cc", "std::printf(\"x\");\n"}}, "app shows");
  fails_once(check_code_words, {{"tunnel/tcp.cc", "setsockopt(fd, SOL_SOCKET, SO_RCVBUF, 1);\n"}},
             "autotuning");
  passes(check_code_words,
         {{"crypto/kdf.cc", "CRYPTO_memcmp(a, b, 4); std::snprintf(x, 1, y); int TODOS;\n"}});
  passes(check_code_words, {{"tunnel/tcp.cc", "// SO_RCVBUF stays unset: never printf( here\n"}});
}

TEST_CASE("only main may catch everything", "[tidy]") {
  fails_once(check_code_words, {{"app/daemon.cc", "} catch (...) {\n"}}, "only main");
  passes(check_code_words, {{"app/main.cc", "} catch (...) {\n"}});
}

TEST_CASE("a file named after nothing is found", "[tidy]") {
  fails_once(check_code_words, {{"base/utils.cc", ""}}, "name the file after what it holds");
  passes(check_code_words, {{"base/text.cc", ""}});
}

TEST_CASE("a header without a first comment or without pragma once is found", "[tidy]") {
  fails_once(check_code_words, {{"base/a.h", "#pragma once\n"}}, "begins with a comment");
  fails_once(check_code_words, {{"base/a.h", "// What it is for.\n"}}, "#pragma once");
  passes(check_code_words, {{"base/a.h", "// What it is for.\n#pragma once\n"}});
}

TEST_CASE("a folder of code without a README is found", "[tidy]") {
  fails_once(check_readmes, {{"lab/wan.cc", ""}}, "lab/README.md: is missing");
  passes(check_readmes, {{"lab/wan.cc", ""},
                         {"lab/README.md", "Read `wan.cc`, then `wan.h` `.cc` and `*.h`."},
                         {"lab/wan.h", ""}});
}

TEST_CASE("a README that names a file of another day is found", "[tidy]") {
  fails_once(check_readmes,
             {{"lab/wan.cc", ""}, {"lab/README.md", "First\n`old.h`, then `wan.cc`."}},
             "lab/README.md:2: names 'old.h'");
}

TEST_CASE("a document that names a path of another day is found", "[tidy]") {
  const SourceFile code{"tunnel/wire.h", ""};
  fails_once(check_document_paths,
             {code, {"docs/A.md", "see `tunnel/wire.h`\nand `tunnel/gone.h`\n"}},
             "docs/A.md:2: names 'tunnel/gone.h'");
  fails_once(check_document_paths, {code, {"README.md", "`tunnel/deep/`"}}, "does not exist");
  passes(check_document_paths,
         {code,
          {"docs/A.md",
           "`tunnel/`, `tunnel/*.cc`, `/etc/linktune/x.h`, `and/or.h`, `tunnel/x = 1`\n"}});
}

TEST_CASE("a decision record that is not listed, not complete or out of number is found",
          "[tidy]") {
  const SourceFile listing{"docs/adr/README.md", "- [1](0001-a.md)\n"};
  passes(check_decision_records, {{"docs/adr/0001-a.md", record_text}, listing});
  fails_once(check_decision_records, {{"docs/adr/0001-a.md", record_text}}, "is not listed");
  fails_once(check_decision_records,
             {{"docs/adr/2-a.md", record_text}, {"docs/adr/README.md", "- [2](2-a.md)\n"}},
             "number of four digits");
  fails_once(check_decision_records,
             {{"docs/adr/0001-a.md", record_text},
              {"docs/adr/0001-b.md", record_text},
              {"docs/adr/README.md", "- [1](0001-a.md)\n- [1](0001-b.md)\n"}},
             "number of another");
  fails_once(check_decision_records, {listing}, "lists '0001-a.md', which does not exist");
  std::string incomplete = record_text;
  incomplete.erase(incomplete.find("## Evidence"), 11);
  fails_once(check_decision_records, {{"docs/adr/0001-a.md", incomplete}, listing},
             "lacks the section 'Evidence'");
}

TEST_CASE("a citation of a study without its row is found", "[tidy]") {
  const SourceFile page{
      "docs/REFERENCES.md",
      "## security.md\n| D9 | a |\n| B-13 | b |\n| 11.4 | c |\n## performance.md\n| 3.1 | d |\n"};
  passes(check_references, {page,
                            {"tunnel/a.h",
                             "// security.md D9, B-13..B-13 and 11.4.\n// performance.md 3.1; 2 "
                             "cores\n/// as security.md\n/// D9 says\n"}});
  fails_once(check_references, {page, {"tunnel/a.h", "// security.md D9, B-14;\n"}},
             "tunnel/a.h:1: cites 'security.md B-14'");
  fails_once(check_references, {page, {"tunnel/a.h", "\n// performance.md 11.4\n"}},
             "tunnel/a.h:2: cites 'performance.md 11.4'");
  fails_once(check_references, {page, {"tunnel/a.h", "// see security.md\n"}},
             "cites 'security.md'");
}

TEST_CASE("a package that is installed without its reason, or listed and not installed, is found",
          "[tidy]") {
  const SourceFile page{"docs/adr/0014-packages.md",
                        "| package | what for |\n|---|---|\n| cmake | a |\n| openvpn | b |\n"};
  passes(check_packages,
         {page, {"run", "build_packages=(\n  cmake\n)\npeer_packages=(openvpn)\necho gcc\n"}});
  fails_once(check_packages, {page, {"run", "x_packages=(cmake openvpn gcc)\n"}}, "installs gcc");
  fails_once(check_packages, {page, {"run", "x_packages=(cmake)\n"}}, "lists openvpn");
  fails_once(check_packages, {{"run", "echo\n"}}, "installs no packages");
}

TEST_CASE("a glossary out of order or with a word twice is found", "[tidy]") {
  passes(check_glossary, {{"docs/GLOSSARY.md", "- **arm**: a\n- **Lane**: b\n- **link**: c\n"}});
  fails_once(check_glossary, {{"docs/GLOSSARY.md", "- **lane**: a\n- **arm**: b\n"}},
             "'arm' does not follow 'lane'");
  fails_once(check_glossary, {{"docs/GLOSSARY.md", "- **lane**: a\n- **lane**: b\n"}},
             "'lane' does not follow 'lane'");
  fails_once(check_glossary, {{"docs/GLOSSARY.md", "# none\n"}}, "holds no word");
}

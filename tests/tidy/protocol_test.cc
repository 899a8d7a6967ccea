#include "tests/tidy/citations.h"

#include <catch2/catch.hpp>

using namespace lt::tidy;

namespace {

const SourceFile protocol{
    "docs/PROTOCOL.md",
    "# LT1\n\n- **P-1** A server MUST be silent.\n- **P-2** A client MUST knock.\n"};
const SourceFile code{"tunnel/knock.cc", "// P-1: silence\nint x;  // see P-2\n"};
const SourceFile proof{"tests/tunnel/knock_test.cc",
                       "TEST_CASE(\"a\", \"[knock][P-1]\") {}\nTEST_CASE(\"b\", \"[P-2]\") {}\n"};

void fails_once(const std::vector<SourceFile>& files, const std::string& text) {
  const auto findings = check_citations(files);
  INFO(list(findings));
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].text() == text);
}

}  // namespace

TEST_CASE("every requirement of the protocol has code and a test, and every citation a requirement",
          "[tidy]") {
  const auto findings = check_citations(read_tree(LINKTUNE_SOURCE_DIR));
  INFO(list(findings));
  CHECK(findings.empty());
}

TEST_CASE("requirements with code and test pass", "[tidy]") {
  CHECK(check_citations(std::vector{protocol, code, proof}).empty());
}

TEST_CASE("a requirement without code is found", "[tidy]") {
  fails_once({protocol, {"tunnel/knock.cc", "// P-1\n"}, proof},
             "docs/PROTOCOL.md:4: P-2 is cited by no code: write // P-2 where it is obeyed");
}

TEST_CASE("a requirement without a test is found", "[tidy]") {
  fails_once({protocol, code, {"tests/tunnel/knock_test.cc", "TEST_CASE(\"a\", \"[P-1]\")\n"}},
             "docs/PROTOCOL.md:4: P-2 is proven by no test: tag one [P-2]");
}

TEST_CASE(
    "a mention outside a comment is no citation of code, and one outside a tag none of a test",
    "[tidy]") {
  fails_once({protocol, {"tunnel/knock.cc", "// P-1\nconst char* x = \"P-2\";\n"}, proof},
             "docs/PROTOCOL.md:4: P-2 is cited by no code: write // P-2 where it is obeyed");
  fails_once({protocol, code, {"tests/tunnel/knock_test.cc", "\"[P-1]\"\n// P-2\n"}},
             "docs/PROTOCOL.md:4: P-2 is proven by no test: tag one [P-2]");
}

TEST_CASE("a citation of the test alone does not stand for the code", "[tidy]") {
  CHECK(check_citations(std::vector{protocol, proof}).size() == 2);
  CHECK(check_citations(std::vector{protocol, code}).size() == 2);
}

TEST_CASE("a citation that points nowhere is found, in code, tests and documents", "[tidy]") {
  fails_once({protocol, code, proof, {"tunnel/lane.cc", "int a;\n/// @source P-3\n"}},
             "tunnel/lane.cc:2: P-3 is no requirement of docs/PROTOCOL.md");
  fails_once({protocol, code, proof, {"tests/tunnel/lane_test.cc", "\"[P-30]\"\n"}},
             "tests/tunnel/lane_test.cc:1: P-30 is no requirement of docs/PROTOCOL.md");
  fails_once({protocol, code, proof, {"docs/THREAT_MODEL.md", "see P-12\n"}},
             "docs/THREAT_MODEL.md:1: P-12 is no requirement of docs/PROTOCOL.md");
}

TEST_CASE("P-1 is not taken for P-12, nor UDP-1 for P-1", "[tidy]") {
  fails_once({{"docs/PROTOCOL.md", "- **P-12** A MUST.\n"},
              {"tunnel/a.cc", "// P-12\n"},
              {"tests/a_test.cc", "[P-12] // UDP-1 P-1a XP-1\n"},
              {"tunnel/b.cc", "// P-1\n"}},
             "tunnel/b.cc:1: P-1 is no requirement of docs/PROTOCOL.md");
}

TEST_CASE("the name of a curve is no citation", "[tidy]") {
  CHECK(check_citations(
            std::vector<SourceFile>{protocol, code, proof, {"crypto/key.cc", "// a P-384 key\n"}})
            .empty());
}

TEST_CASE("a number defined twice is found", "[tidy]") {
  fails_once({{"docs/PROTOCOL.md", protocol.text + "- **P-2** A server MUST, too.\n"}, code, proof},
             "docs/PROTOCOL.md:5: P-2 is defined twice");
}

TEST_CASE("a requirement without exactly one MUST is found", "[tidy]") {
  fails_once(
      {{"docs/PROTOCOL.md", "- **P-1** A server is silent.\n- **P-2** A client MUST knock.\n"},
       code,
       proof},
      "docs/PROTOCOL.md:1: P-1 does not hold exactly one MUST");
  fails_once(
      {{"docs/PROTOCOL.md", "- **P-1** A server MUST and MUST.\n- **P-2** A client MUST knock.\n"},
       code,
       proof},
      "docs/PROTOCOL.md:1: P-1 does not hold exactly one MUST");
}

TEST_CASE("a protocol without requirements is found rather than passed", "[tidy]") {
  fails_once({{"docs/PROTOCOL.md", "# LT1\n"}}, "docs/PROTOCOL.md: holds no requirement");
}

#include "tests/tidy/layers.h"

#include <catch2/catch.hpp>

using namespace lt::tidy;

namespace {

// One finding at the line, with the words in it; everything else about the made-up tree is in
// order.
void fails_once(const std::vector<SourceFile>& files, std::size_t line, const std::string& words) {
  const auto findings = check_layers(files);
  INFO(list(findings));
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].line == line);
  CHECK_THAT(findings[0].text(), Catch::Contains(words));
}

bool passes(const std::vector<SourceFile>& files) {
  const auto findings = check_layers(files);
  INFO(list(findings));
  CHECK(findings.empty());
  return findings.empty();
}

const SourceFile result_h{"base/result.h", "#include <tl/expected.hpp>\n"};

}  // namespace

TEST_CASE("no folder includes upward or sideways, and each library stays behind its door",
          "[tidy]") {
  const auto findings = check_layers(read_tree(LINKTUNE_SOURCE_DIR));
  INFO(list(findings));
  CHECK(findings.empty());
}

TEST_CASE("the USES lines of CMake follow the table of floors", "[tidy]") {
  const auto findings = check_cmake_uses(read_tree(LINKTUNE_SOURCE_DIR));
  INFO(list(findings));
  CHECK(findings.empty());
}

TEST_CASE("the tree that is read holds every folder's code", "[tidy]") {
  const auto files = read_tree(LINKTUNE_SOURCE_DIR);
  for (const char* path :
       {"base/result.h", "crypto/aead.cc", "configs/link_config.h", "tunnel/handshake.cc",
        "docs/PROTOCOL.md", "tests/tidy/layers.cc", "CMakeLists.txt"}) {
    INFO(path);
    CHECK(std::any_of(files.begin(), files.end(),
                      [&](const SourceFile& file) { return file.path == path; }));
  }
  CHECK(std::none_of(files.begin(), files.end(), [](const SourceFile& file) {
    return file.path.find("CMakeFiles") != std::string::npos;
  }));
}

TEST_CASE("an include downward passes", "[tidy]") {
  CHECK(passes({result_h,
                {"crypto/aead.h", "#include <vector>\n#include \"base/result.h\"\n"},
                {"tunnel/sealing.h", "#include \"crypto/aead.h\"\n"},
                {"app/daemon.cc", "#include \"tunnel/sealing.h\"\n"}}));
}

TEST_CASE("an include upward is found with file and line", "[tidy]") {
  fails_once({result_h,
              {"crypto/aead.h", "// one\n\n#include \"tunnel/wire.h\"\n"},
              {"tunnel/wire.h", ""}},
             3, "crypto/aead.h:3: crypto may not include tunnel");
}

TEST_CASE("an include sideways is found", "[tidy]") {
  fails_once({{"tuner/search.cc", "#include \"lab/wan.h\"\n"}, {"lab/wan.h", ""}}, 1,
             "tuner may not include lab");
  fails_once({{"tuner/search.cc", "#include \"crypto/aead.h\"\n"}, {"crypto/aead.h", ""}}, 1,
             "tuner may not include crypto");
  fails_once({{"configs/knob.cc", "#include \"crypto/aead.h\"\n"}, {"crypto/aead.h", ""}}, 1,
             "configs may not include crypto");
}

TEST_CASE("base includes nothing of ours above it", "[tidy]") {
  fails_once({{"base/fd.cc", "#include \"configs/knob.h\"\n"}, {"configs/knob.h", ""}}, 1,
             "it may use nothing of ours");
}

TEST_CASE("an include with odd spaces is read like any other", "[tidy]") {
  fails_once({{"base/fd.cc", "  #  include\t\"app/cli.h\"\n"}, {"app/cli.h", ""}}, 1,
             "base may not include app");
}

TEST_CASE("a quoted include that is not written from the root is found", "[tidy]") {
  fails_once({{"base/fd.cc", "#include \"fd.h\"\n"}, {"base/fd.h", ""}}, 1,
             "not written from the root");
  fails_once({{"base/fd.cc", "#include \"../base/fd.h\"\n"}, {"base/fd.h", ""}}, 1,
             "not written from the root");
  fails_once({{"base/fd.cc", "#include \"tests/support/x.h\"\n"}, {"tests/support/x.h", ""}}, 1,
             "not written from the root");
}

TEST_CASE("an include of a file that does not exist is found", "[tidy]") {
  fails_once({{"base/fd.cc", "#include \"base/gone.h\"\n"}}, 1, "'base/gone.h' does not exist");
}

TEST_CASE("a library outside its door is found", "[tidy]") {
  fails_once({{"tunnel/lane.cc", "#include <openssl/evp.h>\n"}}, 1, "only crypto/* may include it");
  fails_once({{"tuner/search.cc", "#include <boost/math/distributions/normal.hpp>\n"}}, 1,
             "only tuner/distributions.cc");
  fails_once({{"app/daemon.cc", "#include <CLI/CLI.hpp>\n"}}, 1, "only app/cli*");
  fails_once({{"tunnel/link.cc", "#include <boost/asio/io_context.hpp>\n"}}, 1, "outside its door");
  fails_once({{"base/log.h", "#include <spdlog/spdlog.h>\n"}}, 1, "only base/log.cc");
  fails_once({{"base/fd.h", "#include <tl/expected.hpp>\n"}}, 1, "only base/result.h");
}

TEST_CASE("a library at its door passes", "[tidy]") {
  CHECK(passes(
      {{"tuner/probe_server.cc", "#include <boost/asio/ip/tcp.hpp>\n"},
       {"crypto/kdf.cc", "#include <openssl/evp.h>\n"},
       {"tunnel/uring_port.cc", "#include <liburing.h>\n"},
       {"tunnel/netlink.cc",
        "#include <netlink/route/link.h>\n#include <linux/if_tun.h>\n#include <unistd.h>\n"}}));
}

TEST_CASE("a header that no table knows is found", "[tidy]") {
  fails_once({{"app/cli.cc", "#include <boost/regex.hpp>\n"}}, 1, "has no door");
  fails_once({{"app/cli.cc", "#include <curl/curl.h>\n"}}, 1, "has no door");
  fails_once({{"app/cli.cc", "#include <zlib.h>\n"}}, 1, "has no door");
}

TEST_CASE("crypto touches neither sockets nor clocks", "[tidy]") {
  fails_once({{"crypto/tls.cc", "#include <sys/socket.h>\n"}}, 1, "knows no sockets");
  fails_once({{"crypto/tls.cc", "#include <chrono>\n"}}, 1, "knows no clock");
  fails_once({{"crypto/tls.cc", "#include \"base/clock.h\"\n"}, {"base/clock.h", ""}}, 1,
             "knows no clock");
}

TEST_CASE("tests may include what they test", "[tidy]") {
  CHECK(passes({{"tests/tunnel/wire_test.cc",
                 "#include \"tunnel/wire.h\"\n#include <catch2/catch.hpp>\n"}}));
}

TEST_CASE("a USES line against the table of floors is found with its line", "[tidy]") {
  const auto findings = check_cmake_uses(std::vector<SourceFile>{
      {"tuner/CMakeLists.txt",
       "linktune_library(\n  tuner\n  USES linktune::crypto linktune::base)\n"}});
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].text() == "tuner/CMakeLists.txt:3: tuner may not use crypto");
}

TEST_CASE("a USES line within the table of floors passes", "[tidy]") {
  CHECK(
      check_cmake_uses(std::vector<SourceFile>{{"tunnel/CMakeLists.txt",
                                                "add_library(linktune::tunnel ALIAS x)\nUSES "
                                                "linktune::crypto linktune::configs linktune::base)"
                                                " # never linktune::lab\n"}})
          .empty());
}

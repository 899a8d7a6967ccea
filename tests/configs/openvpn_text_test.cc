// OpenVPN's own way of cutting a config into words, in both spaces.
#include "configs/openvpn_text.h"

#include <catch2/catch.hpp>
#include <map>

namespace lt::configs {

namespace {

Result<std::string> nothing_included(const std::string& path) {
  return fail(Errc::not_found, "there is no " + path);
}

std::vector<OpenVpnLine> lines_of(std::string_view text) {
  auto lines = parse_openvpn_text(text, "x.conf", nothing_included);
  INFO((lines ? "" : lines.error().what));
  REQUIRE(lines);
  return *lines;
}

std::string fault_of(std::string_view text) {
  const auto lines = parse_openvpn_text(text, "x.conf", nothing_included);
  REQUIRE_FALSE(lines);
  return lines.error().what;
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("words are cut where OpenVPN cuts them", "[configs][openvpn]") {
  CHECK(lines_of("proto tcp\n")[0].words == Words{"proto", "tcp"});
  CHECK(lines_of("\t proto   tcp  # why\r\n")[0].words == Words{"proto", "tcp"});
  CHECK(lines_of("push \"route 10.0.0.0 255.0.0.0\"")[0].words ==
        Words{"push", "route 10.0.0.0 255.0.0.0"});
  CHECK(lines_of("push 'a \"b\" \\c'")[0].words == Words{"push", "a \"b\" \\c"});
  CHECK(lines_of("ca my\\ file")[0].words == Words{"ca", "my file"});
  CHECK(lines_of("ca \"C:\\\\keys\\\\ca.crt\"")[0].words == Words{"ca", "C:\\keys\\ca.crt"});
  CHECK(lines_of("--tun-mtu 9000")[0].words == Words{"tun-mtu", "9000"});
  CHECK(lines_of("a#b c;d")[0].words == Words{"a#b", "c;d"});
  CHECK(lines_of("push \"\"")[0].words == Words{"push", ""});
  CHECK(lines_of("\xEF\xBB\xBF"
                 "verb 3")[0]
            .words == Words{"verb", "3"});
}

TEST_CASE("empty lines and comments count as lines and hold no words", "[configs][openvpn]") {
  const auto lines = lines_of("# one\n;two\n\n  \nverb 3\n");
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].number == 5);
}

TEST_CASE("what stands in a block is not kept", "[configs][openvpn]") {
  const auto lines = lines_of("<key>\nSECRET \"unbalanced\n</key>\nverb 3\n");
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].option() == "key");
  CHECK(lines[0].is_inline);
  CHECK(lines[0].words.size() == 1);
  CHECK(lines[1].number == 4);
}

TEST_CASE("lines of a connection block know which", "[configs][openvpn]") {
  const auto lines = lines_of(
      "<connection>\nremote a 1\n</connection>\n<connection>\nremote b 2 tcp\n</connection>\nverb "
      "3\n");
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].connection == std::size_t{0});
  CHECK(lines[1].connection == std::size_t{1});
  CHECK_FALSE(lines[2].connection);
}

TEST_CASE("included files are read in their place, and keep their names", "[configs][openvpn]") {
  const std::map<std::string, std::string> files{{"a.conf", "verb 3\nconfig b.conf\nmute 9\n"},
                                                 {"b.conf", "tun-mtu 9000\n"},
                                                 {"loop.conf", "config loop.conf\n"}};
  const auto include = [&](const std::string& path) -> Result<std::string> {
    const auto found = files.find(path);
    if (found == files.end()) return fail(Errc::not_found, "there is no " + path);
    return found->second;
  };
  const auto lines = parse_openvpn_text("config a.conf\n", "x.conf", include);
  REQUIRE(lines);
  REQUIRE(lines->size() == 3);
  CHECK((*lines)[1].option() == "tun-mtu");
  CHECK((*lines)[1].file == "b.conf");
  CHECK((*lines)[2].file == "a.conf");
  CHECK((*lines)[2].number == 3);
  const auto loop = parse_openvpn_text("config loop.conf\n", "x.conf", include);
  REQUIRE_FALSE(loop);
  CHECK(loop.error().what.find("more than 10 deep") != std::string::npos);
  const auto missing = parse_openvpn_text("verb 3\nconfig c.conf\n", "x.conf", include);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().what == "x.conf:2: there is no c.conf");
}

TEST_CASE("what OpenVPN cannot cut is named by file, line and cure", "[configs][openvpn]") {
  CHECK(fault_of("verb 3\npush \"route\n") == "x.conf:2: a quotation is not closed; close it");
  CHECK(fault_of("push 'route") == "x.conf:1: a quotation is not closed; close it");
  CHECK(fault_of("ca C:\\keys").find("x.conf:1: a backslash") == 0);
  CHECK(fault_of("ca a\\").find("x.conf:1: the line ends in a backslash") == 0);
  CHECK(fault_of("<ca>\nAAAA\n") == "x.conf:1: <ca> is not closed; write </ca> behind its content");
  CHECK(fault_of("<connection>\nremote a\n").find("<connection> is not closed") !=
        std::string::npos);
  CHECK(fault_of("<connection>\n<connection>\n").find("x.conf:2: a <connection> inside") == 0);
  CHECK(fault_of("</connection>\n").find("x.conf:1: </connection> closes nothing") == 0);
  CHECK(fault_of(std::string(256, 'x')).find("longer than 255 bytes") != std::string::npos);
  CHECK(fault_of("a b c d e f g h i j k l m n o p q").find("more than 16 words") !=
        std::string::npos);
  CHECK(fault_of(std::string(openvpn_text_bytes_max + 1, '\n')).find("larger than 1 MiB") !=
        std::string::npos);
}

TEST_CASE("the largest line, the most words and the largest file are taken", "[configs][openvpn]") {
  CHECK(lines_of(std::string(255, 'x')).size() == 1);
  CHECK(lines_of("a b c d e f g h i j k l m n o p")[0].words.size() == 16);
  CHECK(lines_of(std::string(openvpn_text_bytes_max, '\n')).empty());
}

TEST_CASE("a config cut off at any byte is read or refused with its place", "[configs][openvpn]") {
  const std::string whole =
      "client\nremote \"a b\" 1194 # x\n<ca>\nAAAA\n</ca>\n<connection>\nproto "
      "tcp\n</connection>\n";
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    const auto lines = parse_openvpn_text(whole.substr(0, length), "x.conf", nothing_included);
    CAPTURE(length);
    if (!lines) CHECK(lines.error().what.find("x.conf:") == 0);
  }
}

}  // namespace lt::configs

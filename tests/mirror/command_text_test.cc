#include "mirror/command_text.h"

#include <catch2/catch.hpp>
#include <random>

using namespace lt;
using namespace lt::mirror;

namespace {

CommandText parsed(std::string_view text) {
  const auto command = parse_command_text(text);
  INFO(text);
  REQUIRE(command);
  return *command;
}

}  // namespace

TEST_CASE("what Syncoid 2.1.0 writes for a receiving side is read as it means it", "[mirror][command]") {
  const auto command = parsed(
      " mbuffer  -q -s 128k -m 16M 2>/dev/null | lzop -dfc |  zfs receive  -s -F 'backup/office/data' 2>&1");
  REQUIRE(command.size() == 1);
  REQUIRE(command[0].size() == 3);
  CHECK(command[0][0] == PipelineStage{{"mbuffer", "-q", "-s", "128k", "-m", "16M"}, OutputTo::next, OutputTo::nowhere});
  CHECK(command[0][1] == PipelineStage{{"lzop", "-dfc"}});
  CHECK(command[0][2] == PipelineStage{{"zfs", "receive", "-s", "-F", "backup/office/data"}, OutputTo::next, OutputTo::next});
}

TEST_CASE("quotes within quotes are taken apart as a shell takes them apart", "[mirror][command]") {
  CHECK(parsed("zfs list 'a b'")[0][0].argv == Argv{"zfs", "list", "a b"});
  CHECK(parsed(R"(zfs get name 'it'"'"'s')")[0][0].argv == Argv{"zfs", "get", "name", "it's"});
  CHECK(parsed("zfs rollback -R 'b/d'@'snap'")[0][0].argv == Argv{"zfs", "rollback", "-R", "b/d@snap"});
  CHECK(parsed("zfs bookmark 'b/d'@'s' 'b/d'#'s'")[0][0].argv == Argv{"zfs", "bookmark", "b/d@s", "b/d#s"});
  CHECK(parsed("x ''")[0][0].argv == Argv{"x", ""});
  CHECK(parsed("x '$(id) `id` | ; > *'")[0][0].argv == Argv{"x", "$(id) `id` | ; > *"});
}

TEST_CASE("commands one after another are kept apart, and a last semicolon adds none", "[mirror][command]") {
  CHECK(parsed("zfs destroy 'a'@x; zfs destroy 'a'@y").size() == 2);
  CHECK(parsed("zfs destroy -r 'a'; ").size() == 1);
}

TEST_CASE("redirections take hold in the order in which they stand", "[mirror][command]") {
  CHECK(parsed("x >/dev/null 2>&1")[0][0] == PipelineStage{{"x"}, OutputTo::nowhere, OutputTo::nowhere});
  CHECK(parsed("x 2>&1 > /dev/null")[0][0] == PipelineStage{{"x"}, OutputTo::nowhere, OutputTo::next});
  CHECK(parsed("x 2> /dev/null y")[0][0] == PipelineStage{{"x", "y"}, OutputTo::next, OutputTo::nowhere});
}

TEST_CASE("whatever else a shell understands is refused", "[mirror][command]") {
  const std::string text = GENERATE(
      "", " ", ";", "|", "a |", "| a", "a || b", "a && b", "a & b", "a &", "a ; ; b", "$(id)", "`id`", "$HOME",
      "\"$HOME\"", "\"`id`\"", "\"a\\b\"", "a\\ b", "a > b", "a >b", "a 2>b", "a 2>/dev/null2", "a >>/dev/null",
      "a </dev/null", "a < b", "a <<X", "a 3>/dev/null", "a 2>&3", "a 2>&1x", "a 1>&2", "a >&2", "a >|/dev/null",
      "(a)", "{ a; }", "a *", "a ?", "a [b]", "a {b,c}", "~", "~root", "a ~", "! a", "# a", "a # b", "a 'b", "a \"b",
      "a\nb", "a\tb", "a\rb", "'a\nb'", "a\x01", "a \x80", "a>/dev/null", "a 2>/dev/null/../shadow", "a >/dev/null/x",
      "a 2>/dev/nullx", "a 2>'/dev/null'", "a\\", "a 'b'\\''c'");
  INFO(text);
  CHECK_FALSE(parse_command_text(text));
}

TEST_CASE("a zero byte, a text that is too long and too many commands are refused", "[mirror][command]") {
  CHECK_FALSE(parse_command_text(std::string_view("zfs\0list", 8)));
  CHECK_FALSE(parse_command_text("zfs " + std::string(command_text_bytes_max, 'a')));
  std::string many = "a";
  for (std::size_t i = 0; i < stages_max; ++i) many += "|a";
  CHECK_FALSE(parse_command_text(many));
  many = "a";
  for (std::size_t i = 0; i < pipelines_max; ++i) many += ";a";
  CHECK_FALSE(parse_command_text(many));
}

TEST_CASE("what was quoted comes back, whatever it holds", "[mirror][command]") {
  const auto seed = GENERATE(range(1U, 40U));
  INFO("seed " << seed);
  std::mt19937 random(seed);
  Argv argv;
  std::string text;
  for (unsigned i = 0; i < 1 + random() % 6; ++i) {
    std::string word;
    for (unsigned j = 0; j < random() % 12; ++j) word += static_cast<char>(0x20 + random() % 0x5f);
    std::string quoted = "'";
    for (const char c : word) quoted += c == '\'' ? std::string("'\"'\"'") : std::string(1, c);
    text += quoted + "' ";
    argv.push_back(word);
  }
  CHECK(parsed(text)[0][0].argv == argv);
}

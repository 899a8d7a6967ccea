#include "base/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "base/fd.h"
#include "base/text.h"

namespace lt {
namespace {

// What is written to standard error while `action` runs.
template <class Action>
std::string stderr_of(Action&& action) {
  std::string path = (std::filesystem::temp_directory_path() / "linktune-log-XXXXXX").string();
  const Fd file(::mkostemp(path.data(), O_CLOEXEC));
  REQUIRE(file.is_open());
  const Fd before(::fcntl(2, F_DUPFD_CLOEXEC, 3));
  REQUIRE(::dup2(file.get(), 2) == 2);
  action();
  REQUIRE(::dup2(before.get(), 2) == 2);
  const std::string text = read_file(path, 1 << 20).value_or("");
  std::filesystem::remove(path);
  return text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (const std::string_view line : split(text, '\n')) {
    if (!line.empty()) lines.emplace_back(line);
  }
  return lines;
}

TEST_CASE("an event is one line: time, level, name, fields", "[base][log]") {
  const auto text = stderr_of([] {
    Log log = Log::to_stderr(LogLevel::info);
    log.info("session_up",
             {{"peer", "192.0.2.1:5198"}, {"mtu", 1500}, {"detail", "two words"}, {"empty", ""}});
  });
  const auto lines = lines_of(text);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].ends_with(
      " info session_up peer=192.0.2.1:5198 mtu=1500 detail=\"two words\" empty=\"\""));
  CHECK(lines[0].size() > 24);
  CHECK(lines[0][10] == 'T');
}

TEST_CASE("no value writes a line of its own, ends a quotation or colours a terminal",
          "[base][log]") {
  const auto text = stderr_of([] {
    Log log = Log::to_stderr(LogLevel::info);
    log.warn("stranger", {{"said", "x\n2026 info session_up peer=evil"},
                          {"quote", "a\" b=c"},
                          {"escape", "\x1b[31mred"},
                          {"long", std::string(5000, 'y')}});
  });
  const auto lines = lines_of(text);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("said=\"x\\x0a2026 info session_up peer=evil\"") != std::string::npos);
  CHECK(lines[0].find("quote=\"a\\\" b=c\"") != std::string::npos);
  CHECK(lines[0].find("\\x1b[31mred") != std::string::npos);
  CHECK(lines[0].size() < 1000);
}

TEST_CASE("levels below the log's own are not written", "[base][log]") {
  const auto text = stderr_of([] {
    Log log = Log::to_stderr(LogLevel::warn);
    log.debug("a");
    log.info("b");
    log.warn("c");
    log.error("d");
    Log quiet = Log::silent();
    quiet.error("e");
  });
  const auto lines = lines_of(text);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].ends_with(" c"));
  CHECK(lines[1].ends_with(" d"));
}

TEST_CASE("a flood of one event is bounded, and costs no other event its line", "[base][log]") {
  const auto text = stderr_of([] {
    Log log = Log::to_stderr(LogLevel::info);
    for (int i = 0; i < 1000; ++i)
      log.info("flood");
    log.info("other");
  });
  const auto lines = lines_of(text);
  // Ten within a second; a machine that takes longer than one second begins anew.
  const auto floods = std::count_if(lines.begin(), lines.end(), [](const std::string& line) {
    return line.find(" flood") != std::string::npos;
  });
  CHECK(floods >= 10);
  CHECK(floods <= 30);
  CHECK(lines.back().ends_with(" other"));
}

TEST_CASE("a closed standard error harms nobody", "[base][log]") {
  const Fd before(::fcntl(2, F_DUPFD_CLOEXEC, 3));
  Log log = Log::to_stderr(LogLevel::info);
  ::close(2);
  for (int i = 0; i < 5; ++i)
    log.info("unheard");
  REQUIRE(::dup2(before.get(), 2) == 2);
}

}  // namespace
}  // namespace lt

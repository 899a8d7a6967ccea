#include "base/log.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
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

// Standard error is `fd` while `action` runs.
template <class Action>
void with_stderr(int fd, Action&& action) {
  const Fd before(::fcntl(2, F_DUPFD_CLOEXEC, 3));
  REQUIRE(::dup2(fd, 2) == 2);
  action();
  REQUIRE(::dup2(before.get(), 2) == 2);
}

TEST_CASE("a reader that has stopped reading holds nobody up, and hears how much it missed", "[base][log][D-3]") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const Fd reader(ends[0]);
  const Fd writer(ends[1]);
  REQUIRE(set_nonblocking(reader.get(), true));
  const std::string long_value(200, 'y');
  const auto began = std::chrono::steady_clock::now();
  std::string text;
  with_stderr(writer.get(), [&] {
    Log log = Log::to_stderr(LogLevel::info);
    // Other names for each ten: the budget of a name is not what stops them.
    for (int i = 0; i < 2000; ++i) log.info("event_" + std::to_string(i / 10), {{"filler", long_value}});
    std::array<char, 65536> chunk;
    for (ssize_t count = 0; (count = ::read(reader.get(), chunk.data(), chunk.size())) > 0;) {
      text.append(chunk.data(), static_cast<std::size_t>(count));
    }
    log.info("again");
    const ssize_t count = ::read(reader.get(), chunk.data(), chunk.size());
    REQUIRE(count > 0);
    const std::string last(chunk.data(), static_cast<std::size_t>(count));
    INFO(last);
    const auto written = lines_of(text).size();
    CHECK(written < 2000);
    CHECK(last.find(" again lost=" + std::to_string(2000 - written)) != std::string::npos);
  });
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(5));
  CHECK(text.ends_with("\n"));  // whole lines only
}

TEST_CASE("a file that takes nothing more costs lines and nothing else", "[base][log][D-3]") {
  const Fd full(::memfd_create("full", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(full.is_open());
  REQUIRE(::fcntl(full.get(), F_ADD_SEALS, F_SEAL_GROW) == 0);  // each write fails, as on a full disk
  Log log = Log::to_stderr(LogLevel::info);
  with_stderr(full.get(), [&] {
    for (int i = 0; i < 3; ++i) log.info("unwritten");
  });
  const auto text = stderr_of([&] { log.info("written"); });
  INFO(text);
  CHECK(text.find(" written lost=3") != std::string::npos);
}

TEST_CASE("a pipe without a reader harms nobody", "[base][log][D-3]") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  ::close(ends[0]);
  const Fd writer(ends[1]);
  Log log = Log::to_stderr(LogLevel::info);
  auto* const before = ::signal(SIGPIPE, SIG_IGN);  // as the daemon does
  with_stderr(writer.get(), [&] { log.info("unheard"); });
  ::signal(SIGPIPE, before);
  CHECK(stderr_of([&] { log.info("heard"); }).find(" heard lost=1") != std::string::npos);
}

}  // namespace
}  // namespace lt

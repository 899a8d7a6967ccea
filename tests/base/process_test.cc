#include "base/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "base/text.h"

namespace lt {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

auto now() {
  return std::chrono::steady_clock::now();
}

bool exists(pid_t pid) {
  return ::kill(pid, 0) == 0;
}

// A file of the test's own.
struct TemporaryFile {
  std::string path = (std::filesystem::temp_directory_path() / "linktune-process-XXXXXX").string();
  TemporaryFile() { Fd(::mkstemp(path.data())); }
  ~TemporaryFile() { std::filesystem::remove(path); }
  [[nodiscard]] std::string text() const { return read_file(path, 1 << 16).value_or(""); }
  // Waits until something stands in it.
  [[nodiscard]] std::string wait_for_text() const {
    const auto until = now() + seconds(20);
    while (text().empty() && now() < until)
      std::this_thread::yield();
    return text();
  }
};

TEST_CASE("a child gets its arguments as they are, and no shell reads them", "[base][process]") {
  const auto output = run_process({"printf", "%s|", "a b", "$HOME", "`id`", ";", "\"", ""});
  REQUIRE(output);
  CHECK(output->out == "a b|$HOME|`id`|;|\"||");
  CHECK(output->exit_code == 0);
}

TEST_CASE("both outputs and the exit code come back", "[base][process]") {
  const auto output = run_process({"sh", "-c", "echo out; echo err >&2; exit 7"});
  REQUIRE(output);
  CHECK(output->out == "out\n");
  CHECK(output->err == "err\n");
  CHECK(output->exit_code == 7);
}

TEST_CASE("a child that a signal ends has 128 and its number as exit code", "[base][process]") {
  const auto output = run_process({"sh", "-c", "kill -TERM $$"});
  REQUIRE(output);
  CHECK(output->exit_code == 128 + SIGTERM);
}

TEST_CASE("a child that fails is an error with its last words where that is asked for",
          "[base][process]") {
  CHECK(run_checked({"echo", "well"}) == "well\n");
  const auto failed =
      run_checked({"sh", "-c", "echo first >&2; printf 'last \\033words' >&2; exit 3"});
  REQUIRE_FALSE(failed);
  CHECK(failed.error().what.find("failed (3): last \\x1bwords") != std::string::npos);
}

TEST_CASE("a program that is not there is an error by name", "[base][process]") {
  const auto output = run_process({"no-such-program-at-all"});
  REQUIRE_FALSE(output);
  CHECK(output.error().code == Errc::not_found);
  CHECK(output.error().what == "no-such-program-at-all is not installed");
  CHECK(run_process({}).error().code == Errc::invalid);
  CHECK_FALSE(Child::start({.argv = {"no-such-program-at-all"}, .output_path = {}}));
  CHECK_FALSE(find_program("no-such-program-at-all"));
  CHECK(find_program("sh"));
  CHECK(find_program("/bin/sh") == "/bin/sh");
}

TEST_CASE("input of any size reaches the child while its output is read", "[base][process]") {
  const std::string text(3'000'000, 'x');
  const auto output = run_process({"cat"}, {.input = text});
  REQUIRE(output);
  CHECK(output->out == text);
}

TEST_CASE("a child that does not read its input is no harm", "[base][process]") {
  const auto output = run_process({"true"}, {.input = std::string(1'000'000, 'x')});
  REQUIRE(output);
  CHECK(output->exit_code == 0);
}

TEST_CASE("a child is killed at its deadline", "[base][process]") {
  const TemporaryFile pid_file;
  const auto before = now();
  const auto output = run_process({"sh", "-c", "echo $$ > " + pid_file.path + "; exec sleep 100"},
                                  {.deadline = milliseconds(300)});
  REQUIRE_FALSE(output);
  CHECK(output.error().code == Errc::timed_out);
  CHECK(now() - before >= milliseconds(300));
  CHECK(now() - before < seconds(20));
  const auto pid = parse_u64(trim(pid_file.text()));
  REQUIRE(pid);
  CHECK_FALSE(exists(static_cast<pid_t>(*pid)));
}

TEST_CASE("a child that writes without end is ended at the bound", "[base][process]") {
  const auto before = now();
  const auto output = run_process({"yes"}, {.output_bytes_max = 100'000});
  REQUIRE_FALSE(output);
  CHECK(output.error().code == Errc::limit);
  CHECK(now() - before < seconds(20));
}

TEST_CASE("a child inherits no descriptor and no blocked signal", "[base][process]") {
  const Fd secret(::fcntl(2, F_DUPFD, 200));  // without close-on-exec
  REQUIRE(secret.is_open());
  const auto output = run_process({"ls", "/proc/self/fd"});
  REQUIRE(output);
  CHECK(output->out.find("\n" + std::to_string(secret.get()) + "\n") == std::string::npos);
  sigset_t blocked;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  REQUIRE(::pthread_sigmask(SIG_BLOCK, &blocked, nullptr) == 0);
  const auto status = run_process({"grep", "SigBlk", "/proc/self/status"});
  REQUIRE(::pthread_sigmask(SIG_UNBLOCK, &blocked, nullptr) == 0);
  REQUIRE(status);
  CHECK(status->out == "SigBlk:\t0000000000000000\n");
}

TEST_CASE("a long-lived child writes to its file and ends with its owner", "[base][process]") {
  const TemporaryFile output;
  pid_t pid = -1;
  {
    auto child = Child::start(
        {.argv = {"sh", "-c", "echo ready; exec sleep 100"}, .output_path = output.path});
    REQUIRE(child);
    pid = child->pid();
    CHECK(output.wait_for_text() == "ready\n");
    CHECK(child->is_running());
    CHECK_FALSE(child->wait(milliseconds(0)));
    Child moved(std::move(*child));
    CHECK(moved.pid() == pid);
    CHECK(child->pid() == -1);
    CHECK(exists(pid));
  }
  CHECK_FALSE(exists(pid));
}

TEST_CASE("a child that ends by itself gives its exit code, as often as asked", "[base][process]") {
  auto child = Child::start({.argv = {"sh", "-c", "exit 9"}, .output_path = {}});
  REQUIRE(child);
  CHECK(child->wait(seconds(20)) == 9);
  CHECK(child->wait(seconds(20)) == 9);
  CHECK_FALSE(child->is_running());
  CHECK(child->end(seconds(1)) == 9);
}

TEST_CASE("a child that ignores SIGTERM is killed after the patience of its owner",
          "[base][process]") {
  const TemporaryFile output;
  auto child =
      Child::start({.argv = {"sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"},
                    .output_path = output.path});
  REQUIRE(child);
  REQUIRE(output.wait_for_text() == "ready\n");
  const auto before = now();
  CHECK(child->end(milliseconds(200)) == 128 + SIGKILL);
  CHECK(now() - before >= milliseconds(200));
}

TEST_CASE("a child that is sent a signal ends by it", "[base][process]") {
  auto child = Child::start({.argv = {"sleep", "100"}, .output_path = {}});
  REQUIRE(child);
  child->signal(SIGUSR1);
  CHECK(child->wait(seconds(20)) == 128 + SIGUSR1);
}

// Starts a child from a program that is killed in the same instant, and waits until that is over. @return the child's id
pid_t orphan(Lifetime lifetime) {
  const TemporaryFile pid_file;
  const pid_t parent = ::fork();
  REQUIRE(parent >= 0);
  if (parent == 0) {
    auto child = Child::start({.argv = {"sleep", "100"}, .output_path = {}, .lifetime = lifetime});
    const bool is_written =
        child && write_file(pid_file.path, std::to_string(child->pid()), 0600).has_value();
    if (!is_written) ::_exit(1);
    ::raise(SIGKILL);
  }
  const auto pid = parse_u64(pid_file.wait_for_text());
  REQUIRE(pid);
  REQUIRE(::waitpid(parent, nullptr, 0) == parent);
  return static_cast<pid_t>(*pid);
}

// A zombie waits for whoever adopted it; it runs no more.
bool runs(pid_t pid) {
  const auto status = read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  return status && status->find(") Z ") == std::string::npos;
}

TEST_CASE("a child dies with the program that started it, however that ends", "[base][process]") {
  const pid_t pid = orphan(Lifetime::with_ours);
  const auto until = now() + seconds(20);
  while (runs(pid) && now() < until)
    std::this_thread::yield();
  CHECK_FALSE(runs(pid));
}

TEST_CASE("a child with a lifetime of its own lives on in a session of its own, however its parent ends", "[base][process]") {
  const pid_t pid = orphan(Lifetime::its_own);
  // The kernel's signal for the orphans of a program is sent before that one can be waited for.
  CHECK(runs(pid));
  CHECK(::getsid(pid) == pid);
  CHECK(::kill(pid, SIGKILL) == 0);
}

}  // namespace
}  // namespace lt

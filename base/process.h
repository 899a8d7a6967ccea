// Children: started from an argument vector, never through a shell, bounded by a deadline.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace lt {

using Argv = std::vector<std::string>;

struct ProcessOptions {
  std::chrono::milliseconds deadline{std::chrono::seconds(30)};
  std::string input{};                    // handed to the child's standard input
  std::size_t output_bytes_max{16 << 20}; // more ends the child: Errc::limit
};

struct ProcessOutput {
  int exit_code{0};  // 128 + signal when a signal ended it, as a shell says
  std::string out;
  std::string err;
};

/// Runs `argv` to its end and returns what it wrote; a non-zero exit code is not an error here.
/// @error not_found: no such program · timed_out: killed at the deadline · limit: wrote too much
[[nodiscard]] Result<ProcessOutput> run_process(const Argv& argv, const ProcessOptions& options = {});

/// As run_process, but a non-zero exit code is an error whose sentence holds the child's last words.
[[nodiscard]] Result<std::string> run_checked(const Argv& argv, const ProcessOptions& options = {});

/// The path of `program` on PATH (and in the sbin directories), if it is there.
[[nodiscard]] std::optional<std::string> find_program(const std::string& program);

/// with_ours: ended when its owner goes, and by the kernel when the thread that started it dies ·
/// its_own: in a session of its own from its first instant, and it lives on.
enum class Lifetime { with_ours, its_own };

/// A child that lives until it is ended: a daemon, a listener, an emulator.
class Child {
 public:
  struct Options {
    Argv argv;
    std::string output_path;  // standard output and error are added to it; empty: /dev/null
    Lifetime lifetime{Lifetime::with_ours};
  };
  static Result<Child> start(const Options& options);

  /// The descriptors that become a child's standard streams; they stay the caller's.
  struct Streams {
    int in;
    int out;
    int err;
  };
  static Result<Child> start(const Argv& argv, const Streams& streams, Lifetime lifetime = Lifetime::with_ours);

  Child() = default;
  Child(Child&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), exit_code_(std::exchange(other.exit_code_, {})) {}
  Child& operator=(Child&& other) noexcept;
  ~Child() { end(std::chrono::seconds(2)); }

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool is_running();
  void signal(int number) const;
  /// Waits for its end. @return the exit code (128 + signal), or nothing when the deadline passes
  [[nodiscard]] std::optional<int> wait(std::chrono::milliseconds deadline);
  /// SIGTERM, then SIGKILL after `patience`. @return the exit code
  int end(std::chrono::milliseconds patience);
  /// Lets it live on by itself. @pre its lifetime is its own @return its process id
  pid_t release() { return std::exchange(pid_, -1); }

 private:
  explicit Child(pid_t pid) : pid_(pid) {}
  pid_t pid_{-1};
  std::optional<int> exit_code_;
};

}  // namespace lt

#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/pipe.h"
#include "base/text.h"

namespace lt {

namespace {

using SteadyTime = std::chrono::steady_clock::time_point;
using std::chrono::milliseconds;

constexpr std::string_view sbin_directories = "/usr/sbin:/sbin:/usr/local/sbin";

int exit_code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Everything the child needs is made before the fork: between fork and exec only async-signal-safe calls run.
struct Launch {
  std::string path;
  std::vector<char*> argv;
};

Result<Launch> prepare(const Argv& argv) {
  if (argv.empty()) return fail(Errc::invalid, "no program to run");
  const auto path = find_program(argv.front());
  if (!path) return fail(Errc::not_found, argv.front() + " is not installed");
  Launch launch{*path, {}};
  for (const std::string& argument : argv) launch.argv.push_back(const_cast<char*>(argument.c_str()));
  launch.argv.push_back(nullptr);
  return launch;
}

using Streams = Child::Streams;

void die_with(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // the parent died before the line above
}

[[noreturn]] void become(const Launch& launch, const Streams& streams, pid_t parent, Lifetime lifetime) {
  if (lifetime == Lifetime::with_ours) die_with(parent);
  if (lifetime == Lifetime::its_own) ::setsid();
  ::dup2(streams.in, 0);
  ::dup2(streams.out, 1);
  ::dup2(streams.err, 2);
  ::close_range(3, ~0U, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::execv(launch.path.c_str(), launch.argv.data());
  ::_exit(127);
}

Result<pid_t> spawn(const Launch& launch, const Streams& streams, Lifetime lifetime) {
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno(errno, "cannot start " + launch.path);
  if (pid == 0) become(launch, streams, parent, lifetime);
  return pid;
}

// write() to a pipe whose reader may be gone: EPIPE, and no SIGPIPE for this program.
ssize_t write_without_signal(int fd, std::string_view text) {
  sigset_t pipe_signal;
  sigset_t before;
  ::sigemptyset(&pipe_signal);
  ::sigaddset(&pipe_signal, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  const ssize_t count = ::write(fd, text.data(), text.size());
  const int error = errno;
  // The signal is for this thread alone, and waits: it is taken away before anybody else sees it.
  if (count < 0 && error == EPIPE && ::sigismember(&before, SIGPIPE) == 0) {
    const timespec at_once{};
    while (::sigtimedwait(&pipe_signal, nullptr, &at_once) < 0 && errno == EINTR) {
    }
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return count;
}

// Feeds `input` and collects both outputs until all three pipes are closed.
class Conversation {
 public:
  Conversation(Fd in, Fd out, Fd err, const ProcessOptions& options)
      : in_(std::move(in)), out_(std::move(out)), err_(std::move(err)), options_(options) {}

  Status run(ProcessOutput& output) {
    const SteadyTime deadline = std::chrono::steady_clock::now() + options_.deadline;
    if (options_.input.empty()) in_.reset();
    while (out_.is_open() || err_.is_open()) {
      const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
      if (left <= milliseconds(0)) return fail(Errc::timed_out, "it did not end in time");
      std::array<pollfd, 3> polled{pollfd{in_.get(), POLLOUT, 0}, pollfd{out_.get(), POLLIN, 0},
                                   pollfd{err_.get(), POLLIN, 0}};
      if (::poll(polled.data(), polled.size(), static_cast<int>(left.count())) < 0 && errno != EINTR) {
        return fail_errno(errno, "cannot wait for a child");
      }
      if (polled[0].revents != 0) feed();
      if (polled[1].revents != 0) collect(out_, output.out);
      if (polled[2].revents != 0) collect(err_, output.err);
      if (output.out.size() + output.err.size() > options_.output_bytes_max) {
        return fail(Errc::limit, "it wrote too much");
      }
    }
    return {};
  }

 private:
  void feed() {
    const std::string_view rest = std::string_view(options_.input).substr(fed_);
    const auto count = write_without_signal(in_.get(), rest);
    if (count > 0) fed_ += static_cast<std::size_t>(count);
    if ((count < 0 && errno != EAGAIN && errno != EINTR) || fed_ == options_.input.size()) in_.reset();
  }
  static void collect(Fd& fd, std::string& text) {
    std::array<char, 65536> chunk;
    const auto count = ::read(fd.get(), chunk.data(), chunk.size());
    if (count > 0) text.append(chunk.data(), static_cast<std::size_t>(count));
    if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN)) fd.reset();
  }

  Fd in_;
  Fd out_;
  Fd err_;
  const ProcessOptions& options_;
  std::size_t fed_{0};
};

int reap(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return exit_code_of(status);
}

std::string last_words(const ProcessOutput& output) {
  const std::string_view text = trim(output.err.empty() ? output.out : output.err);
  const auto line = text.rfind('\n');
  return printable(line == std::string_view::npos ? text : text.substr(line + 1), 200);
}

}  // namespace

std::optional<std::string> find_program(const std::string& program) {
  if (program.find('/') != std::string::npos) {
    return ::access(program.c_str(), X_OK) == 0 ? std::optional(program) : std::nullopt;
  }
  const char* path = std::getenv("PATH");
  const std::string directories = std::string(path == nullptr ? "/usr/bin:/bin" : path) + ":" + std::string(sbin_directories);
  for (const std::string_view directory : split(directories, ':')) {
    std::string candidate = std::string(directory) + "/" + program;
    if (!directory.empty() && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return std::nullopt;
}

Result<ProcessOutput> run_process(const Argv& argv, const ProcessOptions& options) {
  LT_TRY(const Launch launch, prepare(argv));
  LT_TRY(Pipe in, make_pipe());
  LT_TRY(Pipe out, make_pipe());
  LT_TRY(Pipe err, make_pipe());
  LT_CHECK(set_nonblocking(in.write_end.get(), true));
  LT_TRY(const pid_t pid, spawn(launch, {in.read_end.get(), out.write_end.get(), err.write_end.get()}, Lifetime::with_ours));
  in.read_end.reset();
  out.write_end.reset();
  err.write_end.reset();
  ProcessOutput output;
  Status status = Conversation(std::move(in.write_end), std::move(out.read_end), std::move(err.read_end), options).run(output);
  if (!status) ::kill(pid, SIGKILL);
  output.exit_code = reap(pid);
  if (!status) return fail(with_context(status.error(), argv.front()));
  return output;
}

Result<std::string> run_checked(const Argv& argv, const ProcessOptions& options) {
  LT_TRY(ProcessOutput output, run_process(argv, options));
  if (output.exit_code == 0) return std::move(output.out);
  return fail(Errc::io, join(argv, " ") + " failed (" + std::to_string(output.exit_code) + "): " + last_words(output));
}

Result<Child> Child::start(const Options& options) {
  LT_TRY(const Launch launch, prepare(options.argv));
  const Fd in(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::string path = options.output_path.empty() ? "/dev/null" : options.output_path;
  const Fd out(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!in.is_open() || !out.is_open()) return fail_errno(errno, "cannot open " + path);
  LT_TRY(const pid_t pid, spawn(launch, {in.get(), out.get(), out.get()}, options.lifetime));
  return Child(pid);
}

Result<Child> Child::start(const Argv& argv, const Streams& streams, Lifetime lifetime) {
  LT_TRY(const Launch launch, prepare(argv));
  LT_TRY(const pid_t pid, spawn(launch, streams, lifetime));
  return Child(pid);
}

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    end(std::chrono::seconds(2));
    pid_ = std::exchange(other.pid_, -1);
    exit_code_ = std::exchange(other.exit_code_, {});
  }
  return *this;
}

bool Child::is_running() { return pid_ > 0 && !wait(milliseconds(0)); }

void Child::signal(int number) const {
  if (pid_ > 0 && !exit_code_) ::kill(pid_, number);
}

std::optional<int> Child::wait(milliseconds deadline) {
  if (pid_ <= 0 || exit_code_) return exit_code_.value_or(0);
  const Fd watched(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  pollfd polled{watched.get(), POLLIN, 0};
  if (watched.is_open() && ::poll(&polled, 1, static_cast<int>(deadline.count())) <= 0) return std::nullopt;
  exit_code_ = reap(pid_);
  return exit_code_;
}

int Child::end(milliseconds patience) {
  if (pid_ <= 0) return 0;
  signal(SIGTERM);
  if (!wait(patience)) {
    signal(SIGKILL);
    exit_code_ = reap(pid_);
  }
  pid_ = -1;
  return *exit_code_;
}

}  // namespace lt

#include "mirror/side.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <thread>

#include "base/fd.h"
#include "base/pipe.h"
#include "base/text.h"

namespace lt::mirror {

namespace {

constexpr std::size_t piece_bytes = 256 << 10;
constexpr std::size_t words_bytes_max = 64 << 10;
constexpr std::size_t captured_bytes_max = 256 << 20;  // a listing of a million snapshots

// Takes in what is written to a pipe until it is closed; keeps the first bytes.
class Collector {
 public:
  Collector(Fd fd, std::size_t bytes_max) : thread_([this, fd = std::move(fd), bytes_max] { collect(fd, bytes_max); }) {}
  [[nodiscard]] std::string take() {
    thread_.join();
    return std::move(text_);
  }

 private:
  void collect(const Fd& fd, std::size_t bytes_max) {
    std::array<char, 65536> piece;
    while (true) {
      const auto count = ::read(fd.get(), piece.data(), piece.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return;
      text_.append(piece.data(), std::min(static_cast<std::size_t>(count), bytes_max - std::min(bytes_max, text_.size())));
    }
  }
  std::string text_;
  std::jthread thread_;
};

std::string last_words(const std::string& text) {
  const std::string_view words = trim(text);
  // zfs tells what to do in further lines, indented or not; the first says what is wrong.
  const auto line = words.find('\n');
  return printable(words.substr(0, line), 300);
}

Status judge(Side& side, const Argv& argv, const Result<int>& status, const std::string& errors) {
  if (!status) return fail(status.error());
  if (*status == 0) return {};
  const std::string words = last_words(errors);
  const Errc code = words.find("does not exist") != std::string::npos || words.find("no such pool") != std::string::npos ? Errc::not_found : Errc::io;
  return fail(code, argv.front() + " " + (argv.size() > 1 ? argv[1] : "") + " failed " + side.where() + ": " +
                        (words.empty() ? "exit status " + std::to_string(*status) : words));
}

// A side whose run() waits in a thread of its own.
class Running {
 public:
  Running(Side& side, const Argv& argv, Fd in, Fd out, Fd err)
      : thread_([this, &side, argv, in = std::move(in), out = std::move(out), err = std::move(err)]() mutable {
          result_ = side.run(argv, {in.get(), out.get(), err.get()});
          in.reset();
          out.reset();
          err.reset();
        }) {}
  [[nodiscard]] Result<int> wait() {
    thread_.join();
    return std::move(result_);
  }

 private:
  Result<int> result_{0};
  std::jthread thread_;
};

// Writes to a pipe whose reader may be gone: an error, and no signal.
Status write_all(int fd, const char* bytes, std::size_t count) {
  while (count > 0) {
    const auto written = ::write(fd, bytes, count);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno(errno, "cannot hand on a stream");
    bytes += written;
    count -= static_cast<std::size_t>(written);
  }
  return {};
}

// SIGPIPE must not end the program while a child that reads from us may end early.
class WithoutPipeSignal {
 public:
  WithoutPipeSignal() {
    sigset_t pipe_signal;
    ::sigemptyset(&pipe_signal);
    ::sigaddset(&pipe_signal, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_signal, &before_);
  }
  ~WithoutPipeSignal() {
    sigset_t pipe_signal;
    ::sigemptyset(&pipe_signal);
    ::sigaddset(&pipe_signal, SIGPIPE);
    const timespec at_once{};
    while (::sigtimedwait(&pipe_signal, nullptr, &at_once) == SIGPIPE) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutPipeSignal(const WithoutPipeSignal&) = delete;
  WithoutPipeSignal& operator=(const WithoutPipeSignal&) = delete;

 private:
  sigset_t before_{};
};

Result<int> run_to_end(const Argv& argv, const SideStreams& streams) {
  const Fd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const auto given = [&](int fd) { return fd >= 0 ? fd : nothing.get(); };
  LT_TRY(Child child, Child::start(argv, {given(streams.in), given(streams.out), given(streams.err)}));
  while (true) {
    if (const auto status = child.wait(std::chrono::hours(1))) return *status;
  }
}

}  // namespace

Result<int> TextSide::run(const Argv& argv, const SideStreams& streams) {
  Argv whole = options_.program;
  whole.push_back(quoted_text(argv));
  return run_to_end(whole, streams);
}

Result<int> TextSide::serve_tree(const std::string& snapshot, const SideStreams& streams) {
  Argv argv = options_.tree_program;
  argv.push_back(snapshot);
  return run(argv, streams);
}

Result<std::string> capture(Side& side, const Argv& argv) {
  LT_TRY(Pipe out, make_pipe());
  LT_TRY(Pipe err, make_pipe());
  Collector output(std::move(out.read_end), captured_bytes_max);
  Collector errors(std::move(err.read_end), words_bytes_max);
  const auto status = side.run(argv, {-1, out.write_end.get(), err.write_end.get()});
  out.write_end.reset();
  err.write_end.reset();
  std::string text = output.take();
  const std::string words = errors.take();
  LT_CHECK(judge(side, argv, status, words));
  return text;
}

Result<int> LocalSide::run(const Argv& argv, const SideStreams& streams) {
  return run_to_end(options_.wrap(argv), streams);
}

Result<int> LocalSide::serve_tree(const std::string& snapshot, const SideStreams& streams) {
  Argv argv = options_.tree_program;
  argv.push_back(snapshot);
  return run(argv, streams);
}

Result<std::uint64_t> carry_stream(Side& from, const Argv& send, Side& to, const Argv& receive) {
  const WithoutPipeSignal quiet;
  LT_TRY(Pipe out, make_pipe());
  LT_TRY(Pipe in, make_pipe());
  LT_TRY(Pipe send_err, make_pipe());
  LT_TRY(Pipe receive_err, make_pipe());
  Collector send_words(std::move(send_err.read_end), words_bytes_max);
  Collector receive_words(std::move(receive_err.read_end), words_bytes_max);
  Running sender(from, send, Fd(), std::move(out.write_end), std::move(send_err.write_end));
  Running receiver(to, receive, std::move(in.read_end), Fd(), std::move(receive_err.write_end));
  std::uint64_t bytes = 0;
  std::string piece(piece_bytes, '\0');
  while (true) {
    const auto count = ::read(out.read_end.get(), piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    bytes += static_cast<std::uint64_t>(count);
    if (!write_all(in.write_end.get(), piece.data(), static_cast<std::size_t>(count))) break;
  }
  in.write_end.reset();
  out.read_end.reset();
  const auto sent = sender.wait();
  const auto received = receiver.wait();
  const std::string sender_said = send_words.take();
  const std::string receiver_said = receive_words.take();
  // A receiver that gives up breaks the sender's pipe: its own words are the reason.
  LT_CHECK(judge(to, receive, received, receiver_said));
  LT_CHECK(judge(from, send, sent, sender_said));
  return bytes;
}

Status read_stream(Side& side, const Argv& argv, const PassBytes& take) {
  LT_TRY(Pipe out, make_pipe());
  LT_TRY(Pipe err, make_pipe());
  Collector words(std::move(err.read_end), words_bytes_max);
  Running running(side, argv, Fd(), std::move(out.write_end), std::move(err.write_end));
  std::string piece(piece_bytes, '\0');
  Status taken;
  while (true) {
    const auto count = ::read(out.read_end.get(), piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    if (taken = take(piece.data(), static_cast<std::size_t>(count)); !taken) break;
  }
  out.read_end.reset();
  const auto status = running.wait();
  const std::string said = words.take();
  LT_CHECK(taken);
  return judge(side, argv, status, said);
}

Status write_stream(Side& side, const Argv& argv, const GiveBytes& give) {
  const WithoutPipeSignal quiet;
  LT_TRY(Pipe in, make_pipe());
  LT_TRY(Pipe err, make_pipe());
  Collector words(std::move(err.read_end), words_bytes_max);
  Running running(side, argv, std::move(in.read_end), Fd(), std::move(err.write_end));
  std::string piece(piece_bytes, '\0');
  Status given;
  while (true) {
    const auto count = give(piece.data(), piece.size());
    if (!count) given = fail(count.error());
    if (!count || *count == 0 || !write_all(in.write_end.get(), piece.data(), *count)) break;
  }
  in.write_end.reset();
  const auto status = running.wait();
  const std::string said = words.take();
  LT_CHECK(given);
  return judge(side, argv, status, said);
}

}  // namespace lt::mirror

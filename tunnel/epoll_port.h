// EpollPort: the data plane's I/O through epoll, edge-triggered. Runs on every kernel that has a tun.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "base/fd.h"
#include "tunnel/io_port.h"
#include "tunnel/tcp_stream.h"

namespace lt::tunnel {

class EpollPort {
 public:
  static Result<EpollPort> create();

  [[nodiscard]] Status adopt(int fd);
  void read(std::uint64_t tag, int fd, std::span<iovec> vectors, ReadMode mode);
  void write(std::uint64_t tag, int fd, std::span<iovec> vectors);
  void receive(std::uint64_t tag, int fd, ByteSpan into);
  void send(std::uint64_t tag, int fd, std::span<iovec> vectors);
  void cancel_reads(int fd);
  [[nodiscard]] std::optional<PathSample> path(int fd) const { return sample_path(fd); }
  [[nodiscard]] Instant now() const { return std::chrono::steady_clock::now(); }
  [[nodiscard]] Result<std::span<const Completion>> wait(Instant until);
  void wake();

 private:
  enum class Kind : std::uint8_t { read, read_now, write, receive, send, cancelled };
  struct Operation {
    Kind kind;
    int fd;
    std::uint64_t tag;
    std::span<iovec> vectors;
    iovec single;  // of a receive
    std::size_t sent;
  };
  // Whether the kernel last said "try again" for a descriptor, each way. An edge from epoll clears it.
  struct Readiness {
    int fd{-1};
    bool blocked_in{false};
    bool blocked_out{false};
  };

  EpollPort(Fd epoll, Fd wake_event);
  void try_all();
  [[nodiscard]] bool holds_stale_reads();
  [[nodiscard]] bool try_one(Operation& operation);
  [[nodiscard]] Readiness& readiness(int fd);
  [[nodiscard]] Status await_edges(Instant until);

  Fd epoll_;
  Fd wake_event_;
  std::vector<Readiness> known_;  // by descriptor
  std::vector<Operation> pending_;
  std::vector<Completion> completions_;
};

static_assert(IoPort<EpollPort>);

}  // namespace lt::tunnel

// UringPort: the data plane's I/O through io_uring. The door of liburing.
//
// Needs a kernel that reads a tun without a worker thread (Linux 6.4 and later) and io_uring not switched off
// (kernel.io_uring_disabled); probe() tells. Source: docs/adr/0004.
#pragma once

#include <memory>

#include "tunnel/io_port.h"
#include "tunnel/tcp_stream.h"

namespace lt::tunnel {

class UringPort {
 public:
  /// @thread the thread that will call wait(): the ring belongs to it
  static Result<UringPort> create();

  /// Whether this machine's io_uring serves a tun without worker threads.
  /// @param tun_fd  an open tun device
  /// @error unsupported: the sentence says what is missing
  static Status probe(int tun_fd);

  UringPort(UringPort&&) noexcept;
  ~UringPort();

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
  struct State;
  explicit UringPort(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

static_assert(IoPort<UringPort>);

}  // namespace lt::tunnel

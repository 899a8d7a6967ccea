// The pipe that does not break: a numbered byte sequence each way that outlives its connections.
//
// Theory of operation. Every byte handed in has a number, from 0. The sender keeps it until the
// receiver says that its reader has CONSUMED it; the receiver keeps what has come until then. Both
// keep at most `window` bytes, so the sender never has more than a window under way, the receiver can
// always take what comes, and nobody has to stop reading a connection: acknowledgements never stand
// behind data that nobody takes.
//
// After a loss each side tells how much it has RECEIVED, and the other goes on from there: what is
// sent again was under way, and that is at most one window. What a peer says is believed only where
// it is possible: an acknowledgement of what was not sent, a gap, a byte beyond the window is an
// error, and ends the connection.
//
// Pure: no socket, no clock, no thread.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"

namespace lt::mirror {

inline constexpr std::size_t window_bytes_default = 64 << 20;
inline constexpr std::size_t window_bytes_min = 1 << 20;
inline constexpr std::size_t window_bytes_max = std::size_t{1} << 30;

/// Bytes by their number, in a ring. Memory is taken where it is first written.
class NumberedBytes {
 public:
  explicit NumberedBytes(std::size_t capacity)
      : bytes_(new Byte[capacity]), capacity_(capacity) {}

  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  void write(std::uint64_t number, ByteView bytes);
  /// What lies in one piece from `number` on, at most `count` bytes.
  [[nodiscard]] ByteView piece(std::uint64_t number, std::size_t count) const;

 private:
  std::unique_ptr<Byte[]> bytes_;
  std::size_t capacity_;
};

/// The sending half.  consumed <= next <= end <= consumed + window
class SendWindow {
 public:
  explicit SendWindow(std::size_t window) : bytes_(window) {}

  /// How many bytes may be handed in now.
  [[nodiscard]] std::size_t room() const { return bytes_.capacity() - held(); }
  /// @pre bytes.size() <= room()
  void put(ByteView bytes);

  /// What is to be sent next on the connection there is, at most `count` bytes.
  [[nodiscard]] ByteView next(std::size_t count) const;
  [[nodiscard]] std::uint64_t next_number() const { return next_; }
  /// The first `count` bytes of next() have gone onto the connection. @pre as many
  void sent(std::size_t count);

  /// @error protocol: it was not sent, or goes back
  [[nodiscard]] Status acknowledge(std::uint64_t consumed);
  /// A new connection: the peer has received everything before `received`.
  /// @error protocol: impossible
  [[nodiscard]] Status resume(std::uint64_t received);

  [[nodiscard]] std::uint64_t end() const { return end_; }
  [[nodiscard]] std::uint64_t consumed() const { return consumed_; }
  [[nodiscard]] std::size_t held() const { return end_ - consumed_; }
  [[nodiscard]] std::size_t unsent() const { return end_ - next_; }
  /// Bytes that went onto a connection at least once.
  [[nodiscard]] std::uint64_t sent_first_time() const { return sent_max_; }
  /// Bytes that went onto a connection more than once.
  [[nodiscard]] std::uint64_t sent_again() const { return sent_again_; }

 private:
  NumberedBytes bytes_;
  std::uint64_t consumed_{0};
  std::uint64_t next_{0};
  std::uint64_t end_{0};
  std::uint64_t sent_max_{0};  // the highest number ever sent
  std::uint64_t sent_again_{0};
};

/// The receiving half.  consumed <= received <= consumed + window
class ReceiveWindow {
 public:
  explicit ReceiveWindow(std::size_t window) : bytes_(window) {}

  /// What a data frame brought. Bytes that are here already are passed over.
  /// @error protocol: a gap, or more than the window holds
  [[nodiscard]] Status accept(std::uint64_t offset, ByteView bytes);

  /// What lies ready in one piece, at most `count` bytes from `skip` on.
  [[nodiscard]] ByteView front(std::size_t count, std::size_t skip = 0) const;
  [[nodiscard]] std::size_t ready() const { return received_ - consumed_; }
  /// @pre count <= ready()
  void consume(std::size_t count);

  [[nodiscard]] std::uint64_t received() const { return received_; }
  [[nodiscard]] std::uint64_t consumed() const { return consumed_; }

 private:
  NumberedBytes bytes_;
  std::uint64_t received_{0};
  std::uint64_t consumed_{0};
};

}  // namespace lt::mirror

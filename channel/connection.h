// Connection: frames on one TCP connection. Never blocks.
//
// It dies early rather than late: a tunnel that was away for a minute leaves a connection in the
// middle of a long retransmission pause, while a new one is up in a round trip. Both ends say
// something at least every `heartbeat`; silence of `silence_max` is the end.
#pragma once

#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"
#include "base/units.h"
#include "channel/frame.h"

namespace lt::channel {

inline constexpr Seconds heartbeat{1};
inline constexpr Seconds silence_max{6};

class Connection {
 public:
  /// @param buffer_bytes  of what has come and is not taken: more than the longest frame of `table`
  Connection(Fd socket, Instant now, FrameTable table, std::size_t buffer_bytes);

  struct Frame {
    std::uint8_t type;
    ByteView payload;  // valid until fill()
  };

  [[nodiscard]] int fd() const { return socket_.get(); }
  /// Whether bytes wait for the socket: poll for POLLOUT.
  [[nodiscard]] bool has_output() const { return output_waiting() > 0; }
  [[nodiscard]] std::size_t output_waiting() const { return out_.size() - out_at_ + pending_.view().size(); }

  /// Reads what has come. @error closed: the peer's program has ended · io: the path is gone
  [[nodiscard]] Status fill(Instant now);
  /// The next whole frame. @error protocol
  [[nodiscard]] Result<std::optional<Frame>> next_frame();

  /// For frames: goes out with flush().
  [[nodiscard]] Writer& out() { return pending_; }
  /// @error as fill(), whichever of the two meets the end first
  [[nodiscard]] Status flush(Instant now);

  [[nodiscard]] bool is_silent(Instant now) const { return now - heard_ > silence_max; }
  [[nodiscard]] bool needs_heartbeat(Instant now) const { return now - spoken_ >= heartbeat; }

  /// For a connection that carries much, several times a second: one that has lost a packet of the tun device goes on under a
  /// congestion control that bears it (bear_losses()).
  /// @return the least round trip that the kernel has seen on it; 0: none yet
  [[nodiscard]] Microseconds watch_path();

  /// Ends it so that the peer takes it for a loss of the path, not for the end of this program.
  void abort();

 private:
  Fd socket_;
  FrameTable table_;
  std::vector<Byte> in_;
  std::size_t in_at_{0};
  std::size_t in_end_{0};
  Writer pending_;
  std::vector<Byte> out_;
  std::size_t out_at_{0};
  Instant heard_;
  Instant spoken_;
  bool bears_losses_{false};
};

}  // namespace lt::channel

// Connection: frames on one TCP connection, and the pipe's two windows over it. Never blocks.
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
#include "base/ip.h"
#include "base/result.h"
#include "base/units.h"
#include "mirror/pipe.h"
#include "mirror/wire.h"

namespace lt::mirror {

inline constexpr Seconds heartbeat{1};
inline constexpr Seconds silence_max{6};

/// Both sequences of one session.
struct PipeEnd {
  explicit PipeEnd(std::size_t window) : out(window), in(window) {}

  SendWindow out;
  ReceiveWindow in;
};

class Connection {
 public:
  Connection(Fd socket, Instant now);

  struct Frame {
    FrameType type;
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

  /// For put_*() of wire.h and put_data(): goes out with flush().
  [[nodiscard]] Writer& out() { return pending_; }
  /// A data frame with what is next of `window`, at most `count` bytes. @return how many it took
  std::size_t put_data(SendWindow& window, std::size_t count);
  [[nodiscard]] Status flush(Instant now);

  [[nodiscard]] bool is_silent(Instant now) const { return now - heard_ > silence_max; }
  [[nodiscard]] bool needs_heartbeat(Instant now) const { return now - spoken_ >= heartbeat; }

  /// The least round trip that the kernel has seen on it; 0: none yet.
  [[nodiscard]] Microseconds least_round_trip() const;

  /// Ends it so that the peer takes it for a loss of the path, not for the end of this program.
  void abort();

 private:
  Fd socket_;
  std::vector<Byte> in_;
  std::size_t in_at_{0};
  std::size_t in_end_{0};
  Writer pending_;
  std::vector<Byte> out_;
  std::size_t out_at_{0};
  Instant heard_;
  Instant spoken_;
};

/// What is set on every socket of the protocol: no delay, little unsent in the kernel, a fixed
/// congestion control. `device` binds it to the tunnel, so that nothing leaves by another way while
/// the tunnel is away; empty: no.
/// @error not_found: the device is not there (the link is down)
[[nodiscard]] Status prepare_socket(int socket, const std::string& device);

/// A socket on its way to `peer`. @error as connect(2)
[[nodiscard]] Result<Fd> begin_connecting(const IpAddress& own, const IpAddress& peer, std::uint16_t port,
                                          const std::string& device);
/// A listening socket on an address that need not be there yet, and may vanish and return.
[[nodiscard]] Result<Fd> listen_on(const IpAddress& own, std::uint16_t port);
/// Whom an accepted socket comes from; nothing when the kernel does not tell.
[[nodiscard]] std::optional<IpAddress> peer_of(int socket);

}  // namespace lt::mirror

// Connection: the agent's frames on one TCP connection (channel/connection.h), and the pipe's two windows
// over it.
#pragma once

#include <optional>

#include "base/fd.h"
#include "base/result.h"
#include "channel/connection.h"
#include "channel/peer_proof.h"
#include "channel/socket.h"
#include "mirror/pipe.h"
#include "mirror/wire.h"

namespace lt::mirror {

using channel::begin_connecting;
using channel::Identification;
using channel::listen_on;
using channel::make_nonce;
using channel::Nonce;
using channel::peer_of;
using channel::PeerProof;
using channel::prepare_socket;
using channel::Role;
using channel::Signature;

/// What a signature given here is for.
inline constexpr channel::Purpose mirror_purpose{
    .magic = "LTMA", .version = protocol_version, .text = {"linktune mirror agent 1\0", 24}, .name = "mirror agent"};

/// Both sequences of one session.
struct PipeEnd {
  explicit PipeEnd(std::size_t window) : out(window), in(window) {}

  SendWindow out;
  ReceiveWindow in;
};

class Connection : public channel::Connection {
 public:
  Connection(Fd socket, Instant now);

  struct Frame {
    FrameType type;
    ByteView payload;  // valid until fill()
  };

  /// The next whole frame. @error protocol
  [[nodiscard]] Result<std::optional<Frame>> next_frame();
  /// A data frame with what is next of `window`, at most `count` bytes. @return how many it took
  std::size_t put_data(SendWindow& window, std::size_t count);
};

}  // namespace lt::mirror

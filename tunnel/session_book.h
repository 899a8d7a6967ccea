// SessionBook: what the server's end of a handshake asks about the sessions that exist. The handshake stays a
// machine that knows nothing else of the link; judging changes nothing (P-14).
#pragma once

#include <optional>

#include "crypto/secret.h"
#include "tunnel/hello.h"

namespace lt::tunnel {

/// What a session's first handshake has settled for all its lanes.
struct SessionTerms {
  crypto::Secret<32> join;
  std::uint8_t lane_count{1};
  bool express{false};
};

class SessionBook {
 public:
  SessionBook() = default;
  virtual ~SessionBook() = default;
  SessionBook(const SessionBook&) = delete;
  SessionBook& operator=(const SessionBook&) = delete;

  /// The terms of a session that may still be joined, or nothing.
  [[nodiscard]] virtual const SessionTerms* find(const SessionId& id) const = 0;
  /// Whether there is room for what a HELLO asks whose MACs are right already. @return why not
  [[nodiscard]] virtual std::optional<Reject> judge(const Hello& hello) const = 0;
};

}  // namespace lt::tunnel

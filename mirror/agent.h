// Agent: what a site runs for the other one's mirror. Receives, lets read, proves; never a shell.
//
// It listens on the site's own tunnel address, an address that may vanish and return while the link's
// daemon restarts. A connection is taken from the peer's tunnel address only, and proven on top
// (channel/peer_proof.h). Sessions outlive connections by `session_hold`:
//
//     the path is lost    -> the session waits for its client; children wait with it
//     the client's program ends (its socket is closed, not lost) -> its children are ended at once
//     the client comes back -> both go on where the other has everything
//
// One thread, no blocking call; limits below bound what a peer can make it hold.
#pragma once

#include <stop_token>

#include "base/ip.h"
#include "mirror/session.h"

namespace lt::mirror {

inline constexpr std::size_t connections_max = 64;
inline constexpr std::size_t sessions_max = 16;  // times two windows: what a hostile peer can make it hold
inline constexpr Seconds greeting_patience{10};

struct AgentOptions {
  IpAddress own;   // of the tunnel
  IpAddress peer;
  std::uint16_t port{0};
  std::string device;  // of the tunnel; empty: do not bind answers to it
  Identification identification;
  AgentServices services;
  Seconds session_hold{std::chrono::minutes(10)};
  // A reset can only come over a path that works: a client that still runs is back in a moment.
  Milliseconds reset_hold{8'000};
  std::size_t window_max{window_bytes_default};
};

class Agent {
 public:
  /// @error busy: the port is taken · invalid: an option
  [[nodiscard]] static Result<Agent> create(AgentOptions options);

  Agent(Agent&&) noexcept;
  ~Agent();

  /// Serves until `stop`; then ends what it runs.
  /// @thread the one that stays alive: children die with it
  [[nodiscard]] Status run(std::stop_token stop);

 private:
  struct Inner;
  explicit Agent(std::unique_ptr<Inner> inner);
  std::unique_ptr<Inner> inner_;
};

}  // namespace lt::mirror

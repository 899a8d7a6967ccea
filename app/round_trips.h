// Round trips of small packets beside a load: by ping (ICMP), and by UDP echo, which a link takes for bulk.
#pragma once

#include "app/bench_journal.h"
#include "lab/sandbox.h"
#include "tuner/probe_echo.h"

namespace lt::app {

inline constexpr unsigned round_trips_per_second = 50;

/// Runs ping in `from`; blocks for about `duration`. @error io: ping said nothing that can be read
[[nodiscard]] Result<RoundTrips> ping_for(const lab::Sandbox& sandbox, lab::Host from, const IpAddress& to, std::chrono::milliseconds duration);

/// What `ping -n` printed. Pure. @error invalid: no summary
[[nodiscard]] Result<RoundTrips> parse_ping(std::string_view text);

/// Answers UDP echo at one host as long as this object lives, on any of its addresses.
class EchoHost {
 public:
  [[nodiscard]] static Result<EchoHost> start(const lab::Sandbox& sandbox, lab::Host host);

  /// Echo from `from` for `duration`; blocks for up to two seconds longer. @error unreachable
  [[nodiscard]] Result<RoundTrips> ask(const lab::Sandbox& sandbox, lab::Host from, const IpAddress& to, tuner::EchoPhase phase,
                                       std::chrono::milliseconds duration) const;

 private:
  EchoHost(std::unique_ptr<tuner::EchoServer> server, std::uint64_t nonce, std::uint16_t port) : server_(std::move(server)), nonce_(nonce), port_(port) {}
  std::unique_ptr<tuner::EchoServer> server_;
  std::uint64_t nonce_;
  std::uint16_t port_;
};

}  // namespace lt::app

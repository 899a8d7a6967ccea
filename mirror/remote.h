// Remote: runs a command at the other site's agent, as if it ran here: input, output, errors, exit status.
//
// The path may go and come back as it likes, and both daemons may restart: neither the program that
// feeds it nor the one at the other site notices more than a pause. Only an agent that has lost the
// session (its machine was restarted), or a path that stays away for longer than `hold`, ends it.
#pragma once

#include <stop_token>
#include <string>

#include "base/ip.h"
#include "mirror/connection.h"
#include "mirror/meter.h"
#include "mirror/pipe.h"

namespace lt::mirror {

struct RemoteOptions {
  IpAddress own;   // of the tunnel
  IpAddress peer;
  std::uint16_t port{0};
  std::string device;  // of the tunnel: nothing leaves by another way; empty: any
  Identification identification;
  std::size_t window{window_bytes_default};
  Seconds patience{20};                      // for the first connection
  Seconds hold{std::chrono::minutes(10)};    // for every further one
  RateGate* gate{nullptr};                   // asked for input that goes to the line; not owned
  Meter* meter{nullptr};                     // told how far the stages are; its rate holds for pulls; not owned
};

struct RemoteRequest {
  /// Syncoid's shell text.
  [[nodiscard]] static RemoteRequest command(const std::string& text);
  /// A typed request that the agent has a handler for.
  [[nodiscard]] static RemoteRequest typed(const std::string& name, const std::string& argument);

  PartKind kind{PartKind::command};
  std::string text;
  bool is_stream{false};  // a send or a receive: metered
};

/// Descriptors of the caller's; -1: none.
struct RemoteStreams {
  int in{-1};
  int out{-1};
  int errors{-1};
};

/// What it cost.
struct RemoteReport {
  int exit_status{0};
  std::uint64_t bytes_sent_again{0};
  std::uint64_t connections{0};
};

/// @error unreachable: no agent answers, or not again · rejected: the agent's refusal · closed: nobody
/// reads the output any more · interrupted · protocol
[[nodiscard]] Result<RemoteReport> run_remote(const RemoteOptions& options, const RemoteRequest& request,
                                              const RemoteStreams& streams, std::stop_token stop);

/// As above with texts at hand: for short commands. What it writes is bounded by `bytes_max`.
struct RemoteOutput {
  int exit_status{0};
  std::string out;
  std::string errors;
};
[[nodiscard]] Result<RemoteOutput> ask_remote(const RemoteOptions& options, const RemoteRequest& request,
                                              std::string_view input, std::size_t bytes_max, std::stop_token stop);

}  // namespace lt::mirror

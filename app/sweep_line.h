// SweepLine: the conversation of a sweep with the other site's agent, inside the tunnel. The asking end.
//
// Frames of channel/frame.h: a greeting by which each end proves to be the other site, then `request` and `answer` in
// turn, one JSON object each. A lost connection is made anew; the lease (app/sweep_agent.h) outlives it.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>

#include "app/sweep_request.h"
#include "base/ip.h"
#include "channel/connection.h"
#include "channel/peer_proof.h"
#include "configs/link_config.h"

namespace lt::app {

inline constexpr std::uint8_t request_frame = 3;
inline constexpr std::uint8_t answer_frame = 4;
inline constexpr std::size_t answer_bytes_max = 64 << 10;
[[nodiscard]] std::optional<channel::Lengths> sweep_frame_lengths(std::uint8_t type);

/// What a signature given here is for.
inline constexpr channel::Purpose sweep_purpose{
    .magic = "LTSW", .version = 1, .text = {"linktune sweep agent 1\0", 23}, .name = "sweep agent"};

/// Where both ends of the conversation are, and who they are.
struct SweepWay {
  IpAddress own;
  IpAddress peer;
  std::uint16_t port{0};
  std::string device;
  channel::Identification identification;

  /// From a site's config, with the site's key. Guards the process's secrets.
  /// @error invalid: the other site's address does not follow · not_found, not_permitted: the key
  [[nodiscard]] static Result<SweepWay> of(const configs::LinkConfig& config);
};

class SweepLine {
 public:
  explicit SweepLine(SweepWay way) : way_(std::move(way)) {}

  /// Connects if need be: the other site's agent is there, and is the other site's. @error as ask()
  [[nodiscard]] Status reach(const std::stop_token& stop = {});
  /// Connects if need be, asks, and waits for the answer; one at a time.
  /// @error unreachable: no agent, or the line is lost; the next call tries again · rejected, protocol
  ///        · any code the other site answered · interrupted
  /// @thread any
  [[nodiscard]] Result<Json> ask(const SweepRequest& request, Milliseconds patience, const std::stop_token& stop = {});
  /// Ends the connection, so that the other site hears of it at once.
  void hang_up();

  [[nodiscard]] const SweepWay& way() const { return way_; }

 private:
  [[nodiscard]] Status connect(Instant until, const std::stop_token& stop);
  [[nodiscard]] Status exchange(Instant until, const std::stop_token& stop, const std::function<Result<bool>()>& is_done);

  SweepWay way_;
  std::mutex mutex_;  // of the connection: the sweep's thread and the one that renews the lease both ask
  std::optional<channel::Connection> connection_;
};

}  // namespace lt::app

// WanEmulator: the WAN between two devices, carried in user space: wan_model.h applied to two TAPs,
// a thread for each way.
//
//   office-gw `wan` --read--> offer --> FrameStore --> take --write--> offsite-gw `wan`
//
// Theory of operation. A thread owns one direction: its model, its store, its two TAPs' ends. A
// turn takes in what has arrived, gives out what is due, publishes the counters, and sleeps. Under
// traffic it sleeps for the rest of a fixed turn and then looks at both, rather than waking for
// each packet; without traffic it sleeps until a frame, a due time or a command comes, and uses no
// CPU. Times on the line are computed by the model, so a turn that comes late delivers late once,
// and does not slow the line down.
//
// It tells the truth about itself: how late it delivered, what CPU a packet costs it (hence how
// many it could carry), and what its devices dropped behind its back.
//
// Not here: what happens to a packet (wan_model.h), namespaces (sites.h), how others talk to it
// (control.h).
#pragma once

#include <array>
#include <memory>

#include "base/json.h"
#include "base/result.h"
#include "lab/topology.h"
#include "lab/wan_model.h"
#include "lab/wan_settings.h"

namespace lt::lab {

/// What one direction did, and how well the emulator kept up.
struct WanReport {
  WanSettings settings;
  WanCounters counters;
  std::uint64_t late_packets{0};     // delivered more than late_limit after they were due
  Nanoseconds late_max{0};           // the latest of all
  Nanoseconds cpu{0};                // of the thread that carries this direction
  std::uint64_t loaded_passages{0};  // packets taken in or given out in turns that had several ...
  Nanoseconds loaded_time{0};        // ... and what those turns lasted, sleep excluded
  std::uint64_t device_dropped{0};   // by the sending TAP, not emptied in time
  std::uint64_t device_refused{0};   // by the receiving TAP

  /// The emulator's own ceiling: packets a second at which this thread would never sleep, from what
  /// they cost it under load so far (the receiving gateway's kernel included, which runs in it); 0:
  /// no load yet.
  [[nodiscard]] std::uint64_t ceiling_packets_per_second() const;
  [[nodiscard]] Json to_json() const;

  static constexpr Nanoseconds late_limit{std::chrono::milliseconds(1)};
};

class WanEmulator {
 public:
  /// Makes the device `wan` in both gateways, configures it and begins to carry.
  /// @error not_found: no /dev/net/tun or no such namespaces · io
  /// @pre build_sites(topology)
  [[nodiscard]] static Result<WanEmulator> start(const Topology& topology,
                                                 const std::array<WanSettings, 2>& settings);

  WanEmulator(WanEmulator&&) noexcept;
  WanEmulator& operator=(WanEmulator&&) noexcept;
  ~WanEmulator();  // ends the threads; the devices vanish

  /// In force when it returns. @thread any
  void set(Direction direction, const WanSettings& settings);
  /// @thread any
  [[nodiscard]] WanReport report(Direction direction) const;

 private:
  class Lane;
  struct Inner;
  explicit WanEmulator(std::unique_ptr<Inner> inner);
  std::unique_ptr<Inner> inner_;
};

}  // namespace lt::lab

// The TCP load of one end: a thread for each flow, blocking calls with large blocks.
//
// Receivers discard in the kernel (MSG_TRUNC): what is measured is the path, not our copying.
// They end by their own clock and reset their connections, which ends the senders at the other end.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "tuner/probe.h"

namespace lt::tuner {

inline constexpr std::size_t send_block_bytes = 256 << 10;
inline constexpr std::size_t receive_block_bytes = 1 << 20;

struct LoadOptions {
  std::vector<Fd> sending;
  std::vector<Fd> receiving;
  Milliseconds omit{0};
  Milliseconds duration{0};
};

struct LoadReport {
  std::optional<FlowResult> received;  // what this end received; set when it had receivers
  std::uint64_t retransmits{0};        // by this end's senders, within the measured time
  double rtt_us{0};                    // median of this end's senders
  std::string congestion;              // of this end's senders
  CpuUse cpu;
  bool starved{false};  // a receiver waited path_patience and got no byte at all
};

/// Begins on construction. @thread one owner; its own threads touch nothing else
class LoadRun {
 public:
  explicit LoadRun(LoadOptions options);
  LoadRun(const LoadRun&) = delete;
  LoadRun& operator=(const LoadRun&) = delete;
  ~LoadRun();

  /// The measured time is over at this end: receivers have ended, CPU is read.
  [[nodiscard]] bool is_measured() const;
  /// Ends receivers at once: the test is given up.
  void abandon();
  /// Waits for receivers, ends senders, and reports. Bounded by path_patience + omit + duration.
  [[nodiscard]] LoadReport finish();

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

}  // namespace lt::tuner

// BareSegments: how large the TCP segments of the bare line's own flows are.
//
// On a path that drops large packets and tells nobody, TCP of hosts that think 1500 bytes pass carries nothing, and every
// owner of such a line has a router that clamps the segments' size. The bare line is the control of each sweep, so it is
// measured as it is behind such a router: by the largest of segment_sizes that carries.
#pragma once

#include <cstddef>
#include <stop_token>

#include "base/segment_sizes.h"
#include "tuner/probe.h"

namespace lt::tuner {

class BareSegments {
 public:
  /// For TCP_MAXSEG (unit: B; 0: as the system finds it).
  [[nodiscard]] std::uint32_t bytes_max() const { return segment_sizes[step_]; }

  /// Data has passed: nothing smaller is ever tried again.
  void carried() { is_settled_ = true; }

  /// No data has passed. @return whether a smaller size is worth a try; else the first is the next one again
  bool starved() {
    if (is_settled_) return false;
    step_ = (step_ + 1) % segment_sizes.size();
    return step_ != 0;
  }

 private:
  std::size_t step_{0};
  bool is_settled_{false};
};

/// A test of the bare line; where no data passes, again with smaller segments, and the size that carries is kept in `segments`.
/// @error as run_probe
[[nodiscard]] Result<ProbeResult> run_bare_probe(const ProbeClientOptions& client, ProbeRequest request, BareSegments& segments,
                                                 const std::stop_token& stop);

}  // namespace lt::tuner

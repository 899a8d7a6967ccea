// Forecasts: when a run will be done, and whether it meets its time. Pure; the time is handed in.
//
// The rate is a mean over the last `memory`, weighted towards the present; a pause by the limits
// ahead, and a lower limit, are taken into account minute by minute.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/units.h"
#include "configs/mirror_config.h"

namespace lt::mirror {

/// The rate of a running transfer, from its count of bytes.
class RateEstimate {
 public:
  static constexpr Milliseconds memory{20'000};

  void update(Bytes total, Instant now);
  /// Time in which nothing could flow (between two datasets, a pause) does not count as slow.
  void skip_to(Bytes total, Instant now);
  [[nodiscard]] std::optional<double> bytes_per_second() const;

 private:
  std::optional<Instant> last_;
  Bytes total_;
  double weighted_bytes_{0};
  double weighted_seconds_{0};
};

struct Outlook {
  std::optional<configs::WallTime> done;  // nothing: not within `outlook_max`, or no rate is known
  std::optional<Seconds> late_by;         // how much later than `finish_by`
};
inline constexpr Seconds outlook_max{14 * 24 * 3600};

/// When `remaining` bytes are carried that begin to flow `now`, at `bytes_per_second` where the
/// limits allow it, with `overhead` of time in which nothing flows.
[[nodiscard]] Outlook forecast(double remaining_bytes, double bytes_per_second, Seconds overhead,
                               const configs::MirrorJob& job, configs::WallTime now);

/// "done at 05:40", "done at Tue 05:40, will miss 07:00 by 40min", "no end in sight".
[[nodiscard]] std::string outlook_text(const Outlook& outlook, const configs::MirrorJob& job,
                                       configs::WallTime now);

}  // namespace lt::mirror

// The verdict: arms ranked, and how far the ranking may be trusted.
//
// A ranking is no decision. Whether an arm IS better takes fresh data for the finalists,
// simultaneous intervals and enough blocks (blocks_for_decision); a ranking says which arm came out
// ahead, which others cannot be told from it, and how many blocks it would take.
// @source statistics.md 3 and 4
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tuner/statistics.h"
#include "tuner/sweep.h"

namespace lt::tuner {

inline constexpr std::size_t blocks_for_decision = 10;  // statistics.md 3.3: n2 >= 10
inline constexpr double confidence = 0.95;
inline constexpr double smallest_effect = 0.05;  // what the owner cares about: 5 %

enum class Standing : std::uint8_t {
  control,            // the bare line: not a candidate
  ahead,              // highest median of those without a failure
  indistinguishable,  // the paired interval against the one ahead holds "equal"
  behind,             // it does not
  undecided,          // too few blocks for any interval
  failed,             // did not carry a trial at least once: cannot win
  unmeasured,         // only the bench's failures
};

[[nodiscard]] std::string_view name_of(Standing standing);

/// One row of the table. Medians over fresh starts.
struct ArmSummary {
  std::size_t arm{0};  // place in SweepHeader::arms
  Standing standing{Standing::unmeasured};
  std::size_t units{0};              // measured
  std::size_t failures{0};           // the arm's own
  std::size_t harness_failures{0};   // units lost to the bench, and first attempts repeated
  std::string failure;               // the last reason
  double score{0};                   // median (unit: bit/s)
  double spread{0};                  // (p95 - p5) / median of the score
  std::optional<Interval> interval;  // 95 % of the log mean of the score
  std::optional<Interval>
      ratio;     // of this arm to the one ahead, paired by block, all pairs at once
  double up{0};  // bit/s
  double down{0};
  double idle_us_p50{0};
  double idle_us_p99{0};
  double loaded_us_p50{0};
  double loaded_us_p99{0};
  double cpu_seconds_per_gbit{0};
  double loss{0};  // of the worse way, under load
  double start_ms{0};
};

struct Verdict {
  std::vector<ArmSummary> rows;      // the bare line first, then by score; failed ones last
  std::optional<std::size_t> ahead;  // place in SweepHeader::arms
  bool is_decision{false};           // a ranking from one stage never is
  std::size_t blocks_needed{0};  // to settle smallest_effect between the first two; 0: not known
  double bare_spread{0};         // drift of the line: (p95 - p5) / median of the bare line
  std::string sentence;          // for people

  /// The best of one carrier that did not fail. @return place in SweepHeader::arms
  [[nodiscard]] std::optional<std::size_t> best_of(ArmCarrier carrier,
                                                   const SweepHeader& header) const;
  [[nodiscard]] const ArmSummary* row_of(std::size_t arm) const;
};

[[nodiscard]] Verdict judge(const SweepResult& result);

}  // namespace lt::tuner

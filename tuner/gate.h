// Gate: what an arm must do right before it may win anything, however fast it is.
//
// A failed check disqualifies the arm. A check that could not be made is `skipped`, with the
// reason: it neither passes nor fails, and is never counted as passed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace lt::tuner {

enum class GateVerdict : std::uint8_t { passed, failed, skipped };

[[nodiscard]] std::string_view name_of(GateVerdict verdict);
[[nodiscard]] std::optional<GateVerdict> gate_verdict_from_name(std::string_view name);

struct GateCheck {
  std::string name;  // "full_size", "ping_ladder", "black_hole", "udp_sizes", "stall", "reassembly"
  GateVerdict verdict{GateVerdict::skipped};
  std::string what;  // a sentence: what was seen, or why nothing was tried
};

inline constexpr std::size_t gate_checks_max = 32;

struct GateOutcome {
  std::optional<Error> failure{};  // of the first check that failed: the arm cannot win
  std::vector<GateCheck> checks{};

  /// Adds a check; the first failed one becomes `failure`.
  void add(GateCheck check);
  [[nodiscard]] std::size_t count(GateVerdict verdict) const;
};

[[nodiscard]] Json to_json(const GateOutcome& outcome);
/// @error invalid: names the field, or `failure` and the checks contradict each other
[[nodiscard]] Result<GateOutcome> gate_outcome_from_json(const Json& value);

}  // namespace lt::tuner

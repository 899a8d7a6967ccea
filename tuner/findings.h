// Findings: what the evidence says beside the verdict - what each knob did, what the last of the
// goodput costs, whether restarts matter, and which arms no other dominates.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "tuner/decision.h"
#include "tuner/evidence.h"

namespace lt::tuner {

inline constexpr std::size_t knob_effects_max = 64;

/// For each two arms that differ in one knob and share at least two blocks, those with the most
/// blocks first.
[[nodiscard]] std::vector<KnobEffect> knob_effects(const Evidence& evidence);

/// Of arms that carried every trial. @return nothing when the fastest is also the calmest
[[nodiscard]] std::optional<Price> price_of(const Evidence& evidence);

[[nodiscard]] RestartFinding restart_finding(const Evidence& evidence);

/// Those of `arms` that no other is shown to dominate: not worse in goodput, wait and CPU by more
/// than the tolerance, and better in one (Holm over the three). @source statistics.md 7
[[nodiscard]] std::vector<std::size_t> pareto_set(const Evidence& evidence,
                                                  std::span<const std::size_t> arms, double within,
                                                  double confidence);

/// True when the arm failed a trial or the gate.
[[nodiscard]] bool has_failed(const Evidence& evidence, std::size_t arm);

}  // namespace lt::tuner

// Which numbers lie far from their neighbours. They are named, never thrown away: a bad restart is
// data.
#pragma once

#include <cstddef>
#include <vector>

#include "tuner/statistics.h"

namespace lt::tuner {

/// A modified z-score beyond this is an outlier.
/// @source Iglewicz, Hoaglin, "How to Detect and Handle Outliers", 1993; hyperfine uses the same
/// rule
inline constexpr double outlier_z = 3.5;

/// The modified z-score of each value: 0.6745 (x - median) / MAD. All zero when the MAD is 0.
[[nodiscard]] std::vector<double> modified_z_scores(Numbers values);

/// Places of the outliers in `values`, rising.
[[nodiscard]] std::vector<std::size_t> outliers(Numbers values);

}  // namespace lt::tuner

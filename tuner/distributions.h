// Quantiles of the distributions that intervals are built from. The door of Boost.Math.
#pragma once

namespace lt::tuner {

/// The value that a Student t variable of `degrees` degrees of freedom stays below with
/// `probability`.
/// @pre 0 < probability < 1, degrees > 0
[[nodiscard]] double student_t_quantile(double probability, double degrees);

/// The same for the standard normal distribution. @pre 0 < probability < 1
[[nodiscard]] double normal_quantile(double probability);

}  // namespace lt::tuner

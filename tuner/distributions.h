// Quantiles of the distributions that intervals are built from. The door of Boost.Math.
#pragma once

namespace lt::tuner {

/// The value that a Student t variable of `degrees` degrees of freedom stays below with
/// `probability`.
/// @pre 0 < probability < 1, degrees > 0
[[nodiscard]] double student_t_quantile(double probability, double degrees);

/// The probability that such a variable exceeds `value`. @pre degrees > 0
[[nodiscard]] double student_t_above(double value, double degrees);

/// The same quantile for the standard normal distribution. @pre 0 < probability < 1
[[nodiscard]] double normal_quantile(double probability);

/// The same for Fisher's F, a ratio of two variances. @pre 0 < probability < 1, degrees > 0
[[nodiscard]] double fisher_f_quantile(double probability, double degrees_above,
                                       double degrees_below);

}  // namespace lt::tuner

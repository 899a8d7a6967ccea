// The charts of a sweep's page, and the words that page and charts share.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tuner/chart.h"
#include "tuner/report.h"

namespace lt::tuner {

[[nodiscard]] std::string rate_text(double bits_per_second);     // "912 Mbit/s"
[[nodiscard]] std::string wait_text(double microseconds);        // "14.2 ms"
[[nodiscard]] std::string ratio_text(const Interval& interval);  // "+3.1 % to +5.0 %"

/// Goodput of each arm with its interval; the line's bound as reference where it is known.
[[nodiscard]] std::string goodput_figure(const Report& report);
/// Each confirmed arm against the present settings.
[[nodiscard]] std::string comparison_figure(const Report& report);
/// Goodput against the wait under load, with the arms that nothing beats on both.
[[nodiscard]] std::string trade_figure(const Report& report);
/// How the rate of the best arms came up and held, from the start of a trial on.
[[nodiscard]] std::string series_figure(const Report& report);
/// The bare line over the time of the sweep, stages behind it.
[[nodiscard]] std::string drift_figure(const Report& report);
/// CPU time for each Gbit.
[[nodiscard]] std::string cpu_figure(const Report& report);

}  // namespace lt::tuner

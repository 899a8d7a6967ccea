// The report of a bench as one page with plots, that loads nothing. Pure.
#pragma once

#include "app/bench_report.h"

namespace lt::app {

[[nodiscard]] std::string html_of(const BenchReport& report);

}  // namespace lt::app

// The figures linktune is to reach, S1 to S11, judged from what a bench measured. Pure.
#pragma once

#include "app/bench_report.h"

namespace lt::app {

/// One verdict for each of S1 to S11, in order; what was not measured is said to be so.
[[nodiscard]] std::vector<BenchVerdict> judge_bench(const std::vector<SceneFigures>& scenes);

}  // namespace lt::app

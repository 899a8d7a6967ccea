// linktune_micro_bench: the parts of the data plane, one at a time, on one thread. Run it on a
// quiet machine; `--benchmark_repetitions=5` shows how quiet it is.
#include <benchmark/benchmark.h>

BENCHMARK_MAIN();

// libFuzzer's entry, the same for all targets.
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/steady_random.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  lt::fuzz::restart_randomness();
  lt::fuzz::run({data, size});
  return 0;
}

#include "tests/fuzz/steady_random.h"

#define OPENSSL_SUPPRESS_DEPRECATED  // the old way in is the only one that needs no provider of our own
#include <openssl/rand.h>

#include <cstdint>

#include "base/assert.h"

namespace lt::fuzz {

namespace {

constexpr std::uint64_t seed = 0x6c696e6b74756e65;
std::uint64_t state = seed;

// splitmix64
int fill(unsigned char* out, int count) {
  for (int i = 0; i < count; ++i) {
    std::uint64_t mixed = state += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    out[i] = static_cast<unsigned char>(mixed ^ (mixed >> 31));
  }
  return 1;
}
int is_seeded() { return 1; }

const RAND_METHOD method{nullptr, fill, nullptr, nullptr, fill, is_seeded};

}  // namespace

void restart_randomness() {
  static const bool is_set = RAND_set_rand_method(&method) == 1;
  LT_ASSERT(is_set);
  state = seed;
}

}  // namespace lt::fuzz

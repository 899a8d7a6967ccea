// What a simulation has to hold of the crypto floor, without a seam in the product: OpenSSL's random generator, replaced
// for the whole process by a seeded one, TLS's own draws included, and an onlooker at every seal.
#pragma once

#include <cstdint>

namespace lt::sim {

/// From here on every random byte of this process follows from `seed`.
void seed_randomness(std::uint64_t seed);

/// What the onlooker at Aead::seal has seen since forget_seals().
struct Seals {
  std::uint64_t records{0};
  std::uint64_t keys{0};
  std::uint64_t repeated{0};  // nonces that were not the next of their key
};
[[nodiscard]] const Seals& seals();
void forget_seals();

}  // namespace lt::sim

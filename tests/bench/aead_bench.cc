// AES-256-GCM by size and backend: bytes of text a second, one thread, everything in the cache.
#include <benchmark/benchmark.h>

#include <array>
#include <string>
#include <vector>

#include "crypto/aead.h"

namespace lt::crypto {
namespace {

using Nonce = std::array<Byte, aead_nonce_bytes>;
using Tag = std::array<Byte, aead_tag_bytes>;
constexpr std::array<Byte, 8> header{};  // as a record's

Aead aead_of(AeadBackend backend) {
  return *Aead::create(Secret<32>::random(), backend);
}

void seal(benchmark::State& state, AeadBackend backend) {
  Aead aead = aead_of(backend);
  std::vector<Byte> text(static_cast<std::size_t>(state.range(0)), 0x22);
  Nonce nonce{};
  Tag tag{};
  for (auto _ : state) {
    store_be64(&nonce[4], load_be64(&nonce[4]) + 1);
    aead.seal(nonce, header, text, tag);
    benchmark::DoNotOptimize(tag);
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

// Opening decrypts in place, so each round needs the ciphertext anew: its copying is timed apart,
// by `copy`, and is small beside it.
void open(benchmark::State& state, AeadBackend backend) {
  Aead aead = aead_of(backend);
  std::vector<Byte> sealed(static_cast<std::size_t>(state.range(0)), 0x22);
  const Nonce nonce{};
  Tag tag{};
  aead.seal(nonce, header, sealed, tag);
  std::vector<Byte> text = sealed;
  for (auto _ : state) {
    std::copy(sealed.begin(), sealed.end(), text.begin());
    if (!aead.open(nonce, header, text, tag)) state.SkipWithError("did not open");
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

void copy(benchmark::State& state) {
  const std::vector<Byte> from(static_cast<std::size_t>(state.range(0)), 0x22);
  std::vector<Byte> to(from.size());
  for (auto _ : state) {
    std::copy(from.begin(), from.end(), to.begin());
    benchmark::DoNotOptimize(to.data());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

void rekey(benchmark::State& state, AeadBackend backend) {
  Aead aead = aead_of(backend);
  const auto key = Secret<32>::random();
  for (auto _ : state)
    aead.rekey(key);
}

void with_sizes(benchmark::internal::Benchmark* one) {
  for (const int size : {64, 256, 1420, 4096, 9000, 16384, 65536, 262144})
    one->Arg(size);
}

const bool registered = [] {
  std::vector<AeadBackend> backends{AeadBackend::openssl};
  if (ipsec_mb_support().is_usable) backends.push_back(AeadBackend::ipsec_mb);
  for (const AeadBackend backend : backends) {
    const std::string name(name_of(backend));
    with_sizes(benchmark::RegisterBenchmark(("aead/seal/" + name).c_str(), seal, backend));
    with_sizes(benchmark::RegisterBenchmark(("aead/open/" + name).c_str(), open, backend));
    benchmark::RegisterBenchmark(("aead/rekey/" + name).c_str(), rekey, backend);
  }
  with_sizes(benchmark::RegisterBenchmark("aead/copy", copy));
  return true;
}();

}  // namespace
}  // namespace lt::crypto

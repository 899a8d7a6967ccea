// The record layer: what AES-GCM becomes with headers, nonces and the ratchet's book-keeping.
#include <benchmark/benchmark.h>

#include <vector>

#include "tunnel/sealing.h"
#include "tunnel/wire.h"

namespace lt::tunnel {
namespace {

const Instant start = Instant() + std::chrono::hours(1);

// No ratchet within a run: the peer in `seal_and_open` would have to follow it.
RatchetLimits limits() {
  RatchetLimits all;
  all.blocks_max = ~std::uint64_t{0};
  return all;
}

void seal_record(benchmark::State& state) {
  const auto plaintext = static_cast<std::size_t>(state.range(0));
  Sealer sealer = *Sealer::create(crypto::Secret<32>::random(), limits(), start);
  std::vector<Byte> record(plaintext + record_overhead_bytes, 0x22);
  for (auto _ : state) {
    const auto sealed = sealer.seal(RecordType::data, record);
    if (!sealed) {
      state.SkipWithError("the key is spent");
      break;
    }
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

void seal_and_open_record(benchmark::State& state) {
  const auto plaintext = static_cast<std::size_t>(state.range(0));
  const auto secret = crypto::Secret<32>::random();
  Sealer sealer = *Sealer::create(crypto::Secret<32>::copy_of(secret.reveal()), limits(), start);
  Opener opener = *Opener::create(crypto::Secret<32>::copy_of(secret.reveal()), limits());
  std::vector<Byte> record(plaintext + record_overhead_bytes, 0x22);
  for (auto _ : state) {
    if (!sealer.seal(RecordType::data, record) || !opener.open(record)) {
      state.SkipWithError("a record did not come through");
      break;
    }
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

void ratchet(benchmark::State& state) {
  Sealer sealer = *Sealer::create(crypto::Secret<32>::random(), limits(), start);
  for (auto _ : state)
    sealer.ratchet(start);
}

// A MiB in records of 64 KiB, with a step of the ratchet before each MiB or without: what "a rekey every MiB" costs.
void seal_mebibyte(benchmark::State& state) {
  constexpr std::size_t record_plaintext = 65536;
  Sealer sealer = *Sealer::create(crypto::Secret<32>::random(), limits(), start);
  std::vector<Byte> record(record_plaintext + record_overhead_bytes, 0x22);
  std::vector<Byte> update(key_update_bytes + record_overhead_bytes);
  for (auto _ : state) {
    if (state.range(0) == 1) {
      if (!sealer.seal(RecordType::key_update, update)) return state.SkipWithError("the key is spent");
      sealer.ratchet(start);
    }
    for (int i = 0; i < 16; ++i) {
      if (!sealer.seal(RecordType::data, record)) return state.SkipWithError("the key is spent");
    }
  }
  state.SetBytesProcessed(state.iterations() * 16 * static_cast<std::int64_t>(record_plaintext));
}

BENCHMARK(seal_mebibyte)->Name("record/seal_mebibyte/ratchet")->Arg(0)->Arg(1);
BENCHMARK(seal_record)->Name("record/seal")->Arg(64)->Arg(1420)->Arg(16384)->Arg(65536);
BENCHMARK(seal_and_open_record)
    ->Name("record/seal_and_open")
    ->Arg(64)
    ->Arg(1420)
    ->Arg(16384)
    ->Arg(65536);
BENCHMARK(ratchet)->Name("record/ratchet");

}  // namespace
}  // namespace lt::tunnel

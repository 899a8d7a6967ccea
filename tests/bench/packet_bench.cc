// What is done for each packet: parse, classify, describe, rebuild, checksum, mark.
#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "tests/tunnel/flow_packets.h"
#include "tunnel/checksum.h"
#include "tunnel/flow_class.h"
#include "tunnel/ip_packet.h"
#include "tunnel/virtio.h"

namespace lt::tunnel {
namespace {

using namespace lt::tunnel::testing;

PacketSpec spec_of(benchmark::State& state) {
  PacketSpec spec = state.range(0) == 4 ? PacketSpec{} : v6();
  spec.tcp_options.assign(12, 1);
  spec.payload = pattern(1400);
  return spec;
}

void parse(benchmark::State& state) {
  const std::vector<Byte> packet = build(spec_of(state));
  for (auto _ : state)
    benchmark::DoNotOptimize(parse_ip(packet));
}

void classify_data(benchmark::State& state) {
  const std::vector<Byte> packet = build(spec_of(state));
  for (auto _ : state)
    benchmark::DoNotOptimize(classify(packet));
}

void classify_bare_ack(benchmark::State& state) {
  PacketSpec spec = spec_of(state);
  spec.payload.clear();
  const std::vector<Byte> packet = build(spec);
  for (auto _ : state)
    benchmark::DoNotOptimize(classify(packet));
}

void classify_mix(benchmark::State& state) {
  std::mt19937 random(1);
  std::vector<std::vector<Byte>> packets;
  for (int i = 0; i < 1000; ++i)
    packets.push_back(random_flow_packet(random));
  std::size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(classify(packets[next]));
    next = (next + 1) % packets.size();
  }
}

void rebuild_super_packet(benchmark::State& state) {
  PacketSpec spec = spec_of(state);
  spec.payload = pattern(60000);
  std::vector<Byte> packet = build_partial(spec);
  const PacketMeta meta{state.range(0) == 4 ? PacketKind::tcp4 : PacketKind::tcp6, 1400};
  for (auto _ : state)
    benchmark::DoNotOptimize(rebuild(meta, packet, 1500));
}

void describe_super_packet(benchmark::State& state) {
  PacketSpec spec = spec_of(state);
  spec.payload = pattern(60000);
  std::vector<Byte> packet = build_partial(spec);
  const PacketMeta meta{state.range(0) == 4 ? PacketKind::tcp4 : PacketKind::tcp6, 1400};
  const VnetHeader header = *rebuild(meta, packet, 1500);
  for (auto _ : state)
    benchmark::DoNotOptimize(describe(header, packet));
}

void checksum(benchmark::State& state) {
  const std::vector<Byte> text = pattern(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state)
    benchmark::DoNotOptimize(add_bytes({}, text));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

BENCHMARK(parse)->Name("packet/parse/IPv")->Arg(4)->Arg(6);
BENCHMARK(classify_data)->Name("packet/classify/data/IPv")->Arg(4)->Arg(6);
BENCHMARK(classify_bare_ack)->Name("packet/classify/bare_ack/IPv")->Arg(4)->Arg(6);
BENCHMARK(classify_mix)->Name("packet/classify/mix");
BENCHMARK(describe_super_packet)->Name("packet/describe/IPv")->Arg(4)->Arg(6);
BENCHMARK(rebuild_super_packet)->Name("packet/rebuild/IPv")->Arg(4)->Arg(6);
BENCHMARK(checksum)->Name("packet/checksum")->Arg(64)->Arg(1420)->Arg(65536);

}  // namespace
}  // namespace lt::tunnel

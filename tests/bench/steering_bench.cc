// The kernel's steering program: time for one packet, as the kernel itself measures it
// (BPF_PROG_TEST_RUN with `repeat`). Needs root; the device is made in a namespace of its own.
#include <benchmark/benchmark.h>
#include <linux/bpf.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "tests/tunnel/flow_packets.h"
#include "tunnel/steering.h"
#include "tunnel/tun_device.h"

namespace lt::tunnel {
namespace {

using namespace lt::tunnel::testing;

constexpr std::uint32_t repeat = 100000;

// The namespace belongs to a thread that ends; the program lives by its descriptor.
Result<Steering> steering_of_a_device() {
  Result<Steering> steering = fail(Errc::not_permitted, "needs root");
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) != 0) return;
    const auto device = TunDevice::create({.name = "bench0", .queues = 2});
    if (device) steering = Steering::attach(device->fd());
  }).join();
  return steering;
}

void steer(benchmark::State& state, const std::vector<Byte>& packet) {
  const auto steering = steering_of_a_device();
  if (!steering) return state.SkipWithError(steering.error().text().c_str());
  std::vector<Byte> bytes(14, 0);  // an Ethernet header, which the kernel takes away
  store_be16(&bytes[12], 0x88b5);
  bytes.insert(bytes.end(), packet.begin(), packet.end());
  for (auto _ : state) {
    bpf_attr attributes{};
    attributes.test.prog_fd = static_cast<std::uint32_t>(steering->program_fd());
    attributes.test.data_in = reinterpret_cast<std::uintptr_t>(bytes.data());
    attributes.test.data_size_in = static_cast<std::uint32_t>(bytes.size());
    attributes.test.repeat = repeat;
    if (::syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attributes, sizeof attributes) != 0) {
      return state.SkipWithError("the kernel does not run the program");
    }
    state.SetIterationTime(static_cast<double>(attributes.test.duration) * 1e-9);
  }
}

const bool registered = [] {
  for (const int version : {4, 6}) {
    PacketSpec spec = version == 4 ? PacketSpec{} : v6();
    const std::string name = "packet/steer_in_kernel/IPv" + std::to_string(version) + "/";
    const std::vector<Byte> bare = build(spec);
    spec.payload = pattern(1400);
    const std::vector<Byte> data = build(spec);
    for (const auto& [kind, packet] : {std::pair("data", data), std::pair("bare_ack", bare)}) {
      benchmark::RegisterBenchmark((name + kind).c_str(), steer, packet)
          ->UseManualTime()
          ->Iterations(20);
    }
  }
  return true;
}();

}  // namespace
}  // namespace lt::tunnel

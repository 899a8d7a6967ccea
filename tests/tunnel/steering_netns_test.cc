// Steering against a real kernel: its program decides as the classifier does, and packets come out
// of the queue that it names. In a namespace of the test's own.
#include "tunnel/steering.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <random>
#include <set>

#include "tests/tunnel/flow_packets.h"
#include "tests/tunnel/netns_support.h"
#include "tests/tunnel/packet_builder.h"
#include "tunnel/netlink.h"
#include "tunnel/tun_device.h"
#include "tunnel/virtio.h"

namespace lt::tunnel {
namespace {

using namespace lt::tunnel::testing;

TunDevice create(const TunOptions& options) {
  auto device = TunDevice::create(options);
  if (!device) FAIL(device.error().text());
  return std::move(*device);
}

Steering attach(const TunDevice& device) {
  auto steering = Steering::attach(device.fd());
  if (!steering) FAIL(steering.error().text());
  return std::move(*steering);
}

std::vector<std::uint32_t> first_queues(std::size_t count) {
  std::vector<std::uint32_t> queues(count);
  std::iota(queues.begin(), queues.end(), 0U);
  return queues;
}

// What the kernel's program answers for `packet` (BPF_PROG_TEST_RUN). It wants an Ethernet header
// in front, which it takes away before the program looks; of a type for experiments, since it looks
// for whole IP headers itself where the type says IP.
std::uint32_t run_in_kernel(const Steering& steering, ByteView packet) {
  std::vector<Byte> bytes(14, 0);
  store_be16(&bytes[12], 0x88b5);
  bytes.insert(bytes.end(), packet.begin(), packet.end());
  bpf_attr attributes{};
  attributes.test.prog_fd = static_cast<std::uint32_t>(steering.program_fd());
  attributes.test.data_in = reinterpret_cast<std::uintptr_t>(bytes.data());
  attributes.test.data_size_in = static_cast<std::uint32_t>(bytes.size());
  const long result = ::syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attributes, sizeof attributes);
  INFO("errno " << errno << ", " << packet.size() << " bytes");
  REQUIRE(result == 0);
  return attributes.test.retval;
}

// A table in which each slot, and express, has an answer of its own: what the program says shows
// what it thought.
void number_the_slots(Steering& steering) {
  steering.steer_express_to(1000);
  for (std::size_t slot = 0; slot < flow_slots; ++slot)
    steering.steer_slot(slot, static_cast<std::uint32_t>(slot));
}

void check_agreement(const Steering& steering, const std::vector<Byte>& packet,
                     const std::string& what) {
  const std::uint32_t kernel = run_in_kernel(steering, packet);
  const std::uint32_t ours = steering.queue_of(classify(packet));
  if (kernel == ours) return;
  FAIL(what << ": the kernel says " << kernel << ", the classifier " << ours << " of "
            << to_hex(ByteView(packet).first(std::min<std::size_t>(packet.size(), 120))));
}

TEST_CASE("the kernel's program decides as the classifier does, whatever the packet",
          "[tunnel][steering][netns]") {
  const Namespace here;
  const TunDevice device = create({.name = "lt0", .queues = 3});
  Steering steering = attach(device);
  number_the_slots(steering);

  SECTION("packets made for each rule") {
    for (const FlowCase& one : flow_cases())
      check_agreement(steering, one.packet, one.what);
  }
  SECTION("the same, cut off at each byte") {
    for (const FlowCase& one : flow_cases()) {
      for (std::size_t size = 1; size < std::min<std::size_t>(one.packet.size(), 140); ++size) {
        check_agreement(steering, {one.packet.begin(), one.packet.begin() + std::ptrdiff_t(size)},
                        one.what + ", cut to " + std::to_string(size));
      }
    }
  }
  SECTION("the same, with a bit turned over in each place of their headers") {
    for (const FlowCase& one : flow_cases()) {
      for (std::size_t bit = 0; bit < std::min<std::size_t>(one.packet.size(), 100) * 8; ++bit) {
        std::vector<Byte> packet = one.packet;
        packet[bit / 8] = static_cast<Byte>(packet[bit / 8] ^ 1U << bit % 8);
        check_agreement(steering, packet, one.what + ", bit " + std::to_string(bit));
      }
    }
  }
  SECTION("random flows") {
    const std::uint32_t seed = 20261123;
    INFO("seed " << seed);
    std::mt19937 random(seed);
    for (int i = 0; i < 8000; ++i)
      check_agreement(steering, random_flow_packet(random), "packet " + std::to_string(i));
  }
  SECTION("noise that begins as a packet does") {
    const std::uint32_t seed = 77;
    INFO("seed " << seed);
    std::mt19937 random(seed);
    for (int i = 0; i < 8000; ++i) {
      std::vector<Byte> packet(1 + random() % 120);
      for (Byte& byte : packet)
        byte = static_cast<Byte>(random());
      packet[0] =
          static_cast<Byte>(random() % 2 == 0 ? 0x40 | random() % 16 : 0x60 | random() % 16);
      check_agreement(steering, packet, "noise " + std::to_string(i));
    }
  }
}

// A gateway: lan0 hands packets in, lt0 with its queues is where they come out.
struct Gateway {
  explicit Gateway(std::size_t queues)
      : lan(create({.name = "lan0"})), link(create({.name = "lt0", .queues = queues})) {
    up("lan0");
    up("lt0");
    output_of({"sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"});
    output_of({"ip", "address", "add", "10.1.0.1/16", "dev", "lan0"});
    output_of({"ip", "address", "add", "fd01::1/64", "dev", "lan0", "nodad"});
    output_of({"ip", "address", "add", "10.2.0.1/16", "dev", "lt0"});
    output_of({"ip", "address", "add", "fd02::1/64", "dev", "lt0", "nodad"});
  }
  static void up(const char* name) {
    const auto done = bring_up({.name = name, .mtu = 1500, .queue = Packets{1000}});
    if (!done) FAIL(done.error().text());
  }

  void send(PacketMeta meta, std::vector<Byte> packet) const {
    const auto header = rebuild(meta, packet, 1500);
    REQUIRE(header);
    std::vector<Byte> bytes(vnet_header_bytes);
    store_vnet(bytes.data(), *header);
    bytes.insert(bytes.end(), packet.begin(), packet.end());
    REQUIRE(::write(lan.fd(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }

  struct Arrival {
    std::uint32_t queue;
    bool is_super;
    std::vector<Byte> packet;
  };
  // The next packet of TCP or UDP between the test's hosts; what the kernel says for itself (router
  // solicitations) is left out.
  Arrival next() const {
    std::vector<::pollfd> ready;
    for (std::size_t queue = 0; queue < link.queue_count(); ++queue)
      ready.push_back({link.queue_fd(queue), POLLIN, 0});
    std::vector<Byte> buffer(vnet_header_bytes + packet_bytes_max);
    for (;;) {
      REQUIRE(::poll(ready.data(), ready.size(), 5000) > 0);
      for (std::uint32_t queue = 0; queue < ready.size(); ++queue) {
        if ((ready[queue].revents & POLLIN) == 0) continue;
        const ssize_t got = ::read(ready[queue].fd, buffer.data(), buffer.size());
        REQUIRE(got > static_cast<ssize_t>(vnet_header_bytes));
        const ByteView packet = ByteView(buffer).subspan(
            vnet_header_bytes, static_cast<std::size_t>(got) - vnet_header_bytes);
        const auto view = parse_ip(packet);
        if (!view || view->transport_header_bytes == 0) continue;
        return {queue,
                load_vnet(buffer.data()).gso_type != vnet_gso_none,
                {packet.begin(), packet.end()}};
      }
    }
  }

  Namespace here;
  TunDevice lan;
  TunDevice link;
};

TEST_CASE("packets come out of the queue that their class names, super-packets whole",
          "[tunnel][steering][netns]") {
  const Gateway gateway(5);
  Steering steering = attach(gateway.link);
  steering.steer_express_to(4);
  steering.spread_over(first_queues(4));

  const std::uint32_t seed = 20261124;
  INFO("seed " << seed);
  std::mt19937 random(seed);
  std::set<std::uint32_t> seen;
  int supers = 0;
  for (int i = 0; i < 600; ++i) {
    CAPTURE(i);
    PacketSpec spec = random() % 2 == 0 ? PacketSpec{} : v6();
    spec.protocol = random() % 3 == 0 ? udp : tcp;
    spec.source_port = static_cast<std::uint16_t>(1024 + random() % 60000);
    spec.destination_port = static_cast<std::uint16_t>(random() % 8 == 0 ? 53 : 5201);
    spec.tcp_flags = ack;
    if (spec.protocol == tcp) spec.tcp_options = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2};
    const std::size_t sizes[] = {0, 1, 1000, 1300, 20000, 60000};
    const std::size_t size = sizes[random() % 6];
    const bool v4 = spec.family == Family::v4;
    spec.payload = pattern(size);
    if (size > 1300) {
      const PacketKind kind = spec.protocol == tcp ? (v4 ? PacketKind::tcp4 : PacketKind::tcp6)
                                                   : (v4 ? PacketKind::udp4 : PacketKind::udp6);
      if (!gateway.link.udp_offload() && spec.protocol == udp) continue;
      gateway.send({kind, 1300}, build_partial(spec));
    } else {
      gateway.send({}, build(spec));
    }
    const auto arrival = gateway.next();
    CHECK(arrival.is_super == (size > 1300));
    supers += arrival.is_super ? 1 : 0;
    const bool is_express =
        spec.destination_port == 53 || (spec.protocol == tcp && spec.payload.empty());
    const FlowClass flow = classify(arrival.packet);
    CHECK((flow.urgency == Urgency::express) == is_express);
    CHECK(arrival.queue == steering.queue_of(flow));
    seen.insert(arrival.queue);
  }
  CHECK(seen == std::set<std::uint32_t>{0, 1, 2, 3, 4});
  CHECK(supers > 100);
}

TEST_CASE("a write into the table steers the next packet, with no privilege left",
          "[tunnel][steering][netns]") {
  const Gateway gateway(3);
  Steering steering = attach(gateway.link);
  PacketSpec spec;
  spec.payload = pattern(100);
  const std::size_t slot = slot_of(classify(build(spec)).flow_hash);
  PacketSpec urgent = spec;
  urgent.payload.clear();

  gateway.send({}, build(spec));
  CHECK(gateway.next().queue == 0);  // all go to queue 0 at first
  gateway.send({}, build(urgent));
  CHECK(gateway.next().queue == 0);

  REQUIRE(::seteuid(65534) == 0);
  steering.steer_slot(slot, 2);
  steering.steer_express_to(1);
  REQUIRE(::seteuid(0) == 0);
  gateway.send({}, build(spec));
  CHECK(gateway.next().queue == 2);
  gateway.send({}, build(urgent));
  CHECK(gateway.next().queue == 1);

  steering.spread_over(std::vector<std::uint32_t>{1});
  gateway.send({}, build(spec));
  CHECK(gateway.next().queue == 1);

  steering.steer_slot(slot, 5);  // modulo the device's queues
  gateway.send({}, build(spec));
  CHECK(gateway.next().queue == 2);
}

TEST_CASE("the table moves with its owner, and the device keeps to it afterwards",
          "[tunnel][steering][netns]") {
  const Gateway gateway(2);
  PacketSpec spec;
  spec.payload = pattern(100);
  {
    Steering first = attach(gateway.link);
    Steering moved = std::move(first);
    moved.spread_over(std::vector<std::uint32_t>{1});
    CHECK(moved.slots() == spread(SlotTable{}, std::vector<std::uint32_t>{1}));
  }
  gateway.send({}, build(spec));
  CHECK(gateway.next().queue == 1);
  Steering second = attach(gateway.link);  // a new table, from the beginning
  gateway.send({}, build(spec));
  CHECK(gateway.next().queue == 0);
}

TEST_CASE("without the privilege to load a program the error says what is needed",
          "[tunnel][steering][netns]") {
  const Namespace here;
  const TunDevice device = create({.name = "lt0", .queues = 2});
  REQUIRE(::seteuid(65534) == 0);
  const auto refused = Steering::attach(device.fd());
  REQUIRE(::seteuid(0) == 0);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::not_permitted);
  CHECK(refused.error().what.find("CAP_BPF") != std::string::npos);
}

}  // namespace
}  // namespace lt::tunnel

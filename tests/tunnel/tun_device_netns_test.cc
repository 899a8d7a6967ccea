// The TUN device and its self-test against a real kernel, in a namespace of the test's own.
#include "tunnel/tun_device.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <fstream>
#include <sstream>

#include "base/text.h"
#include "tests/tunnel/netns_support.h"
#include "tunnel/netlink.h"
#include "tunnel/virtio.h"

namespace lt::tunnel {
namespace {

using testing::Namespace;
using testing::output_of;
using testing::routing_state;

TunDevice create(const TunOptions& options) {
  auto device = TunDevice::create(options);
  if (!device) FAIL(device.error().text());
  return std::move(*device);
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

DeviceCounters counters_of(const std::string& device) {
  auto netlink = Netlink::open();
  REQUIRE(netlink);
  const auto counters = netlink->device_counters(device);
  REQUIRE(counters);
  return *counters;
}

// One number of /proc/net/snmp: "Ip", "InReceives".
std::uint64_t snmp(const std::string& group, const std::string& name) {
  std::ifstream file("/proc/thread-self/net/snmp");
  std::string line;
  std::vector<std::string> names;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word != group + ":") continue;
    std::vector<std::string> values;
    while (words >> word)
      values.push_back(word);
    if (names.empty()) {
      names = values;
      continue;
    }
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == name) return std::stoull(values[i]);
    }
  }
  FAIL("no " + group + " " + name + " in /proc/net/snmp");
  return 0;
}

// What of IPv6 would show that a packet got further than its first look: forwarded, delivered,
// answered.
std::vector<std::string> ipv6_counters() {
  std::ifstream file("/proc/thread-self/net/snmp6");
  std::vector<std::string> found;
  for (std::string line; std::getline(file, line);) {
    for (const char* name : {"Ip6OutForwDatagrams", "Ip6InDelivers", "Ip6InNoRoutes",
                             "Icmp6OutTimeExcds", "Icmp6OutDestUnreachs", "Icmp6OutErrors"}) {
      if (line.starts_with(std::string(name) + " ")) found.push_back(line);
    }
  }
  REQUIRE(found.size() == 6);
  return found;
}

TEST_CASE("a device appears under its name and goes with its owner",
          "[tunnel][tun_device][netns]") {
  const Namespace here;
  {
    const TunDevice device = create({.name = "lt0"});
    CHECK(device.name() == "lt0");
    CHECK(device.offload());
    CHECK(has(output_of({"ip", "-d", "link", "show", "lt0"}), "tun type tun"));
    const int flags = ::fcntl(device.fd(), F_GETFL);
    CHECK((flags & O_NONBLOCK) != 0);
    CHECK((::fcntl(device.fd(), F_GETFD) & FD_CLOEXEC) != 0);
    int header_bytes = 0;
    REQUIRE(::ioctl(device.fd(), TUNGETVNETHDRSZ, &header_bytes) == 0);
    CHECK(header_bytes == static_cast<int>(vnet_header_bytes));
  }
  CHECK_FALSE(has(output_of({"ip", "link"}), "lt0"));
}

TEST_CASE("a device can be made to block its reader", "[tunnel][tun_device][netns]") {
  const Namespace here;
  const TunDevice device = create({.name = "lt0", .nonblocking = false});
  CHECK((::fcntl(device.fd(), F_GETFL) & O_NONBLOCK) == 0);
}

TEST_CASE("a device has as many queues as it is asked for, and goes with the last of them",
          "[tunnel][tun_device][netns]") {
  const Namespace here;
  const std::size_t queues = GENERATE(std::size_t{1}, std::size_t{2}, tun_queues_max);
  CAPTURE(queues);
  {
    const TunDevice device = create({.name = "lt0", .queues = queues});
    CHECK(device.queue_count() == queues);
    CHECK(device.fd() == device.queue_fd(0));
    CHECK(device.offload());
    CHECK(has(output_of({"ip", "-d", "link", "show", "lt0"}), "multi_queue") == (queues > 1));
    for (std::size_t queue = 0; queue < queues; ++queue) {
      CHECK((::fcntl(device.queue_fd(queue), F_GETFL) & O_NONBLOCK) != 0);
      CHECK((::fcntl(device.queue_fd(queue), F_GETFD) & FD_CLOEXEC) != 0);
      int header_bytes = 0;
      REQUIRE(::ioctl(device.queue_fd(queue), TUNGETVNETHDRSZ, &header_bytes) == 0);
      CHECK(header_bytes == static_cast<int>(vnet_header_bytes));
    }
    REQUIRE(bring_up({.name = "lt0"}));
    const Status status = self_test(device);
    if (!status) FAIL(status.error().text());
    CHECK(counters_of("lt0").received_packets == queues * (device.udp_offload() ? 5 : 3));
  }
  CHECK_FALSE(has(output_of({"ip", "link"}), "lt0"));
}

TEST_CASE("a device of many queues whose name is taken is refused", "[tunnel][tun_device][netns]") {
  const Namespace here;
  const TunDevice first = create({.name = "lt0", .queues = 2});
  const auto second = TunDevice::create({.name = "lt0", .queues = 2});
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::busy);
}

TEST_CASE("a taken name is refused, whoever has it", "[tunnel][tun_device][netns]") {
  const Namespace here;
  SECTION("another link") {
    const TunDevice first = create({.name = "lt0"});
    const auto second = TunDevice::create({.name = "lt0"});
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Errc::busy);
    CHECK(has(second.error().what, "lt0 exists already"));
    CHECK(has(second.error().what, "ip link del lt0"));
  }
  SECTION("a persistent device that nobody holds") {
    output_of({"ip", "tuntap", "add", "lt0", "mode", "tun"});
    const auto second = TunDevice::create({.name = "lt0"});
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Errc::busy);
  }
  SECTION("a device of another kind") {
    const auto second = TunDevice::create({.name = "lo"});
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Errc::busy);
  }
}

TEST_CASE("without the privilege the error says what is needed", "[tunnel][tun_device][netns]") {
  const Namespace here;
  const Fd probe(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  REQUIRE(probe.is_open());
  REQUIRE(::seteuid(65534) == 0);
  const auto refused = TunDevice::create({.name = "lt0"});
  REQUIRE(::seteuid(0) == 0);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::not_permitted);
  CHECK(has(refused.error().what, "run as root"));
}

TEST_CASE("the self-test passes on this kernel, and nothing of it gets past the IP layer's door",
          "[tunnel][tun_device][netns]") {
  const Namespace here;
  // A forwarding gateway with a default route: whatever leaked would come out of wan0.
  const TunDevice wan = create({.name = "wan0"});
  REQUIRE(bring_up({.name = "wan0"}));
  output_of({"ip", "address", "add", "198.51.100.1/24", "dev", "wan0"});
  output_of({"ip", "-6", "address", "add", "2001:db8:1::1/64", "dev", "wan0", "nodad"});
  output_of({"ip", "route", "add", "default", "via", "198.51.100.254"});
  output_of({"ip", "-6", "route", "add", "default", "via", "2001:db8:1::2"});
  output_of({"sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"});
  const TunDevice device = create({.name = "lt0"});
  REQUIRE(bring_up({.name = "lt0"}));
  const std::string before = routing_state();
  const std::uint64_t wan_before = counters_of("wan0").sent_packets;
  const std::uint64_t forwarded = snmp("Ip", "ForwDatagrams");
  const std::uint64_t delivered = snmp("Ip", "InDelivers");
  const std::uint64_t icmp = snmp("Icmp", "OutMsgs");

  const auto ipv6 = ipv6_counters();

  const Status status = self_test(device);
  if (!status) FAIL(status.error().text());

  CHECK(ipv6_counters() == ipv6);

  CHECK(counters_of("lt0").received_packets == (device.udp_offload() ? 5 : 3));
  CHECK(snmp("Ip", "ForwDatagrams") == forwarded);
  CHECK(snmp("Ip", "InDelivers") == delivered);
  CHECK(snmp("Icmp", "OutMsgs") == icmp);
  CHECK(counters_of("wan0").sent_packets == wan_before);
  CHECK(counters_of("lt0").sent_packets == 0);
  CHECK(routing_state() == before);
}

TEST_CASE(
    "the self-test says so when the kernel takes no super-packets, and the device goes on without",
    "[tunnel][tun_device][netns]") {
  const Namespace here;
  TunDevice device = create({.name = "lt0"});
  REQUIRE(bring_up({.name = "lt0"}));
  // A header of another size shifts all that follows: this kernel now refuses our packets by
  // EINVAL, as a broken one does.
  const int wrong_bytes = 20;
  REQUIRE(::ioctl(device.fd(), TUNSETVNETHDRSZ, &wrong_bytes) == 0);
  const Status status = self_test(device);
  REQUIRE_FALSE(status);
  CHECK(status.error().code == Errc::unsupported);
  CHECK(has(status.error().what, "this kernel does not take"));
  CHECK(has(status.error().what, "EINVAL"));

  REQUIRE(device.disable_offload());
  CHECK_FALSE(device.offload());
  CHECK_FALSE(device.udp_offload());
  CHECK(self_test(device));
}

TEST_CASE("the self-test of a device that is down is an error of its own kind",
          "[tunnel][tun_device][netns]") {
  const Namespace here;
  const TunDevice device = create({.name = "lt0"});
  const Status status = self_test(device);
  REQUIRE_FALSE(status);
  CHECK(status.error().code == Errc::io);
  CHECK(status.error().sys_errno == EIO);
}

}  // namespace
}  // namespace lt::tunnel

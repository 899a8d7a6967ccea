// Super-packets through real kernels: out of one TUN device, over the wire's PacketMeta, into
// another.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <thread>

#include "base/text.h"
#include "tests/tunnel/netns_support.h"
#include "tests/tunnel/packet_builder.h"
#include "tunnel/admission.h"
#include "tunnel/netlink.h"
#include "tunnel/segmentation.h"
#include "tunnel/tun_device.h"
#include "tunnel/virtio.h"

namespace lt::tunnel {
namespace {

using testing::build;
using testing::build_partial;
using testing::build_segments;
using testing::Namespace;
using testing::output_of;
using testing::PacketSpec;
using testing::pattern;
using testing::random_spec;

#ifndef UDP_SEGMENT
constexpr int UDP_SEGMENT = 103;
#endif

constexpr std::uint32_t mtu = 1500;

Prefix prefix(const char* text) {
  const auto parsed = Prefix::parse(text);
  REQUIRE(parsed);
  return *parsed;
}

TunDevice make_device(const std::string& name, bool offload) {
  auto device = TunDevice::create({.name = name, .offload = offload});
  if (!device) FAIL(device.error().text());
  const auto up = bring_up({.name = name, .mtu = mtu, .queue = Packets{10000}});
  if (!up) FAIL(up.error().text());
  return std::move(*device);
}

// One end: a namespace whose kernel sends and receives, and its device in the hands of the test.
struct Site {
  Site(const char* own4, const char* peer4, const char* own6, const char* peer6, bool offload)
      : device(make_device("lt0", offload)),
        routes(install({.device = "lt0",
                        .tunnel_addresses = {prefix(own4), prefix(own6)},
                        .peer_prefixes = {prefix(peer4), prefix(peer6)}})),
        admission({.local_prefixes = {prefix(own4).network(), prefix(own6).network()},
                   .peer_prefixes = {prefix(peer4), prefix(peer6)},
                   .tunnel_addresses = {},
                   .mtu = mtu}) {}
  ~Site() { here.enter(); }  // the routes go from the namespace they are in

  static SiteRoutes install(const SiteRoutesOptions& options) {
    auto routes = SiteRoutes::install(options);
    if (!routes) FAIL(routes.error().text());
    return std::move(*routes);
  }

  Namespace here;
  TunDevice device;
  SiteRoutes routes;
  Admission admission;
};

// Carries packets between two devices until it goes, as the two rooms at the ends of the walk do.
class Relay {
 public:
  Relay(Site& a, Site& b)
      : a_(a), b_(b), stop_(::eventfd(0, EFD_CLOEXEC)), thread_([this] { run(); }) {}
  ~Relay() { end(); }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  void end() {
    const std::uint64_t one = 1;
    static_cast<void>(::write(stop_.get(), &one, sizeof one));
    if (thread_.joinable()) thread_.join();
  }

  // Read after end().
  std::uint64_t packets{0};
  std::uint64_t super_packets{0};
  std::uint64_t cut_by_sender{0};
  std::uint64_t cut_by_receiver{0};
  std::uint64_t refused{0};  // by the receiving kernel
  std::array<std::uint64_t, 6> kinds{};
  DropCounters drops;

 private:
  void run() {
    ::pollfd fds[] = {
        {a_.device.fd(), POLLIN, 0}, {b_.device.fd(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    for (;;) {
      if (::poll(fds, 3, -1) < 0 || fds[2].revents != 0) return;
      if ((fds[0].revents & POLLIN) != 0) drain(a_, b_);
      if ((fds[1].revents & POLLIN) != 0) drain(b_, a_);
    }
  }

  void drain(Site& from, Site& to) {
    for (;;) {
      const ssize_t got = ::read(from.device.fd(), buffer_.data(), buffer_.size());
      if (got <= static_cast<ssize_t>(vnet_header_bytes)) return;
      const ByteSpan packet = ByteSpan(buffer_).subspan(
          vnet_header_bytes, static_cast<std::size_t>(got) - vnet_header_bytes);
      const auto meta = describe(load_vnet(buffer_.data()), packet);
      if (!meta) {
        drops.count(meta.error());
        continue;
      }
      if (const auto reason = from.admission.admit_outbound(*meta, packet)) {
        drops.count(*reason);
        continue;
      }
      send(*meta, packet, to);
    }
  }

  void send(PacketMeta meta, ByteSpan packet, Site& to) {
    ++packets;
    ++kinds[std::size_t(meta.kind)];
    super_packets += is_super(meta.kind);
    if (!needs_segmentation(meta)) return deliver(meta, packet, to);
    ++cut_by_sender;
    const auto cut = segment(meta, packet, sender_scratch_, [&](ByteView one) {
      std::vector<Byte> copy(one.begin(), one.end());
      deliver({}, copy, to);
    });
    if (!cut) drops.count(cut.error());
  }

  void deliver(PacketMeta meta, ByteSpan packet, Site& to) {
    if (const auto reason = to.admission.admit_inbound(meta, packet)) return drops.count(*reason);
    if (!to.device.offload() && is_super(meta.kind)) {
      ++cut_by_receiver;
      const auto cut =
          segment(meta, packet, receiver_scratch_, [&](ByteView one) { write({}, one, to); });
      if (!cut) drops.count(cut.error());
      return;
    }
    if (!to.device.offload()) {
      if (const auto reason = complete_checksum(meta, packet)) return drops.count(*reason);
      return write({}, packet, to);
    }
    const auto header = rebuild(meta, packet, mtu);
    if (!header) return drops.count(header.error());
    write(*header, packet, to);
  }

  void write(VnetHeader header, ByteView packet, Site& to) {
    ::iovec parts[] = {{&header, vnet_header_bytes},
                       {const_cast<Byte*>(packet.data()), packet.size()}};
    if (::writev(to.device.fd(), parts, 2) < 0) ++refused;
  }

  Site& a_;
  Site& b_;
  Fd stop_;
  std::vector<Byte> buffer_ = std::vector<Byte>(vnet_header_bytes + packet_bytes_max);
  std::vector<Byte> sender_scratch_ = std::vector<Byte>(mtu);
  std::vector<Byte> receiver_scratch_ = std::vector<Byte>(mtu);
  std::jthread thread_;
};

struct SocketAddress {
  ::sockaddr_storage storage{};
  ::socklen_t size{0};

  [[nodiscard]] const ::sockaddr* raw() const {
    return reinterpret_cast<const ::sockaddr*>(&storage);
  }
};

SocketAddress address_of(const char* text, std::uint16_t port) {
  SocketAddress address;
  auto& v4 = reinterpret_cast<::sockaddr_in&>(address.storage);
  auto& v6 = reinterpret_cast<::sockaddr_in6&>(address.storage);
  if (::inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    address.size = sizeof v4;
  } else {
    REQUIRE(::inet_pton(AF_INET6, text, &v6.sin6_addr) == 1);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    address.size = sizeof v6;
  }
  return address;
}

// A socket in the present namespace that gives up after 20 s rather than hang.
Fd make_socket(const SocketAddress& address, int type) {
  Fd fd(::socket(address.storage.ss_family, type | SOCK_CLOEXEC, 0));
  REQUIRE(fd.is_open());
  const ::timeval patience{20, 0};
  REQUIRE(::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
  REQUIRE(::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0);
  return fd;
}

bool send_all(int fd, const std::vector<Byte>& bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t sent = ::send(fd, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    at += static_cast<std::size_t>(sent);
  }
  return true;
}

std::vector<Byte> receive(int fd, std::size_t size) {
  std::vector<Byte> bytes(size);
  std::size_t at = 0;
  while (at < size) {
    const ssize_t got = ::recv(fd, bytes.data() + at, size - at, 0);
    if (got <= 0) break;
    at += static_cast<std::size_t>(got);
  }
  bytes.resize(at);
  return bytes;
}

struct Ends {
  const char* a;
  const char* b;
};
constexpr Ends ends4{"10.1.0.1", "10.2.0.1"};
constexpr Ends ends6{"fd01::1", "fd02::1"};

// The number of segments that arrived broken, in the present namespace.
std::string receive_errors() {
  std::string all = output_of({"cat", "/proc/net/snmp"});
  std::string found;
  for (const auto line : split(all, '\n')) {
    if (line.starts_with("Tcp:")) found = std::string(line);
  }
  const auto words = split(found, ' ');
  return std::string(words.back());  // InCsumErrors
}

TEST_CASE("TCP streams cross the link as super-packets, byte for byte, both ways",
          "[tunnel][super_packet][netns]") {
  const bool offload_a = GENERATE(true, false);
  const bool offload_b = GENERATE(true, false);
  const Ends ends = GENERATE(values({ends4, ends6}));
  CAPTURE(offload_a, offload_b, ends.a);
  Site b("10.2.0.1/24", "10.1.0.0/24", "fd02::1/64", "fd01::/64", offload_b);
  Site a("10.1.0.1/24", "10.2.0.0/24", "fd01::1/64", "fd02::/64", offload_a);
  Relay relay(a, b);

  const SocketAddress at = address_of(ends.b, 5201);
  b.here.enter();
  const Fd listener = make_socket(at, SOCK_STREAM);
  REQUIRE(::bind(listener.get(), at.raw(), at.size) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  a.here.enter();
  const Fd near = make_socket(at, SOCK_STREAM);
  REQUIRE(::connect(near.get(), at.raw(), at.size) == 0);
  const Fd far(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  REQUIRE(far.is_open());

  const auto there = pattern(8 << 20, 11);
  const auto back = pattern(4 << 20, 12);
  std::atomic<bool> sent{false};
  {
    const std::jthread sender([&] { sent = send_all(near.get(), there); });
    REQUIRE(receive(far.get(), there.size()) == there);
  }
  CHECK(sent);
  {
    const std::jthread sender([&] { sent = send_all(far.get(), back); });
    REQUIRE(receive(near.get(), back.size()) == back);
  }
  CHECK(sent);
  relay.end();

  CHECK(relay.refused == 0);
  CHECK(relay.drops.of(DropReason::bad_offload) == 0);
  if (offload_a) {
    CHECK(relay.super_packets > 100);
    CHECK(relay.packets < 12000);  // 8 MiB alone are 5800 segments, and as many back
  }
  if (offload_a && !offload_b) CHECK(relay.cut_by_receiver > 100);
  if (!offload_a && !offload_b) CHECK(relay.super_packets == 0);
  a.here.enter();
  CHECK(receive_errors() == "0");
  b.here.enter();
  CHECK(receive_errors() == "0");
}

TEST_CASE("UDP super-packets arrive as the datagrams they stand for",
          "[tunnel][super_packet][netns][P-36]") {
  const Ends ends = GENERATE(values({ends4, ends6}));
  // 300: below what may cross the wire, so the sender cuts it up.
  const int segment_bytes = GENERATE(1200, 300);
  CAPTURE(ends.a, segment_bytes);
  Site b("10.2.0.1/24", "10.1.0.0/24", "fd02::1/64", "fd01::/64", true);
  Site a("10.1.0.1/24", "10.2.0.0/24", "fd01::1/64", "fd02::/64", true);
  REQUIRE(a.device.udp_offload());
  Relay relay(a, b);

  const SocketAddress at = address_of(ends.b, 5202);
  b.here.enter();
  const Fd receiver = make_socket(at, SOCK_DGRAM);
  REQUIRE(::bind(receiver.get(), at.raw(), at.size) == 0);
  a.here.enter();
  const Fd sender = make_socket(at, SOCK_DGRAM);
  REQUIRE(::setsockopt(sender.get(), SOL_UDP, UDP_SEGMENT, &segment_bytes, sizeof segment_bytes) ==
          0);
  REQUIRE(::connect(sender.get(), at.raw(), at.size) == 0);

  const auto text = pattern(static_cast<std::size_t>(segment_bytes) * 20 + 17, 13);
  REQUIRE(::send(sender.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  std::vector<Byte> received;
  for (int datagram = 0; datagram < 21; ++datagram) {
    std::vector<Byte> buffer(2000);
    const ssize_t got = ::recv(receiver.get(), buffer.data(), buffer.size(), 0);
    REQUIRE(got == (datagram < 20 ? segment_bytes : 17));
    received.insert(received.end(), buffer.begin(), buffer.begin() + got);
  }
  CHECK(received == text);
  relay.end();
  CHECK(relay.super_packets == 1);
  CHECK(relay.cut_by_sender == (segment_bytes < gso_size_min ? 1 : 0));
  CHECK(relay.refused == 0);
}

bool is_of(ByteView packet, const PacketSpec& spec) {
  const auto view = parse_ip(packet);
  return view && std::ranges::equal(view->source(), spec.source.raw()) &&
         std::ranges::equal(view->destination(), spec.destination.raw());
}

// The packets between the ends of `spec` that come out of a device without offload: `count`, or as
// many as there are. What the kernel itself says to neighbours and groups is left out.
std::vector<std::vector<Byte>> read_packets(const TunDevice& device, const PacketSpec& spec,
                                            std::size_t count) {
  std::vector<std::vector<Byte>> packets;
  std::vector<Byte> buffer(vnet_header_bytes + packet_bytes_max);
  while (packets.size() < count) {
    ::pollfd ready{device.fd(), POLLIN, 0};
    if (::poll(&ready, 1, 5000) != 1) break;
    const ssize_t got = ::read(device.fd(), buffer.data(), buffer.size());
    if (got <= static_cast<ssize_t>(vnet_header_bytes)) break;
    const ByteView packet = ByteView(buffer).subspan(
        vnet_header_bytes, static_cast<std::size_t>(got) - vnet_header_bytes);
    if (!is_of(packet, spec)) continue;
    if (load_vnet(buffer.data()) != VnetHeader{})
      FAIL("a device without offload handed over an offload");
    packets.emplace_back(packet.begin(), packet.end());
  }
  return packets;
}

// The first bytes, where the headers are: short enough to read when a test fails.
std::string head_of(const std::vector<Byte>& packet) {
  return to_hex(ByteView(packet).first(std::min<std::size_t>(packet.size(), 80)));
}

TEST_CASE(
    "the kernel forwards a rebuilt super-packet as the same segments that our own software makes",
    "[tunnel][super_packet][netns]") {
  const Namespace here;
  const TunDevice link = make_device("lt0", true);
  const TunDevice lan = make_device("lan0", false);
  // Sources and destinations as in PacketSpec; the LAN is a device without any offload, so the
  // kernel must segment.
  output_of({"sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"});
  output_of({"ip", "address", "add", "10.1.0.1/16", "dev", "lt0"});
  output_of({"ip", "address", "add", "fd01::1/64", "dev", "lt0", "nodad"});
  output_of({"ip", "address", "add", "10.2.0.1/16", "dev", "lan0"});
  output_of({"ip", "address", "add", "fd02::1/64", "dev", "lan0", "nodad"});

  PacketSpec spec = GENERATE(values({PacketSpec{}, testing::v6()}));
  spec.protocol = GENERATE(values<std::uint8_t>({testing::tcp, testing::udp}));
  using testing::ack;
  spec.tcp_flags = static_cast<std::uint8_t>(ack | testing::psh | testing::fin | testing::cwr);
  if (spec.protocol == testing::tcp) spec.tcp_options = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2};
  const std::size_t gso_size = GENERATE(values<std::size_t>({536, 1300, 1301}));
  spec.payload = pattern(gso_size * 9 + 5, 14);  // a short tail
  CAPTURE(int(spec.family), int(spec.protocol), gso_size);

  auto packet = build_partial(spec);
  const bool v4 = spec.family == Family::v4;
  const PacketKind kind = spec.protocol == testing::tcp
                              ? (v4 ? PacketKind::tcp4 : PacketKind::tcp6)
                              : (v4 ? PacketKind::udp4 : PacketKind::udp6);
  const auto header = rebuild({kind, static_cast<std::uint16_t>(gso_size)}, packet, mtu);
  REQUIRE(header);
  std::vector<Byte> bytes(vnet_header_bytes);
  store_vnet(bytes.data(), *header);
  bytes.insert(bytes.end(), packet.begin(), packet.end());
  REQUIRE(::write(link.fd(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));

  spec.hop_limit = 63;
  const auto expected = build_segments(spec, gso_size);
  const auto out = read_packets(lan, spec, expected.size());
  REQUIRE(out.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    CHECK(head_of(out[i]) == head_of(expected[i]));
    CHECK(std::equal(out[i].begin(), out[i].end(), expected[i].begin(), expected[i].end()));
  }
}

TEST_CASE("the kernel cuts a marked super-packet into marked segments, CWR on the first only",
          "[tunnel][super_packet][ecn][netns]") {
  const Namespace here;
  const TunDevice link = make_device("lt0", true);
  const TunDevice lan = make_device("lan0", false);
  output_of({"sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"});
  output_of({"ip", "address", "add", "10.1.0.1/16", "dev", "lt0"});
  output_of({"ip", "address", "add", "fd01::1/64", "dev", "lt0", "nodad"});
  output_of({"ip", "address", "add", "10.2.0.1/16", "dev", "lan0"});
  output_of({"ip", "address", "add", "fd02::1/64", "dev", "lan0", "nodad"});

  PacketSpec spec = GENERATE(values({PacketSpec{}, testing::v6()}));
  spec.tcp_flags = testing::ack | testing::cwr;
  spec.payload = pattern(6007, 15);
  const bool v4 = spec.family == Family::v4;
  auto packet = build_partial(spec);
  if (v4) {
    packet[1] = 3;  // a router on the way has marked it
    store_be16(&packet[10], static_cast<std::uint16_t>(load_be16(&packet[10]) - 3));
  } else {
    packet[1] = static_cast<Byte>(packet[1] | 3 << 4);
  }
  const auto header = rebuild({v4 ? PacketKind::tcp4 : PacketKind::tcp6, 1300}, packet, mtu);
  REQUIRE(header);
  CHECK((header->gso_type & vnet_gso_ecn) != 0);
  std::vector<Byte> bytes(vnet_header_bytes);
  store_vnet(bytes.data(), *header);
  bytes.insert(bytes.end(), packet.begin(), packet.end());
  REQUIRE(::write(link.fd(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));

  const auto out = read_packets(lan, spec, 5);
  REQUIRE(out.size() == 5);
  for (std::size_t i = 0; i < out.size(); ++i) {
    CAPTURE(i);
    const unsigned traffic_class = v4 ? out[i][1] : load_be16(&out[i][0]) >> 4 & 0xffU;
    CHECK(traffic_class == 3);
    const Byte flags = out[i][testing::transport_offset(spec) + 13];
    CHECK(((flags & testing::cwr) != 0) == (i == 0));
  }
}

// Bit 9: the kernel has warned since it started.
bool kernel_has_warned() {
  const auto text = read_file("/proc/sys/kernel/tainted", 64);
  REQUIRE(text);
  const auto taint = parse_u64(trim(*text));
  REQUIRE(taint);
  return (*taint & 512) != 0;
}

TEST_CASE("whatever a peer sends, the kernel never refuses what rebuild lets through",
          "[tunnel][super_packet][netns][B-13][B-14][B-15]") {
  const auto seed = std::uint32_t{20260105};
  CAPTURE(seed);
  const Namespace here;
  const TunDevice link = make_device("lt0", true);
  const TunDevice lan = make_device("lan0", false);
  output_of({"sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"});
  output_of({"ip", "address", "add", "10.1.0.1/16", "dev", "lt0"});
  output_of({"ip", "address", "add", "fd01::1/64", "dev", "lt0", "nodad"});
  output_of({"ip", "address", "add", "10.2.0.1/16", "dev", "lan0"});
  output_of({"ip", "address", "add", "fd02::1/64", "dev", "lan0", "nodad"});
  const bool warned_before = kernel_has_warned();

  // This kernel does refuse: otherwise the rest would prove nothing.
  {
    std::vector<Byte> bytes(vnet_header_bytes);
    store_vnet(bytes.data(), {.flags = vnet_needs_checksum, .gso_type = 99, .gso_size = 1000});
    const auto packet = build(PacketSpec{});
    bytes.insert(bytes.end(), packet.begin(), packet.end());
    REQUIRE(::write(link.fd(), bytes.data(), bytes.size()) == -1);
    REQUIRE(errno == EINVAL);
  }

  std::mt19937 random(seed);
  std::vector<PacketSpec> specs;
  for (int i = 0; i < 200; ++i)
    specs.push_back(random_spec(random, 4000));
  std::uint64_t written = 0;
  std::uint64_t super_packets = 0;
  for (int round = 0; round < 100'000; ++round) {
    const PacketSpec& spec = specs[random() % specs.size()];
    std::vector<Byte> packet = build_partial(spec);
    for (unsigned flips = random() % 4; flips != 0; --flips) {
      const std::size_t at = random() % 2 == 0 ? random() % std::min<std::size_t>(packet.size(), 64)
                                               : random() % packet.size();
      packet[at] = static_cast<Byte>(packet[at] ^ 1U << random() % 8);
    }
    if (random() % 8 == 0) packet.resize(random() % (packet.size() + 1));
    // A length field that tells the truth gets further.
    if (packet.size() >= 40 && random() % 2 == 0) {
      const bool v4 = packet[0] >> 4 == 4;
      store_be16(&packet[v4 ? 2 : 4], static_cast<std::uint16_t>(packet.size() - (v4 ? 0 : 40)));
    }
    PacketMeta meta{PacketKind(random() % 6), 0};
    const std::uint16_t sizes[] = {0, 1, 535, 536, 1000, 1400, 1460, 65535};
    if (is_super(meta.kind) || random() % 8 == 0) meta.gso_size = sizes[random() % 8];
    const auto header = rebuild(meta, packet, mtu);
    if (!header) continue;
    ::iovec parts[] = {{const_cast<VnetHeader*>(&*header), vnet_header_bytes},
                       {packet.data(), packet.size()}};
    const ssize_t result = ::writev(link.fd(), parts, 2);
    if (result < 0) {
      CAPTURE(round, errno, to_hex(packet), int(meta.kind), meta.gso_size);
      REQUIRE(errno != EINVAL);
      REQUIRE(errno == EAGAIN);
    }
    ++written;
    super_packets += is_super(meta.kind);
  }
  CHECK(written > 10'000);
  CHECK(super_packets > 1'000);
  CHECK(kernel_has_warned() == warned_before);
}

}  // namespace
}  // namespace lt::tunnel

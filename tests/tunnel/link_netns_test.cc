// Two sites and a WAN of real kernels: real devices, routes, rules and TCP, and an ear on the WAN.
//
//     office                      wan                        offsite
//     10.1.0.1, fd01::1   198.51.100.1 .2 | .1 .2 203.0.113.0/24   10.2.0.1, fd02::1 (on lo)
//     lt0 ---------------------- the link ------------------------ lt0
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <signal.h>
#include <sys/wait.h>

#include <random>

#include "base/text.h"
#include "tests/tunnel/link_ends.h"
#include "tests/tunnel/netns_support.h"
#include "tunnel/netlink.h"
#include "tunnel/tun_device.h"

namespace lt::tunnel {
namespace {

using namespace testing;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = LinkEventKind;

// A namespace that lives as long as this object; the thread that makes it does not stay in it.
class Net {
 public:
  Net() {
    const Namespace fresh;
    fd_ = Fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    REQUIRE(fd_.is_open());
  }
  /// As `ip` takes it for a place to move a device to.
  [[nodiscard]] std::string path() const {
    return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_.get());
  }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  Fd fd_;
};

// The calling thread is in `net` while this object lives.
class Within {
 public:
  explicit Within(const Net& net)
      : before_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
    REQUIRE(::setns(net.fd(), CLONE_NEWNET) == 0);
  }
  ~Within() { static_cast<void>(::setns(before_.get(), CLONE_NEWNET)); }
  Within(const Within&) = delete;
  Within& operator=(const Within&) = delete;

 private:
  Fd before_;
};

void run(const std::string& line) {
  Argv argv;
  for (const std::string_view word : split(line, ' '))
    argv.emplace_back(word);
  output_of(argv);
}

struct World {
  Net office;
  Net wan;
  Net offsite;

  World() {
    for (const Net* net : {&office, &wan, &offsite}) {
      const Within here(*net);
      // No address that the kernel makes by itself, some time later: what is compared must stand
      // still.
      run("sysctl -qw net.ipv6.conf.default.addr_gen_mode=1 net.ipv6.conf.default.accept_dad=0");
    }
    join(office, "198.51.100.", "2001:db8:1::", "w0");
    join(offsite, "203.0.113.", "2001:db8:2::", "w1");
    {
      const Within here(wan);
      run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    }
    dress(office, "198.51.100.2", "2001:db8:1::2", "10.1.0.1/24", "fd01::1/64");
    dress(offsite, "203.0.113.2", "2001:db8:2::2", "10.2.0.1/24", "fd02::1/64");
  }

 private:
  void join(const Net& site, const std::string& v4, const std::string& v6,
            const std::string& name) {
    const Within here(wan);
    run("ip link add " + name + " type veth peer name wan0 netns " + site.path());
    run("ip address add " + v4 + "2/24 dev " + name);
    run("ip -6 address add " + v6 + "2/64 dev " + name);
    run("ip link set " + name + " address 02:00:00:00:00:01 up");
    const Within there(site);
    run("ip address add " + v4 + "1/24 dev wan0");
    run("ip -6 address add " + v6 + "1/64 dev wan0");
    run("ip link set wan0 up");
    // Known from the start: a packet must not wait for its neighbour to be found.
    run("ip -6 neighbour add " + v6 + "2 lladdr 02:00:00:00:00:01 dev wan0 nud permanent");
    // The carrier comes a moment later.
    const Instant until = now() + patience;
    while (!has(output_of({"ip", "-br", "link", "show", "wan0"}), " UP ") && now() < until)
      std::this_thread::yield();
  }
  static void dress(const Net& site, const std::string& gateway4, const std::string& gateway6,
                    const std::string& lan4, const std::string& lan6) {
    const Within here(site);
    run("ip route add default via " + gateway4);
    run("ip -6 route add default via " + gateway6);
    run("ip address add " + lan4 + " dev lo");
    run("ip -6 address add " + lan6 + " dev lo");
  }
};

// Hears every packet on the WAN, and counts those that are not the link's own.
class Ear {
 public:
  explicit Ear(const World& world) {
    const Within here(world.wan);
    fd_ = Fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL)));
    REQUIRE(fd_.is_open());
    const int room = 16 << 20;
    static_cast<void>(::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room));
  }

  struct Count {
    int outer{0};     // TCP between the two gateways
    int clear_v4{0};  // to or from an address behind a gateway
    int clear_v6{0};
    [[nodiscard]] int clear() const { return clear_v4 + clear_v6; }
  };
  Count count() const {
    Count heard;
    std::array<Byte, 65536> packet;
    sockaddr_ll from{};
    socklen_t length = sizeof from;
    for (;;) {
      const auto size = ::recvfrom(fd_.get(), packet.data(), packet.size(), 0,
                                   reinterpret_cast<sockaddr*>(&from), &length);
      if (size < 0) return heard;
      const ByteView bytes = ByteView(packet).first(static_cast<std::size_t>(size));
      const auto protocol = ntohs(from.sll_protocol);
      if (protocol == ETH_P_IP && bytes.size() >= 20) {
        const bool is_inner = bytes[12] == 10 || bytes[16] == 10;
        ++(is_inner ? heard.clear_v4 : heard.outer);
      }
      if (protocol == ETH_P_IPV6 && bytes.size() >= 40 && (bytes[8] == 0xfd || bytes[24] == 0xfd)) {
        ++heard.clear_v6;
      }
    }
  }

 private:
  Fd fd_;
};

struct SiteOptions {
  bool offload{true};
  IoBackend io{IoBackend::epoll};
  RatchetLimits ratchet{};
  LaneTimes times{.patience = milliseconds(200)};
};

// One gateway: device, routes and link, taken down in the opposite order.
struct Gateway {
  const Net& net;
  std::optional<TunDevice> device;
  std::optional<SiteRoutes> routes;
  std::unique_ptr<RunningLink> link;

  Gateway(const World& world, bool is_office, const SiteOptions& options, std::uint16_t port)
      : net(is_office ? world.office : world.offsite) {
    const Within here(net);
    auto made = TunDevice::create({.name = "lt0", .offload = options.offload});
    if (!made) FAIL(made.error().text());
    device.emplace(std::move(*made));
    REQUIRE(bring_up({.name = "lt0", .mtu = 1500, .queue = Packets{1000}}));
    const std::string own = is_office ? "1" : "2";
    const std::string far = is_office ? "2" : "1";
    const auto addresses = std::vector{*Prefix::parse("10.77.0." + own + "/30"),
                                       *Prefix::parse("fd77::" + own + "/64")};
    const auto peers =
        std::vector{*Prefix::parse("10." + far + ".0.0/24"), *Prefix::parse("fd0" + far + "::/64")};
    auto installed = SiteRoutes::install(
        {.device = "lt0", .tunnel_addresses = addresses, .peer_prefixes = peers});
    if (!installed) FAIL(installed.error().text());
    routes.emplace(std::move(*installed));
    LinkOptions link_options = is_office ? connecting(port, "203.0.113.1") : listening("0.0.0.0");
    link_options.tun_queues = {{device->fd()}};
    link_options.tun_offload = device->offload();
    link_options.io = options.io;
    link_options.ratchet = options.ratchet;
    link_options.times.lane = options.times;
    link_options.stream.mark = outer_mark;
    link_options.admission = {.local_prefixes = {*Prefix::parse("10." + own + ".0.0/24"),
                                                 *Prefix::parse("fd0" + own + "::/64")},
                              .peer_prefixes = peers,
                              .tunnel_addresses = addresses,
                              .mtu = 1500};
    link = std::make_unique<RunningLink>(std::move(link_options));
  }
  ~Gateway() {
    link.reset();
    const Within here(net);
    routes.reset();
    device.reset();
  }
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;
};

struct Joined {
  Gateway offsite;
  Gateway office;

  Joined(const World& world, const SiteOptions& for_office, const SiteOptions& for_offsite)
      : offsite(world, false, for_offsite, 0),
        office(world, true, for_office, offsite.link->link->listen_port()) {
    office.link->wait_for(Kind::session_up);
    offsite.link->wait_for(Kind::session_up);
  }
};

// --- sockets of the hosts behind the gateways ---

struct Address {
  sockaddr_storage storage{};
  socklen_t length{0};
  [[nodiscard]] const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Address address_of(const std::string& text, std::uint16_t port) {
  const SocketAddress made = SocketAddress::of(*IpAddress::parse(text), port);
  return {made.storage, made.length};
}
std::string host(bool is_office, bool is_v6) {
  if (is_v6) return is_office ? "fd01::1" : "fd02::1";
  return is_office ? "10.1.0.1" : "10.2.0.1";
}

Fd socket_in(const Net& net, const Address& bound, int type) {
  const Within here(net);
  Fd fd(::socket(bound.storage.ss_family, type | SOCK_CLOEXEC, 0));
  REQUIRE(fd.is_open());
  REQUIRE(::bind(fd.get(), bound.raw(), bound.length) == 0);
  const timeval limit{.tv_sec = 20, .tv_usec = 0};
  REQUIRE(::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
  REQUIRE(::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0);
  return fd;
}

std::pair<Fd, Fd> tcp_through(const World& world, bool is_v6) {
  const Fd listener = socket_in(world.offsite, address_of(host(false, is_v6), 7000), SOCK_STREAM);
  REQUIRE(::listen(listener.get(), 1) == 0);
  Fd near = socket_in(world.office, address_of(host(true, is_v6), 0), SOCK_STREAM);
  const Address there = address_of(host(false, is_v6), 7000);
  REQUIRE(::connect(near.get(), there.raw(), there.length) == 0);
  Fd far(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  REQUIRE(far.is_open());
  const timeval limit{.tv_sec = 20, .tv_usec = 0};
  REQUIRE(::setsockopt(far.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
  const linger at_once{.l_onoff = 1, .l_linger = 0};  // so that the port is free for the next
  for (const int fd : {near.get(), far.get()})
    REQUIRE(::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
  return {std::move(near), std::move(far)};
}

// Writes `count` bytes that follow from a seed.
bool write_stream(int fd, std::uint32_t seed, std::size_t count) {
  std::minstd_rand random(seed);
  std::vector<Byte> chunk(1 << 17);
  while (count > 0) {
    const std::size_t size = std::min<std::size_t>(count, 1 + random() % chunk.size());
    for (std::size_t i = 0; i < size; ++i)
      chunk[i] = static_cast<Byte>(seed * 31 + (count - i) * 7 + (count - i) / 251);
    for (std::size_t sent = 0; sent < size;) {
      const auto more = ::send(fd, chunk.data() + sent, size - sent, MSG_NOSIGNAL);
      if (more <= 0) return false;
      sent += static_cast<std::size_t>(more);
    }
    count -= size;
  }
  return true;
}
// @return how many bytes came right, in their order, before the first that is wrong or missing
std::size_t read_stream(int fd, std::uint32_t seed, std::size_t count) {
  std::vector<Byte> chunk(1 << 17);
  std::size_t left = count;
  while (left > 0) {
    const auto got = ::recv(fd, chunk.data(), std::min(left, chunk.size()), 0);
    if (got <= 0) return count - left;
    for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i, --left) {
      if (chunk[i] != static_cast<Byte>(seed * 31 + left * 7 + left / 251)) return count - left;
    }
  }
  return count;
}

void stream_both_ways(const World& world, bool is_v6, std::size_t bytes) {
  const auto [near, far] = tcp_through(world, is_v6);
  bool is_sent_there = false;
  bool is_sent_back = false;
  std::size_t there = 0;
  std::size_t back = 0;
  std::vector<std::thread> threads;
  threads.emplace_back([&, fd = near.get()] { is_sent_there = write_stream(fd, 1, bytes); });
  threads.emplace_back([&, fd = far.get()] { is_sent_back = write_stream(fd, 2, bytes); });
  threads.emplace_back([&, fd = far.get()] { there = read_stream(fd, 1, bytes); });
  threads.emplace_back([&, fd = near.get()] { back = read_stream(fd, 2, bytes); });
  for (std::thread& each : threads)
    each.join();
  CHECK(is_sent_there);
  CHECK(is_sent_back);
  CHECK(there == bytes);
  CHECK(back == bytes);
}

// Sends one datagram there and back. @return whether it came home as it went
bool echo(const Fd& near, const Fd& far, std::size_t size) {
  const auto text = pattern(size, static_cast<std::uint32_t>(size) + 1);
  if (::send(near.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(size)) return false;
  std::vector<Byte> buffer(65536);
  auto got = ::recv(far.get(), buffer.data(), buffer.size(), 0);
  if (got != static_cast<ssize_t>(size) || !std::equal(text.begin(), text.end(), buffer.begin()))
    return false;
  if (::send(far.get(), buffer.data(), size, 0) != static_cast<ssize_t>(size)) return false;
  std::fill(buffer.begin(), buffer.end(), Byte{0});
  got = ::recv(near.get(), buffer.data(), buffer.size(), 0);
  return got == static_cast<ssize_t>(size) && std::equal(text.begin(), text.end(), buffer.begin());
}

std::pair<Fd, Fd> udp_through(const World& world, bool is_v6) {
  const Address office = address_of(host(true, is_v6), 7001);
  const Address offsite = address_of(host(false, is_v6), 7001);
  Fd near = socket_in(world.office, office, SOCK_DGRAM);
  Fd far = socket_in(world.offsite, offsite, SOCK_DGRAM);
  REQUIRE(::connect(near.get(), offsite.raw(), offsite.length) == 0);
  REQUIRE(::connect(far.get(), office.raw(), office.length) == 0);
  return {std::move(near), std::move(far)};
}

std::string routing_of(const Net& net) {
  const Within here(net);
  const std::string state = routing_state();
  std::string settled;
  for (std::size_t at = 0; at < state.size();) {
    const std::size_t end = std::min(state.find('\n', at), state.size());
    const std::string line = state.substr(at, end - at);
    // What the kernel itself adds while a new device's IPv6 settles is not the link's.
    const bool is_kernels = has(line, "fe80:") || has(line, "anycast") || has(line, "multicast");
    if (!is_kernels) settled += line + "\n";
    at = end + 1;
  }
  return settled;
}

struct Pairing {
  SiteOptions office;
  SiteOptions offsite;
};

std::vector<Pairing> pairings() {
  std::vector<Pairing> all{{{true, IoBackend::epoll}, {true, IoBackend::epoll}},
                           {{false, IoBackend::epoll}, {true, IoBackend::epoll}},
                           {{false, IoBackend::epoll}, {false, IoBackend::epoll}}};
  if (backends().size() == 2) {
    all.push_back({{true, IoBackend::io_uring}, {true, IoBackend::io_uring}});
    all.push_back({{true, IoBackend::epoll}, {true, IoBackend::io_uring}});
    all.push_back({{true, IoBackend::io_uring}, {false, IoBackend::epoll}});
    all.push_back({{false, IoBackend::io_uring}, {true, IoBackend::io_uring}});
  }
  return all;
}

std::string text_of(const SiteOptions& options) {
  return testing::name_of(options.io) + (options.offload ? " with offload" : " without offload");
}

TEST_CASE("TCP, UDP of every size and ping pass the link whole, whatever each end can do",
          "[tunnel][link][netns][P-35][P-58]") {
  const Pairing pairing = GENERATE(from_range(pairings()));
  INFO("office: " << text_of(pairing.office) << ", offsite: " << text_of(pairing.offsite));
  const World world;
  const std::string before_office = routing_of(world.office);
  const std::string before_offsite = routing_of(world.offsite);
  {
    const Ear ear(world);
    const Joined sites(world, pairing.office, pairing.offsite);
    for (const bool is_v6 : {false, true}) {
      INFO((is_v6 ? "IPv6" : "IPv4"));
      stream_both_ways(world, is_v6, 3'000'000);
      const auto [near, far] = udp_through(world, is_v6);
      for (const std::size_t size :
           {1UL, 2UL, 535UL, 1231UL, 1232UL, 1233UL, 1452UL, 1453UL, 1472UL, 1473UL, 2960UL, 8972UL,
            32'768UL, 65'506UL, 65'507UL}) {
        INFO("a datagram of " << size << " bytes");
        CHECK(echo(near, far, size));
      }
      const Within here(world.office);
      // One at a time: behind several, ping waits for the last answer two round trips only.
      for (int i = 0; i < 3; ++i) {
        const auto ping = run_process({"ping", "-n", "-c", "1", "-W", "10", is_v6 ? "-6" : "-4",
                                       "-I", host(true, is_v6), host(false, is_v6)});
        REQUIRE(ping);
        INFO(ping->out);
        CHECK(ping->exit_code == 0);
      }
    }
    // The tunnel's own addresses are reached as well.
    {
      const Within here(world.office);
      const auto ping = run_process({"ping", "-n", "-c", "1", "-W", "10", "10.77.0.2"});
      REQUIRE(ping);
      CHECK(ping->exit_code == 0);
    }
    const LinkSnapshot office = sites.office.link->link->snapshot();
    const LinkSnapshot offsite = sites.offsite.link->link->snapshot();
    CHECK((office.outbound.super_packets > 0) == pairing.office.offload);
    CHECK((offsite.outbound.super_packets > 0) == pairing.offsite.offload);
    if (pairing.office.offload) CHECK((offsite.inbound.segmented > 0) == !pairing.offsite.offload);
    CHECK(office.sessions == 1);
    CHECK(offsite.lane_ends.empty());
    const Ear::Count heard = ear.count();
    CHECK(heard.clear() == 0);
    CHECK(heard.outer > 100);
  }
  CHECK(routing_of(world.office) == before_office);
  CHECK(routing_of(world.offsite) == before_offsite);
}

TEST_CASE("a UDP super-packet of the kernel arrives as the datagrams that it stands for",
          "[tunnel][link][netns][P-35]") {
  const bool has_far_offload = GENERATE(true, false);
  const World world;
  const Joined sites(world, {true, backends().back()}, {has_far_offload, backends().front()});
  const auto [near, far] = udp_through(world, false);
  const int segment_bytes = 1200;
  REQUIRE(::setsockopt(near.get(), SOL_UDP, UDP_SEGMENT, &segment_bytes, sizeof segment_bytes) ==
          0);
  const auto text = pattern(1200 * 40 + 333);
  REQUIRE(::send(near.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  std::vector<Byte> arrived;
  std::vector<Byte> buffer(65536);
  for (int i = 0; i < 41; ++i) {
    const auto got = ::recv(far.get(), buffer.data(), buffer.size(), 0);
    REQUIRE(got == (i < 40 ? 1200 : 333));
    arrived.insert(arrived.end(), buffer.begin(), buffer.begin() + got);
  }
  CHECK(arrived == text);
  CHECK(sites.office.link->link->snapshot().outbound.super_packets == 1);
}

TEST_CASE("a ratchet every few records passes unnoticed by the kernels at both ends",
          "[tunnel][link][netns][P-39]") {
  const RatchetLimits limits{.blocks_max = record_limit_max / 16 + 3 + 4096,
                             .key_updates_max = 1 << 20};
  const World world;
  const Joined sites(world, {.io = backends().back(), .ratchet = limits},
                     {.io = backends().front(), .ratchet = limits});
  stream_both_ways(world, false, 2'000'000);
  const LinkSnapshot office = sites.office.link->link->snapshot();
  CHECK(office.lane_ends.empty());
  CHECK(office.outbound.ratchets > 10);  // 64 KiB of plaintext for each key
  CHECK(office.inbound.ratchets > 10);
}

// Sends something to the far side from each family; nobody need answer.
void call_into_the_far_side(const World& world) {
  for (const bool is_v6 : {false, true}) {
    const Fd fd = socket_in(world.office, address_of(host(true, is_v6), 0), SOCK_DGRAM);
    const Address there = address_of(host(false, is_v6), 7002);
    for (int i = 0; i < 5; ++i) {
      static_cast<void>(::sendto(fd.get(), "secret", 6, MSG_DONTWAIT, there.raw(), there.length));
    }
    const Fd tcp =
        socket_in(world.office, address_of(host(true, is_v6), 0), SOCK_STREAM | SOCK_NONBLOCK);
    static_cast<void>(::connect(tcp.get(), there.raw(), there.length));
  }
}

TEST_CASE(
    "what is meant for the far side never leaves in clear, whether the link is up, down, gone or "
    "killed",
    "[tunnel][link][netns]") {
  const World world;
  {
    // Without a link the default route takes it: the ear hears what must not be heard later.
    const Ear ear(world);
    call_into_the_far_side(world);
    const Ear::Count heard = ear.count();
    CHECK(heard.clear_v4 > 0);
    CHECK(heard.clear_v6 > 0);
  }
  Joined sites(world, {true, backends().back()}, {true, backends().back()});
  SECTION("up") {
    const Ear ear(world);
    call_into_the_far_side(world);
    stream_both_ways(world, false, 100'000);
    const Ear::Count heard = ear.count();
    CHECK(heard.clear() == 0);
    CHECK(heard.outer > 10);
  }
  SECTION("down: the other end has stopped") {
    sites.offsite.link->stop();
    sites.office.link->wait_for(Kind::lane_ended);
    const Ear ear(world);
    call_into_the_far_side(world);
    CHECK(ear.count().clear() == 0);
  }
  SECTION("gone: the device has vanished, the routes stand") {
    sites.office.link.reset();
    {
      const Within here(world.office);
      sites.office.device.reset();
    }
    const Ear ear(world);
    call_into_the_far_side(world);
    CHECK(ear.count().clear() == 0);
    const Fd fd = socket_in(world.office, address_of(host(true, false), 0), SOCK_DGRAM);
    const Address there = address_of(host(false, false), 7002);
    CHECK(::sendto(fd.get(), "secret", 6, MSG_DONTWAIT, there.raw(), there.length) < 0);
    CHECK((errno == EHOSTUNREACH || errno == ENETUNREACH));
  }
}

TEST_CASE(
    "what a killed link leaves keeps its prefixes shut, the next one adopts it and takes it away",
    "[tunnel][link][netns]") {
  const World world;
  const std::string before = routing_of(world.office);
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    // A gateway that dies in the middle of its work. Nothing of the test's framework is used here.
    if (::setns(world.office.fd(), CLONE_NEWNET) != 0) ::_exit(1);
    const auto device = TunDevice::create({.name = "lt0"});
    if (!device || !bring_up({.name = "lt0"})) ::_exit(2);
    const auto routes = SiteRoutes::install(
        {.device = "lt0",
         .tunnel_addresses = {*Prefix::parse("10.77.0.1/30")},
         .peer_prefixes = {*Prefix::parse("10.2.0.0/24"), *Prefix::parse("fd02::/64")}});
    if (!routes) ::_exit(3);
    ::raise(SIGKILL);
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  REQUIRE(WIFSIGNALED(status));
  CHECK(routing_of(world.office) != before);
  {
    const Ear ear(world);
    call_into_the_far_side(world);
    CHECK(ear.count().clear() == 0);
  }
  {
    const Joined sites(world, {}, {});
    stream_both_ways(world, false, 100'000);
    stream_both_ways(world, true, 100'000);
  }
  CHECK(routing_of(world.office) == before);
}

TEST_CASE("inner connections survive the end of a lane", "[tunnel][link][netns][P-51]") {
  const World world;
  const SiteOptions options{.io = backends().back(),
                            .times = {.ping = milliseconds(200), .dead = milliseconds(1500)}};
  const Joined sites(world, options, options);
  const Gateway& office = sites.office;
  const auto [near, far] = tcp_through(world, false);
  REQUIRE(write_stream(near.get(), 5, 50'000));
  CHECK(read_stream(far.get(), 5, 50'000) == 50'000);
  // The path is cut below TCP for longer than the lane waits; device and routes stay.
  for (int i = 0; i < 2; ++i) {
    const std::size_t seen = office.link->event_count();
    {
      const Within here(world.wan);
      run("ip link set w0 down");
    }
    CHECK(has(office.link->wait_for(Kind::lane_ended, seen).event.detail, "dead"));
    {
      const Within here(world.wan);
      run("ip link set w0 up");
    }
    office.link->wait_for(Kind::lane_up, seen);
    REQUIRE(write_stream(near.get(), 6, 50'000));
    CHECK(read_stream(far.get(), 6, 50'000) == 50'000);
    REQUIRE(write_stream(far.get(), 7, 50'000));
    CHECK(read_stream(near.get(), 7, 50'000) == 50'000);
  }
}

TEST_CASE("one IPv6 network has four places, however many addresses it has",
          "[tunnel][link][netns][P-55]") {
  const Net net;
  const Within here(net);
  for (int i = 1; i <= 8; ++i) {
    run("ip -6 address add 2001:db8:1::" + std::to_string(i) + "/128 dev lo");
    run("ip -6 address add 2001:db8:2::" + std::to_string(i) + "/128 dev lo");
  }
  LinkOptions options = listening("::");
  options.times.knock = seconds(10);
  RunningLink server(std::move(options));
  const auto connect_from = [&](const std::string& source) {
    Fd fd = socket_in(net, address_of(source, 0), SOCK_STREAM);
    const Address there = address_of("2001:db8:1::1", server.link->listen_port());
    REQUIRE(::connect(fd.get(), there.raw(), there.length) == 0);
    return fd;
  };
  std::vector<Fd> one;
  for (int i = 1; i <= 8; ++i)
    one.push_back(connect_from("2001:db8:1::" + std::to_string(i)));
  server.wait_until([](const LinkSnapshot& snapshot) { return snapshot.strangers == 4; });
  std::vector<Fd> other;
  for (int i = 1; i <= 4; ++i)
    other.push_back(connect_from("2001:db8:2::" + std::to_string(i)));
  int closed = 0;
  for (const Fd& fd : one)
    closed += hear_to_end(fd, now()).is_closed ? 1 : 0;
  CHECK(closed == 4);
  // Those of another network are not among the closed: the fifth of it is the first that is.
  other.push_back(connect_from("2001:db8:2::5"));
  server.wait_until([](const LinkSnapshot& snapshot) { return snapshot.strangers == 5; });
  CHECK(hear_to_end(other.back()).is_closed);
  for (std::size_t i = 0; i < 4; ++i)
    CHECK_FALSE(hear_to_end(other[i], now()).is_closed);
}

}  // namespace
}  // namespace lt::tunnel

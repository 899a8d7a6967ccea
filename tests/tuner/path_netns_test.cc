// The shape of a path through a router:
//
//   namespace A  10.198.1.1 == 10.198.1.2  router  10.198.2.2 == 10.198.2.1  namespace B
//                fd98:1::1  == fd98:1::2            fd98:2::2 == fd98:2::1
//        client                                                    server
//        |____________ control: a Unix socket _____________________|
//
// The far line may be smaller, and rules (nft) lose what a test names. Needs root, iproute2, nftables.
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <thread>

#include "base/process.h"
#include "tuner/path_shape.h"

using namespace lt;
using namespace lt::tuner;

namespace {

void must_run(const Argv& argv) {
  const auto output = run_checked(argv);
  if (!output) FAIL(output.error().text());
}

void enter(const std::string& space) {
  const Fd fd(::open(("/run/netns/" + space).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.is_open() || ::setns(fd.get(), CLONE_NEWNET) != 0)
    throw std::runtime_error("cannot enter " + space);
}

// Three namespaces, removed whatever happens.
struct Spaces {
  Spaces() {
    if (::geteuid() != 0) FAIL("this test makes network namespaces: run it as root");
    for (const std::string& space : {near, router, far})
      must_run({"ip", "netns", "add", space});
  }
  ~Spaces() {
    for (const std::string& space : {near, router, far})
      static_cast<void>(run_process({"ip", "netns", "del", space}));
  }
  Spaces(const Spaces&) = delete;
  Spaces& operator=(const Spaces&) = delete;

  const std::string near{"ltpath-" + std::to_string(::getpid()) + "-a"};
  const std::string router{"ltpath-" + std::to_string(::getpid()) + "-r"};
  const std::string far{"ltpath-" + std::to_string(::getpid()) + "-b"};
};

struct Mtus {
  const char* near_line{"1500"};
  const char* router_to_far{"1500"};
  const char* far{"1500"};
};

class Path {
 public:
  explicit Path(const Mtus& mtus) {
    connect(spaces_.near, "1", mtus.near_line, mtus.near_line);
    connect(spaces_.far, "2", mtus.router_to_far, mtus.far);
    must_run({"ip", "netns", "exec", spaces_.router, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1",
              "net.ipv6.conf.all.forwarding=1"});
    ::unlink(control_.c_str());
    server_ = std::jthread([this](const std::stop_token& stop) {
      enter(spaces_.far);
      Log log = Log::silent();
      auto server = ProbeServer::create({.control = {.unix_path = control_}}, log);
      is_listening_ = server.has_value() ? 1 : -1;
      is_listening_.notify_all();
      if (server) static_cast<void>(server->serve(stop));
    });
    is_listening_.wait(0);
    REQUIRE(is_listening_ == 1);
  }

  PathShape shape(Family family = Family::v4) const {
    PathRequest request;
    request.data = *IpAddress::parse(family == Family::v4 ? "10.198.2.1" : "fd98:2::1");
    std::optional<Result<PathShape>> taken;
    std::jthread([&] {
      enter(spaces_.near);
      taken.emplace(probe_path({.control = {.unix_path = control_}}, request));
    }).join();
    if (!*taken) FAIL(taken->error().text());
    INFO(text_of(**taken));
    CHECK(path_shape_from_json(to_json(**taken)).has_value());
    return **taken;
  }

  // What the router loses: rules of an nft chain that sees packets before they are put together.
  void lose(const std::string& family, const std::string& rule) const {
    must_run({"ip", "netns", "exec", spaces_.router, "nft",
              "add table " + family + " t; add chain " + family +
                  " t c { type filter hook prerouting priority -450; }; add rule " + family +
                  " t c " + rule + " drop"});
  }
  // The router says nothing of what is too large.
  void block_icmp() const {
    must_run({"ip", "netns", "exec", spaces_.router, "nft",
              "add table inet i; add chain inet i c { type filter hook output priority 0; }; add "
              "rule inet i c icmp type destination-unreachable drop; add rule inet i c icmpv6 type "
              "packet-too-big drop"});
  }

 private:
  void connect(const std::string& space, const std::string& number, const char* router_mtu,
               const char* mtu) {
    const std::string device = "line" + number;
    must_run({"ip", "link", "add", device, "netns", spaces_.router, "type", "veth", "peer", "name",
              device, "netns", space});
    set_up(spaces_.router, device, number, "2", router_mtu);
    set_up(space, device, number, "1", mtu);
    must_run({"ip", "-n", space, "route", "add", "default", "via", "10.198." + number + ".2"});
    must_run({"ip", "-n", space, "-6", "route", "add", "default", "via", "fd98:" + number + "::2"});
  }

  static void set_up(const std::string& space, const std::string& device, const std::string& number,
                     const std::string& host, const char* mtu) {
    must_run({"ip", "-n", space, "address", "add", "10.198." + number + "." + host + "/24", "dev", device});
    must_run({"ip", "-n", space, "address", "add", "fd98:" + number + "::" + host + "/64", "dev",
              device, "nodad"});
    must_run({"ip", "-n", space, "link", "set", device, "mtu", mtu, "up"});
  }

  const Spaces spaces_;
  std::string control_{std::string(LINKTUNE_BINARY_DIR) + "/path_netns_test.sock"};
  std::atomic<int> is_listening_{0};
  std::jthread server_;  // ends before the namespaces go
};

}  // namespace

TEST_CASE("a plain path has the MTU of its devices each way, and carries fragments",
          "[tuner][path][netns]") {
  const Path path({});
  for (const Family family : {Family::v4, Family::v6}) {
    const PathShape shape = path.shape(family);
    CHECK_FALSE(shape.path_failure);
    for (const WayShape& way : {shape.up, shape.down}) {
      CHECK(way.mtu(family) == 1500);
      CHECK(way.is_exact);
      CHECK(way.carries_fragments() == std::optional(true));
      CHECK(way.full_size.sent == 100);
      CHECK(way.full_size.loss() == 0);
    }
  }
}

TEST_CASE("a line of 1492 bytes behind the router is found each way, ICMP or not",
          "[tuner][path][netns]") {
  const Path path({.router_to_far = "1492", .far = "1492"});
  const auto is_blocked = GENERATE(false, true);
  if (is_blocked) path.block_icmp();
  for (const Family family : {Family::v4, Family::v6}) {
    if (family == Family::v6 && !is_blocked) continue;
    const PathShape shape = path.shape(family);
    CHECK_FALSE(shape.path_failure);
    CHECK(shape.up.mtu(family) == 1492);
    CHECK(shape.down.mtu(family) == 1492);
    CHECK(shape.up.is_exact);
    CHECK(shape.down.is_exact);
    CHECK(shape.up.carries_fragments() == std::optional(true));
    CHECK(shape.mtu() == 1492);
  }
}

TEST_CASE("a path that is smaller one way only is found so", "[tuner][path][netns]") {
  // The far end sends 1500 bytes; a rule of the router loses what is above 1400.
  const Path path({});
  path.lose("inet", "iifname line2 meta length > 1400");
  const PathShape shape = path.shape();
  CHECK(shape.up.mtu(Family::v4) == 1500);
  CHECK(shape.down.mtu(Family::v4) == 1400);
  CHECK(shape.down.is_exact);
  CHECK(shape.mtu() == 1400);
}

TEST_CASE("a jumbo path is found to the byte", "[tuner][path][netns]") {
  const Path path({.near_line = "9001", .router_to_far = "9003", .far = "9003"});
  const PathShape shape = path.shape();
  CHECK(shape.up.mtu(Family::v4) == 9001);
  CHECK(shape.down.mtu(Family::v4) == 9001);
}

TEST_CASE("fragments that a router drops are told each way by itself", "[tuner][path][netns]") {
  const Path path({});
  path.lose("ip", "iifname line1 ip frag-off & 0x3fff != 0");
  const PathShape shape = path.shape();
  CHECK(shape.up.mtu(Family::v4) == 1500);
  CHECK(shape.up.carries_fragments() == std::optional(false));
  CHECK(shape.up.fragmented.arrived == 0);
  CHECK(shape.down.carries_fragments() == std::optional(true));
}

TEST_CASE("a path that loses a twentieth of its packets looks no smaller, and is told to lose them",
          "[tuner][path][netns]") {
  const Path path({.router_to_far = "1492", .far = "1492"});
  path.lose("inet", "iifname line1 meta l4proto udp numgen random mod 100 < 5");
  const PathShape shape = path.shape();
  CHECK(shape.mtu() == 1492);
  CHECK(shape.up.full_size.loss() < 0.2);  // 5 expected of 100, deviation 2.2
  CHECK(shape.down.full_size.loss() == 0);
}

TEST_CASE("a path without UDP is the path's failure, and told in seconds", "[tuner][path][netns]") {
  const Path path({});
  const bool is_up = GENERATE(true, false);
  path.lose("inet", std::string("iifname ") + (is_up ? "line1" : "line2") + " meta l4proto udp");
  const auto begin = std::chrono::steady_clock::now();
  const PathShape shape = path.shape();
  REQUIRE(shape.path_failure);
  CHECK(shape.path_failure->code == Errc::timed_out);
  CHECK((shape.up.payload_bytes == 0) == is_up);
  CHECK(std::chrono::steady_clock::now() - begin < 15s);
}

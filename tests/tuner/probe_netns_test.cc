// The probe over a line of its own:
//
//   namespace A, 10.199.0.1 [line] ====== veth ====== [line] namespace B, 10.199.0.2
//        client                                              server
//        |____________ control: a Unix socket ________________|
//
// The line is limited (tbf), loses packets (nft), or is cut. Needs root, iproute2, nftables,
// iperf3.
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <thread>

#include "base/process.h"
#include "tuner/probe.h"

using namespace lt;
using namespace lt::tuner;

namespace {

std::string must_run(const Argv& argv) {
  auto output = run_checked(argv);
  if (!output) FAIL(output.error().text());
  return *output;
}

void enter(const std::string& space) {
  const Fd fd(::open(("/run/netns/" + space).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.is_open() || ::setns(fd.get(), CLONE_NEWNET) != 0)
    throw std::runtime_error("cannot enter " + space);
}

// Runs `action` on a thread inside `space`; its sockets and threads are born there.
template <class Action>
auto inside(const std::string& space, Action action) {
  std::optional<decltype(action())> result;
  std::jthread([&] {
    enter(space);
    result.emplace(action());
  }).join();
  return std::move(*result);
}

const IpAddress near_address = *IpAddress::parse("10.199.0.1");
const IpAddress far_address = *IpAddress::parse("10.199.0.2");

// Two namespaces, removed whatever happens.
struct Spaces {
  Spaces() {
    if (::geteuid() != 0) FAIL("this test makes network namespaces: run it as root");
    for (const std::string& space : {near, far})
      must_run({"ip", "netns", "add", space});
  }
  ~Spaces() {
    for (const std::string& space : {near, far}) {
      static_cast<void>(run_process({"ip", "netns", "del", space}));
    }
  }
  Spaces(const Spaces&) = delete;
  Spaces& operator=(const Spaces&) = delete;

  const std::string near{"lttuner-" + std::to_string(::getpid()) + "-a"};
  const std::string far{"lttuner-" + std::to_string(::getpid()) + "-b"};
};

// The veth between them, and a server in the far one.
class Line {
 public:
  Line() {
    must_run({"ip", "link", "add", "line", "netns", near(), "type", "veth", "peer", "name", "line",
              "netns", far()});
    set_up(near(), "10.199.0.1/24");
    set_up(far(), "10.199.0.2/24");
    ::unlink(control_.c_str());
    server_ = std::jthread([this](const std::stop_token& stop) {
      enter(far());
      Log log = Log::silent();
      auto server = ProbeServer::create({.control = {.unix_path = control_}}, log);
      is_listening_ = server.has_value() ? 1 : -1;
      is_listening_.notify_all();
      if (server) static_cast<void>(server->serve(stop));
    });
    is_listening_.wait(0);
    REQUIRE(is_listening_ == 1);
  }

  Result<ProbeResult> probe(ProbeRequest request) const {
    request.data = far_address;
    return inside(near(), [&] { return run_probe({.control = {.unix_path = control_}}, request); });
  }

  [[nodiscard]] const std::string& near() const { return spaces_.near; }
  [[nodiscard]] const std::string& far() const { return spaces_.far; }

 private:
  static void set_up(const std::string& space, const std::string& address) {
    must_run({"ip", "-n", space, "address", "add", address, "dev", "line"});
    must_run({"ip", "-n", space, "link", "set", "line", "up"});
    must_run({"ip", "-n", space, "link", "set", "lo", "up"});
  }

  const Spaces spaces_;
  std::string control_{std::string(LINKTUNE_BINARY_DIR) + "/probe_netns_test.sock"};
  std::atomic<int> is_listening_{0};
  std::jthread server_;  // ends before the namespaces go
};

void limit(const std::string& space, const std::string& rate) {
  must_run({"tc", "-n", space, "qdisc", "add", "dev", "line", "root", "tbf", "rate", rate, "burst",
            "16kb", "latency", "50ms"});
}

// Goodput of the stock tool over the same line (unit: bit/s).
double stock_goodput(const Line& line, bool is_up) {
  auto server = Child::start(
      {.argv = {"ip", "netns", "exec", line.far(), "iperf3", "-s", "-1", "-B", far_address.text()},
       .output_path = ""});
  REQUIRE(server);
  Argv argv{"ip", "netns", "exec", line.near(), "iperf3", "-c", far_address.text(),
            "-C", "cubic", "-t",   "3",         "-O",     "1",  "-J"};
  if (!is_up) argv.emplace_back("-R");
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  for (;;) {
    const auto output = run_process(argv);
    REQUIRE(output);
    const auto json = parse_json(output->out, "iperf3");
    REQUIRE(json);
    // The server may not listen yet: it is refused at once then.
    if (json->contains("error") && std::chrono::steady_clock::now() < deadline) continue;
    INFO(output->out.substr(0, 300));
    REQUIRE_FALSE(json->contains("error"));
    return (*json)["end"]["sum_received"]["bits_per_second"].get<double>();
  }
}

ProbeRequest a_request(Load load) {
  ProbeRequest request;
  request.duration = 3s;
  request.omit = 1s;
  request.idle = 500ms;
  request.load = load;
  return request;
}

std::uint64_t dropped_in(const std::string& space) {
  const auto json = parse_json(
      must_run({"ip", "netns", "exec", space, "nft", "-j", "list", "counter", "inet", "t", "lost"}),
      "nft");
  REQUIRE(json);
  for (const Json& item : (*json)["nftables"]) {
    if (item.contains("counter")) return item["counter"]["packets"].get<std::uint64_t>();
  }
  FAIL("nft lists no counter");
  return 0;
}

void lose(const std::string& space, const std::string& rule) {
  must_run({"ip", "netns", "exec", space, "nft",
            "add table inet t; add counter inet t lost; add chain inet t c { type filter hook "
            "input priority 0; }; add rule inet t c " +
                rule + " counter name lost drop"});
}

double megabits(const std::optional<FlowResult>& flow) {
  return static_cast<double>(flow->goodput().value) * 1e-6;
}

}  // namespace

TEST_CASE("goodput over a limited line is within 5 % of iperf3's, each way",
          "[tuner][probe][netns]") {
  const Line line;
  limit(line.near(), "60mbit");
  limit(line.far(), "30mbit");
  const auto up = line.probe(a_request(Load::up));
  const auto down = line.probe(a_request(Load::down));
  REQUIRE(up);
  REQUIRE(down);
  CHECK_FALSE(up->path_failure);
  CHECK_FALSE(down->path_failure);
  CHECK(megabits(up->up) == Approx(stock_goodput(line, true) * 1e-6).epsilon(0.05));
  CHECK(megabits(down->down) == Approx(stock_goodput(line, false) * 1e-6).epsilon(0.05));
  // A line carries at most 1448 of 1514 bytes as payload (RFC 879, time stamps on); tbf lets one
  // burst through.
  CHECK(megabits(up->up) < 60 * 1448 / 1514.0 * 1.01);
  CHECK(megabits(up->up) > 60 * 0.9);
  // tbf holds packets for up to 50 ms; an echo that waits behind the load shows it.
  CHECK(up->loaded.latency.us_p50 > 10'000);
  CHECK(up->loaded.latency.us_p50 < 80'000);
  CHECK(up->idle.latency.us_p50 < 5'000);
}

TEST_CASE("lost packets are counted exactly, each way by itself", "[tuner][probe][netns]") {
  const Line line;
  lose(line.far(), "meta l4proto udp numgen random mod 100 < 10");
  lose(line.near(), "meta l4proto udp numgen random mod 100 < 3");
  ProbeRequest request = a_request(Load::up);
  request.idle = 1s;
  request.duration = 1s;
  request.omit = 100ms;
  request.echo_per_second = 1000;
  const auto result = line.probe(request);
  REQUIRE(result);
  const auto both = [&](auto pick) { return pick(result->idle) + pick(result->loaded); };
  const auto sent = both([](const EchoResult& e) { return e.sent; });
  const auto arrived = both([](const EchoResult& e) { return e.arrived; });
  const auto replied = both([](const EchoResult& e) { return e.replied; });
  const auto returned = both([](const EchoResult& e) { return e.returned; });
  CHECK(sent == 2000);
  CHECK(sent - arrived == dropped_in(line.far()));
  CHECK(replied - returned == dropped_in(line.near()));
  CHECK(replied == arrived);
  CHECK(dropped_in(line.far()) > 100);  // 200 expected, deviation 13
  CHECK(dropped_in(line.near()) > 10);  // 54 expected, deviation 7
}

TEST_CASE("a line that carries nothing is the path's failure, not an error",
          "[tuner][probe][netns]") {
  const Line line;
  lose(line.far(), "meta l4proto tcp");
  const auto start = std::chrono::steady_clock::now();
  const auto result = line.probe(a_request(Load::up));
  REQUIRE(result);
  REQUIRE(result->path_failure);
  CHECK(result->path_failure->code == Errc::timed_out);
  CHECK(std::chrono::steady_clock::now() - start < path_patience + 2s);
}

TEST_CASE("a line that loses what is large connects, and is found to carry no data",
          "[tuner][probe][netns]") {
  const Line line;
  lose(line.far(), "meta l4proto tcp meta length > 600");
  const auto result = line.probe(a_request(Load::up));
  REQUIRE(result);
  REQUIRE(result->path_failure);
  CHECK(result->path_failure->what.find("no data") != std::string::npos);
}

TEST_CASE("a line that is cut in the middle fails the test, which still ends in time",
          "[tuner][probe][netns]") {
  const Line line;
  limit(line.near(), "60mbit");
  ProbeRequest request = a_request(Load::up);
  request.idle = 0ms;
  request.duration = 5s;
  const auto start = std::chrono::steady_clock::now();
  Result<ProbeResult> result = fail(Errc::io, "not run");
  std::jthread client([&] { result = line.probe(request); });
  // Cut once a megabyte has gone through.
  std::uint64_t bytes = 0;
  while (bytes < 1'000'000 && std::chrono::steady_clock::now() - start < 10s) {
    const auto json =
        parse_json(must_run({"ip", "-n", line.near(), "-j", "-s", "link", "show", "line"}), "ip");
    REQUIRE(json);
    bytes = (*json)[0]["stats64"]["tx"]["bytes"].get<std::uint64_t>();
  }
  must_run({"ip", "-n", line.near(), "link", "set", "line", "down"});
  client.join();
  REQUIRE(result);
  REQUIRE(result->path_failure);
  CHECK(std::chrono::steady_clock::now() - start < 15s);
}

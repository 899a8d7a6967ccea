// Our iperf3 client against the real server, and the real client against ours: over loopback, and
// for the figures over a line of 500 Mbit/s between two namespaces:
//
//   namespace A, 10.197.0.1 [tbf] ====== veth ====== [tbf] namespace B, 10.197.0.2
//
// Needs iperf3 3.12 or later, and for the last test root and iproute2.
// LINKTUNE_COMPLETE=1: five interleaved rounds of all pairs, each way; else up only, and as many rounds, of at
// most five, as it takes until the medians agree.
#include "tuner/iperf3.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <thread>

#include "base/process.h"
#include "tuner/probe_socket.h"
#include "tuner/random.h"

using namespace lt;
using namespace lt::tuner;
using Catch::Matchers::Contains;

namespace {

const IpAddress loopback = *IpAddress::parse("127.0.0.1");
const IpAddress loopback_v6 = *IpAddress::parse("::1");

std::uint16_t free_port() {
  const auto bound = listen_tcp(loopback, 0, [](int) { return Status(); });
  REQUIRE(bound);
  return bound->port;
}

void require_iperf3() {
  if (!find_program("iperf3")) FAIL("iperf3 is not installed: sudo apt-get install iperf3");
}

// The stock server, for the time of a test.
class StockServer {
 public:
  explicit StockServer(const Argv& prefix = {}, std::uint16_t port = free_port()) : port_(port) {
    require_iperf3();
    Argv argv = prefix;
    for (const std::string& word : {std::string("iperf3"), std::string("-s"), std::string("-p"), std::to_string(port)})
      argv.push_back(word);
    auto child = Child::start({.argv = argv, .output_path = ""});
    REQUIRE(child);
    child_.emplace(std::move(*child));
  }
  [[nodiscard]] Iperf3ClientOptions client(const std::string& host = "127.0.0.1") const {
    Iperf3ClientOptions options;
    options.server = {host, port_};
    return options;
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  std::uint16_t port_;
  std::optional<Child> child_;
};

// Ours, on a thread of its own.
class OurServer {
 public:
  explicit OurServer(const std::string& space = {}, std::optional<IpAddress> address = loopback) {
    std::atomic<int> is_listening{0};
    thread_ = std::jthread([&, space, address](const std::stop_token& stop) {
      if (!space.empty()) enter(space);
      auto server = Iperf3Server::create({.address = address, .port = 0}, log_);
      port_ = server ? server->port() : 0;
      is_listening = 1;
      is_listening.notify_all();
      if (server) tests_ = server->serve(stop).value_or(0);
    });
    is_listening.wait(0);
    REQUIRE(port_ > 0);
  }
  static void enter(const std::string& space) {
    const Fd fd(::open(("/run/netns/" + space).c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.is_open() || ::setns(fd.get(), CLONE_NEWNET) != 0) throw std::runtime_error("cannot enter " + space);
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] Iperf3ClientOptions client(const std::string& host = "127.0.0.1") const {
    Iperf3ClientOptions options;
    options.server = {host, port_};
    return options;
  }
  [[nodiscard]] std::uint64_t end() {
    thread_.request_stop();
    thread_.join();
    return tests_;
  }

 private:
  Log log_ = Log::silent();
  std::atomic<std::uint16_t> port_{0};
  std::uint64_t tests_{0};
  std::jthread thread_;
};

// Until the stock server listens, or listens again after a test, it refuses.
Result<Iperf3Result> run_when_listening(const Iperf3ClientOptions& options, const Iperf3Test& test) {
  const auto until = std::chrono::steady_clock::now() + 5s;
  for (;;) {
    auto result = run_iperf3_test(options, test);
    if (result || std::chrono::steady_clock::now() > until) return result;
  }
}

Json stock_client(std::uint16_t port, const Argv& words, const Argv& prefix = {}, const std::string& host = "127.0.0.1") {
  require_iperf3();
  Argv argv = prefix;
  for (const std::string& word : {std::string("iperf3"), std::string("-J"), std::string("-c"), host, std::string("-p"), std::to_string(port)})
    argv.push_back(word);
  argv.insert(argv.end(), words.begin(), words.end());
  const auto output = run_process(argv, {.deadline = 30s});
  REQUIRE(output);
  const auto json = parse_json(output->out, "iperf3");
  INFO(output->out.substr(0, 2000) << output->err.substr(0, 500));
  REQUIRE(json);
  return *json;
}

Iperf3Test a_test(Load load = Load::up) {
  Iperf3Test test;
  test.seconds = 1;
  test.load = load;
  test.congestion = "cubic";
  return test;
}

double megabits(const std::optional<Iperf3Way>& way) {
  return static_cast<double>(way->goodput().value) * 1e-6;
}

// A peer that says what the test wants.
class ScriptedPeer {
 public:
  ScriptedPeer() {
    auto bound = listen_tcp(loopback, 0, [](int) { return Status(); });
    REQUIRE(bound);
    listener_ = std::move(bound->fd);
    options_.server = {"127.0.0.1", bound->port};
  }
  // Takes one client, hears its cookie, says `words`, and hangs up when the client does.
  void say(std::string words) {
    thread_ = std::jthread([this, words = std::move(words)] {
      const Instant deadline = std::chrono::steady_clock::now() + 10s;
      if (!wait_for(listener_.get(), POLLIN, deadline)) return;
      const Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      std::array<Byte, 37> cookie{};
      if (!receive_all(fd.get(), cookie, deadline) || !send_all(fd.get(), as_bytes(words), deadline)) return;
      std::array<Byte, 1000> sink{};
      while (wait_for(fd.get(), POLLIN, deadline) && ::recv(fd.get(), sink.data(), sink.size(), 0) > 0) {
      }
    });
  }
  [[nodiscard]] const Iperf3ClientOptions& client() const { return options_; }

 private:
  Fd listener_;
  Iperf3ClientOptions options_;
  std::jthread thread_;
};

Fd connected_to(std::uint16_t port) {
  auto fd = connect_tcp(loopback, port, std::nullopt, [](int) { return Status(); }, std::chrono::steady_clock::now() + 5s);
  REQUIRE(fd);
  return std::move(*fd);
}

}  // namespace

TEST_CASE("our client tests TCP against the stock server, up, down and both ways", "[tuner][iperf3]") {
  const StockServer server;
  const auto up = run_when_listening(server.client(), a_test());
  REQUIRE(up);
  REQUIRE(up->up);
  CHECK_FALSE(up->down);
  CHECK(megabits(up->up) > 100);
  CHECK(up->up->bytes_sent >= up->up->bytes_received);
  CHECK(up->up->retransmits >= 0);
  CHECK(up->up->seconds_received == Approx(1).margin(0.1));
  CHECK(up->congestion == "cubic");
  CHECK(up->server_cpu_percent > 0);
  CHECK_FALSE(up->up->series.empty());

  const auto down = run_when_listening(server.client(), a_test(Load::down));
  REQUIRE(down);
  CHECK_FALSE(down->up);
  CHECK(megabits(down->down) > 100);
  CHECK(down->server_congestion == "cubic");

  Iperf3Test both = a_test(Load::both);
  both.streams = 2;
  both.omit_seconds = 1;
  const auto ways = run_when_listening(server.client(), both);
  REQUIRE(ways);
  CHECK(ways->up->streams == 2);
  CHECK(ways->down->streams == 2);
  CHECK(megabits(ways->up) > 50);
  CHECK(megabits(ways->down) > 50);
  CHECK(ways->up->seconds_sent == Approx(1).margin(0.2));
  CHECK(to_json(*ways)["schema"] == "linktune.iperf3/1");
  CHECK_THAT(text_of(*ways), Contains("2 streams"));
}

TEST_CASE("our client paces UDP against the stock server, up, down and both ways", "[tuner][iperf3]") {
  const StockServer server;
  for (const Load load : {Load::up, Load::down, Load::both}) {
    Iperf3Test test = a_test(load);
    test.is_udp = true;
    test.congestion.clear();
    test.rate = {20'000'000};
    test.streams = load == Load::both ? 2 : 1;
    const auto result = run_when_listening(server.client(), test);
    if (!result) FAIL(result.error().text());
    for (const auto* way : {&result->up, &result->down}) {
      if (!*way) continue;
      CHECK(megabits(*way) == Approx(20 * test.streams).epsilon(0.05));
      CHECK((*way)->packets > 1000);
      CHECK((*way)->loss() < 0.05);
      CHECK((*way)->jitter_ms < 20);
    }
  }
}

TEST_CASE("our client passes MSS, window, no-delay and congestion control on, and brings the server's words",
          "[tuner][iperf3]") {
  const StockServer server;
  Iperf3Test test = a_test();
  test.mss_bytes = 1000;
  test.window_bytes = 200'000;
  test.no_delay = true;
  test.congestion = "reno";
  test.rate = {100'000'000};
  test.wants_server_output = true;
  const auto result = run_when_listening(server.client(), test);
  if (!result) FAIL(result.error().text());
  CHECK(result->congestion == "reno");
  CHECK(result->server_congestion == "reno");
  CHECK(megabits(result->up) == Approx(100).epsilon(0.1));
  CHECK_THAT(text_of(*result), Contains("the server says") && Contains("receiver"));
}

TEST_CASE("our client and the stock one speak IPv6, too", "[tuner][iperf3]") {
  const StockServer stock;
  CHECK(run_when_listening(stock.client("::1"), a_test()).has_value());
  OurServer ours({}, loopback_v6);
  const Json result = stock_client(ours.port(), {"-t", "1"}, {}, "::1");
  CHECK_FALSE(result.contains("error"));
  const Json udp = stock_client(ours.port(), {"-t", "1", "-u", "-b", "10M"}, {}, "::1");
  CHECK_FALSE(udp.contains("error"));
  CHECK(ours.end() == 2);
}

TEST_CASE("the stock client tests against our server with all that it knows", "[tuner][iperf3]") {
  const Argv words = GENERATE(values<Argv>({{"-t", "1", "-O", "1"},
                                            {"-t", "1", "-R"},
                                            {"-t", "1", "--bidir", "-P", "2"},
                                            {"-t", "1", "-P", "4", "-R"},
                                            {"-t", "1", "-u", "-b", "20M", "-l", "1400"},
                                            {"-t", "1", "-u", "-b", "20M", "-R", "--udp-counters-64bit"},
                                            {"-t", "1", "-u", "-b", "10M", "--bidir", "-P", "2", "-l", "1000"},
                                            {"-t", "1", "-M", "1000", "-w", "200K", "-N", "-C", "reno", "-S", "16"},
                                            {"-t", "1", "-b", "50M", "--get-server-output"},
                                            {"-n", "20M"},
                                            {"-k", "200", "-R"},
                                            {"-t", "1", "-Z"}}));
  OurServer server;
  const Json result = stock_client(server.port(), words);
  INFO(result.dump().substr(0, 3000));
  REQUIRE_FALSE(result.contains("error"));
  const Json& end = result["end"];
  const bool is_udp = std::find(words.begin(), words.end(), "-u") != words.end();
  const Json& sum = is_udp ? end["sum"] : end["sum_received"];
  CHECK(sum["bytes"].get<double>() > 1e6);
  CHECK(sum["bits_per_second"].get<double>() > 1e6);
  if (is_udp) CHECK(sum["lost_percent"].get<double>() < 10);
  if (words.back() == "--get-server-output") {
    CHECK_THAT(result["server_output_text"].get<std::string>(), Contains("tcp received"));
    CHECK(end["sum_received"]["bits_per_second"].get<double>() == Approx(50e6).epsilon(0.1));
  }
  if (words.size() > 8 && words[8] == "reno") CHECK(end["receiver_tcp_congestion"] == "reno");
  CHECK(server.end() == 1);
}

TEST_CASE("our client and our server understand each other", "[tuner][iperf3]") {
  OurServer server;
  for (const bool is_udp : {false, true}) {
    Iperf3Test test = a_test(Load::both);
    test.is_udp = is_udp;
    test.streams = 3;
    test.rate = {10'000'000};
    test.omit_seconds = is_udp ? 1 : 0;
    if (is_udp) test.congestion.clear();
    const auto result = run_iperf3_test(server.client(), test);
    if (!result) FAIL(result.error().text());
    CHECK(megabits(result->up) == Approx(30).epsilon(0.1));
    CHECK(megabits(result->down) == Approx(30).epsilon(0.1));
    // Without the omitted second, at both ends.
    if (is_udp) CHECK(static_cast<double>(result->up->packets) == Approx(30e6 / 8 / 1448).epsilon(0.1));
  }
  CHECK(server.end() == 2);
}

TEST_CASE("a server that is busy says so, ours as the stock one", "[tuner][iperf3]") {
  OurServer ours;
  const Fd first = connected_to(ours.port());
  std::array<Byte, 37> cookie{};
  std::fill_n(cookie.begin(), 36, Byte{'a'});
  const Instant deadline = std::chrono::steady_clock::now() + 5s;
  REQUIRE(send_all(first.get(), cookie, deadline));
  std::array<Byte, 1> answer{};
  REQUIRE(receive_all(first.get(), answer, deadline));
  CHECK(answer[0] == 9);
  const auto second = run_iperf3_test(ours.client(), a_test());
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::busy);
  CHECK_THAT(second.error().what, Contains("try again"));
  CHECK_THAT(stock_client(ours.port(), {"-t", "1"})["error"].get<std::string>(), Contains("busy"));

  const StockServer stock;
  Iperf3Test held = a_test();
  held.seconds = 3;
  held.rate = {1'000'000};
  std::jthread holder([&] { static_cast<void>(run_when_listening(stock.client(), held)); });
  // Until the holder is in, our own tests are carried out.
  Result<Iperf3Result> denied = fail(Errc::io, "not run");
  for (int tries = 0; tries < 20; ++tries) {
    denied = run_iperf3_test(stock.client(), a_test());
    if (!denied && denied.error().code == Errc::busy) break;
  }
  REQUIRE_FALSE(denied);
  CHECK(denied.error().code == Errc::busy);
}

TEST_CASE("who is no iperf3 server, refuses, hangs up or goes silent is named with the cure", "[tuner][iperf3]") {
  const auto error_of = [](std::string words) {
    ScriptedPeer peer;
    peer.say(std::move(words));
    const auto result = run_iperf3_test(peer.client(), a_test());
    REQUIRE_FALSE(result);
    return result.error();
  };
  CHECK(error_of("HTTP/1.1 400 Bad Request\r\n\r\n").code == Errc::protocol);
  CHECK_THAT(error_of("SSH-2.0-OpenSSH\r\n").what, Contains("no iperf3 server"));
  CHECK(error_of("\xff").code == Errc::busy);
  CHECK_THAT(error_of("\x0b").what, Contains("was stopped"));
  CHECK(error_of("\x09\x0d").code == Errc::protocol);
  CHECK(error_of(std::string("\x09\xfe\0\0\0\x8e\0\0\0\0", 10)).code == Errc::not_permitted);
  CHECK(error_of(std::string("\x09\xfe\0\0\0\x86\0\0\0\0", 10)).code == Errc::unsupported);
}

TEST_CASE("no server is told as that, and a port that is taken, too", "[tuner][iperf3]") {
  Iperf3ClientOptions options;
  options.server = {"127.0.0.1", free_port()};
  const auto result = run_iperf3_test(options, a_test());
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Errc::unreachable);
  CHECK_THAT(result.error().what, Contains("127.0.0.1"));

  options.server.host = "no-such-host.invalid";
  CHECK(run_iperf3_test(options, a_test()).error().code == Errc::unreachable);

  OurServer first;
  Log log = Log::silent();
  const auto second = Iperf3Server::create({.address = loopback, .port = first.port()}, log);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::busy);
  CHECK_THAT(second.error().what, Contains("another port"));
  CHECK(Iperf3Server::create({.address = IpAddress::parse("192.0.2.1"), .port = 0}, log).error().code == Errc::not_found);
}

TEST_CASE("a congestion control that the server lacks is told to the stock client by our server", "[tuner][iperf3]") {
  OurServer server;
  const Fd fd = connected_to(server.port());
  const Instant deadline = std::chrono::steady_clock::now() + 5s;
  std::array<Byte, 37> cookie{};
  REQUIRE(send_all(fd.get(), cookie, deadline));
  std::array<Byte, 1> state{};
  REQUIRE(receive_all(fd.get(), state, deadline));
  const std::string text = R"({"tcp":true,"time":1,"parallel":1,"len":1000,"congestion":"nosuchcc"})";
  Writer writer;
  writer.u32(static_cast<std::uint32_t>(text.size())).append(text);
  REQUIRE(send_all(fd.get(), writer.view(), deadline));
  REQUIRE(receive_all(fd.get(), state, deadline));
  CHECK(state[0] == 10);
  const Fd stream = connected_to(server.port());
  REQUIRE(send_all(stream.get(), cookie, deadline));
  std::array<Byte, 9> error{};
  REQUIRE(receive_all(fd.get(), error, deadline));
  CHECK(error[0] == 0xfe);
  CHECK(load_be32(error.data() + 1) == 134);
}

TEST_CASE("a stop request ends our client at once, and its server is free for the next", "[tuner][iperf3]") {
  OurServer server;
  Iperf3Test test = a_test(Load::both);
  test.seconds = 60;
  std::stop_source stop;
  std::jthread watcher([&] {
    // Asks to stop once the test holds the server: others are denied then.
    for (;;) {
      const Fd fd = connected_to(server.port());
      std::array<Byte, 1> denied{};
      if (receive_all(fd.get(), denied, std::chrono::steady_clock::now() + 200ms) && denied[0] == 0xff) break;
    }
    stop.request_stop();
  });
  const auto begin = std::chrono::steady_clock::now();
  auto result = run_iperf3_test(server.client(), test, stop.get_token());
  while (!result && result.error().code == Errc::busy) result = run_iperf3_test(server.client(), test, stop.get_token());
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Errc::interrupted);
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
  watcher.join();
  auto next = run_iperf3_test(server.client(), a_test());
  while (!next && next.error().code == Errc::busy) next = run_iperf3_test(server.client(), a_test());
  CHECK(next.has_value());
}

TEST_CASE("our server, stopped in the middle of a test, tells its client", "[tuner][iperf3]") {
  OurServer server;
  Iperf3Test test = a_test();
  test.seconds = 60;
  std::optional<Result<Iperf3Result>> result;
  // The watcher below may have been first in the door.
  std::jthread client([&] {
    do result.emplace(run_iperf3_test(server.client(), test));
    while (!*result && result->error().code == Errc::busy);
  });
  for (;;) {
    const Fd fd = connected_to(server.port());
    std::array<Byte, 1> denied{};
    if (receive_all(fd.get(), denied, std::chrono::steady_clock::now() + 200ms) && denied[0] == 0xff) break;
  }
  static_cast<void>(server.end());
  client.join();
  REQUIRE(result);
  REQUIRE_FALSE(*result);
  CHECK_THAT(result->error().what, Contains("was stopped"));
}

TEST_CASE("garbage and half-open clients cost our server seconds, and it serves the next", "[tuner][iperf3]") {
  OurServer server;
  Random random(5);
  INFO("seed 5");
  std::string noise(5000, '\0');
  for (char& c : noise) c = static_cast<char>(random.below(256));
  const std::string cookie = std::string(36, 'c') + '\0';
  const auto with_length = [](std::string_view text) {
    Writer writer;
    writer.u32(static_cast<std::uint32_t>(text.size())).append(text);
    return std::string(as_text(writer.view()));
  };
  for (const std::string& junk :
       {noise, "GET / HTTP/1.1\r\n\r\n" + std::string(100, ' '), std::string(37, 'x'), cookie + noise,
        cookie + std::string("\xff\xff\xff\xff"), cookie + with_length("{}"), cookie + with_length("[1]"),
        cookie + with_length(R"({"tcp":true,"parallel":1000})"), cookie + with_length(std::string(8000, '[')),
        cookie + with_length(R"({"udp":true,"len":5})"), cookie + with_length(R"({"tcp":true,"udp":true})"),
        cookie + with_length(R"({"tcp":true,"time":1,"parallel":1})") + "\x04", std::string()}) {
    const Fd fd = connected_to(server.port());
    ::send(fd.get(), junk.data(), junk.size(), MSG_NOSIGNAL);
    ::shutdown(fd.get(), SHUT_WR);
    std::array<Byte, 100> sink{};
    const Instant deadline = std::chrono::steady_clock::now() + 8s;
    while (wait_for(fd.get(), POLLIN, deadline) && ::recv(fd.get(), sink.data(), sink.size(), 0) > 0) {
    }
    CHECK(std::chrono::steady_clock::now() < deadline);
  }
  const Fd silent = connected_to(server.port());  // says nothing, and stays
  auto result = run_iperf3_test(server.client(), a_test());
  const auto until = std::chrono::steady_clock::now() + 6s;
  while (!result && std::chrono::steady_clock::now() < until) result = run_iperf3_test(server.client(), a_test());
  if (!result) FAIL(result.error().text());
  CHECK(result.has_value());
}

TEST_CASE("over a line of 500 Mbit/s our client and our server agree with the stock pair within 2 %",
          "[tuner][iperf3][netns]") {
  if (::geteuid() != 0) FAIL("this test makes network namespaces: run it as root");
  require_iperf3();
  const auto must_run = [](const Argv& argv) {
    const auto output = run_checked(argv);
    if (!output) FAIL(output.error().text());
  };
  struct Spaces {
    ~Spaces() {
      for (const std::string& space : {near, far}) static_cast<void>(run_process({"ip", "netns", "del", space}));
    }
    const std::string near{"ltiperf-" + std::to_string(::getpid()) + "-a"};
    const std::string far{"ltiperf-" + std::to_string(::getpid()) + "-b"};
  } const spaces;
  must_run({"ip", "netns", "add", spaces.near});
  must_run({"ip", "netns", "add", spaces.far});
  must_run({"ip", "link", "add", "line", "netns", spaces.near, "type", "veth", "peer", "name", "line", "netns", spaces.far});
  for (const auto& [space, address] : {std::pair(spaces.near, "10.197.0.1/24"), std::pair(spaces.far, "10.197.0.2/24")}) {
    must_run({"ip", "-n", space, "address", "add", address, "dev", "line"});
    must_run({"ip", "-n", space, "link", "set", "line", "up"});
    must_run({"tc", "-n", space, "qdisc", "add", "dev", "line", "root", "tbf", "rate", "500mbit", "burst", "64kb", "latency", "20ms"});
  }
  const auto inside = [](const std::string& space) { return Argv{"ip", "netns", "exec", space}; };
  const StockServer stock(inside(spaces.far));
  OurServer ours(spaces.far, IpAddress::parse("10.197.0.2"));
  const bool is_complete = std::getenv("LINKTUNE_COMPLETE") != nullptr;
  const std::string seconds = is_complete ? "3" : "1";
  const auto stock_rate = [&](std::uint16_t port, bool is_up) {
    Argv words{"-t", seconds, "-O", "1", "-C", "cubic"};
    if (!is_up) words.emplace_back("-R");
    for (int tries = 0;; ++tries) {
      const Json result = stock_client(port, words, inside(spaces.near), "10.197.0.2");
      if (result.contains("error") && tries < 20) continue;
      REQUIRE_FALSE(result.contains("error"));
      return result["end"]["sum_received"]["bits_per_second"].get<double>() * 1e-6;
    }
  };
  const auto our_rate = [&](bool is_up) {
    Iperf3Test test = a_test(is_up ? Load::up : Load::down);
    test.seconds = is_complete ? 3 : 1;
    test.omit_seconds = 1;
    std::optional<Result<Iperf3Result>> result;
    std::jthread([&] {
      OurServer::enter(spaces.near);
      result.emplace(run_when_listening(stock.client("10.197.0.2"), test));
    }).join();
    if (!*result) FAIL(result->error().text());
    return megabits(is_up ? (**result).up : (**result).down);
  };
  for (const bool is_up : {true, false}) {
    if (!is_complete && !is_up) continue;
    std::array<std::vector<double>, 3> rates;  // stock pair, our client, our server
    std::array<double, 3> medians{};
    unsigned round = 0;
    const auto do_agree = [&] {
      return medians[1] == Approx(medians[0]).epsilon(0.02) && medians[2] == Approx(medians[0]).epsilon(0.02);
    };
    while (round < 5 && (is_complete || round == 0 || !do_agree())) {
      ++round;
      rates[0].push_back(stock_rate(stock.port(), is_up));
      rates[1].push_back(our_rate(is_up));
      rates[2].push_back(stock_rate(ours.port(), is_up));
      for (std::size_t i = 0; i < rates.size(); ++i) {
        std::sort(rates[i].begin(), rates[i].end());
        medians[i] = rates[i][rates[i].size() / 2];
      }
    }
    std::printf("iperf3 over 500 Mbit/s, %s, median of %u: stock pair %.1f, our client %.1f, our server %.1f Mbit/s\n",
                is_up ? "up" : "down", round, medians[0], medians[1], medians[2]);
    CHECK(medians[0] < 500);
    CHECK(medians[1] == Approx(medians[0]).epsilon(0.02));
    CHECK(medians[2] == Approx(medians[0]).epsilon(0.02));
  }
}

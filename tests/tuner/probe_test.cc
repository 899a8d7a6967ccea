// The probe over loopback: real sockets, real threads, short tests.
#include "tuner/probe.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <thread>

#include "tuner/probe_control.h"
#include "tuner/random.h"

using namespace lt;
using namespace lt::tuner;

namespace {

const IpAddress loopback = *IpAddress::parse("127.0.0.1");

ControlAddress any_control_port() {
  return {Endpoint{"127.0.0.1", 0}, {}};
}

// A server on a thread of its own, for the time of a test.
class RunningServer {
 public:
  explicit RunningServer(ProbeServerOptions options = {any_control_port(), {}, {}, false}) {
    auto created = ProbeServer::create(options, log_);
    REQUIRE(created);
    address_ = created->address();
    thread_ = std::jthread([server = std::move(*created)](const std::stop_token& stop) mutable {
      static_cast<void>(server.serve(stop));
    });
  }
  [[nodiscard]] ProbeClientOptions client() const { return {address_, {}, 5s}; }
  [[nodiscard]] const ControlAddress& address() const { return address_; }

 private:
  Log log_ = Log::silent();
  ControlAddress address_;
  std::jthread thread_;
};

ProbeRequest short_request(Load load) {
  ProbeRequest request;
  request.data = loopback;
  request.duration = 300ms;
  request.omit = 100ms;
  request.idle = 100ms;
  request.load = load;
  return request;
}

ControlLine connect_to(const RunningServer& server) {
  auto line = ControlLine::connect(server.address(), 5s);
  REQUIRE(line);
  return std::move(*line);
}

Json expect_line(ControlLine& line) {
  const auto said = line.read(5s);
  REQUIRE(said);
  REQUIRE(*said);
  return **said;
}

ControlLine greeted_line(const RunningServer& server) {
  ControlLine line = connect_to(server);
  REQUIRE(line.write({{"linktune_probe", 1}}));
  REQUIRE(expect_line(line).contains("boot_id"));
  return line;
}

}  // namespace

TEST_CASE("a test up measures the up direction, its latency, its loss and its cost",
          "[tuner][probe]") {
  const RunningServer server;
  const auto result = run_probe(server.client(), short_request(Load::up));
  REQUIRE(result);
  CHECK_FALSE(result->path_failure);
  REQUIRE(result->up);
  CHECK_FALSE(result->down);
  CHECK(result->up->goodput() > BitsPerSecond{100'000'000});
  CHECK(result->up->congestion == "cubic");
  CHECK(result->up->flows == 1);
  CHECK(result->up->flows_lost == 0);
  CHECK(result->up->series.size() == 4);
  CHECK(result->idle.sent == 20);
  CHECK(result->loaded.sent == 60);
  CHECK(result->loaded.returned == 60);
  CHECK(result->loaded.arrived == 60);
  CHECK(result->loaded.latency.us_p50 > 0);
  CHECK(result->loaded.latency.us_p50 <= result->loaded.latency.us_p99);
  CHECK(result->same_machine);
  CHECK(result->client_cpu.busy_seconds > 0);
  CHECK(result->cpu_seconds_per_gbit() > 0);
  CHECK(probe_result_from_json(to_json(*result)));
}

TEST_CASE("a test down and one both ways measure just these ways, with several flows",
          "[tuner][probe]") {
  const RunningServer server;
  ProbeRequest request = short_request(Load::down);
  request.flows = 3;
  const auto down = run_probe(server.client(), request);
  REQUIRE(down);
  CHECK_FALSE(down->up);
  REQUIRE(down->down);
  CHECK(down->down->flows == 3);
  CHECK(down->down->goodput() > BitsPerSecond{100'000'000});

  request.load = Load::both;
  request.congestion = "reno";
  const auto both = run_probe(server.client(), request);
  REQUIRE(both);
  REQUIRE(both->up);
  REQUIRE(both->down);
  CHECK(both->up->congestion == "reno");
  CHECK(both->down->congestion == "reno");
  CHECK(both->up->bytes.value > 0);
  CHECK(both->down->bytes.value > 0);
}

TEST_CASE("the series adds up to the bytes of the measured time when nothing is omitted",
          "[tuner][probe]") {
  const RunningServer server;
  ProbeRequest request = short_request(Load::up);
  request.omit = 0ms;
  const auto result = run_probe(server.client(), request);
  REQUIRE(result);
  std::uint64_t sum = 0;
  for (const std::uint64_t bytes : result->up->series)
    sum += bytes;
  CHECK(sum == result->up->bytes.value);
}

TEST_CASE("the control line may be a Unix socket, which only its owner may open",
          "[tuner][probe]") {
  const std::string path = std::string(LINKTUNE_BINARY_DIR) + "/probe_test.sock";
  ::unlink(path.c_str());
  {
    const RunningServer server({ControlAddress{std::nullopt, path}, {}, {}, false});
    CHECK(run_probe(server.client(), short_request(Load::up)));
    Log log = Log::silent();
    const auto second =
        ProbeServer::create({ControlAddress{std::nullopt, path}, {}, {}, false}, log);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Errc::busy);
  }
  CHECK(::access(path.c_str(), F_OK) != 0);
}

TEST_CASE("a second client is told that the server is busy, at once", "[tuner][probe]") {
  const RunningServer server;
  const ControlLine first = greeted_line(server);
  const auto start = std::chrono::steady_clock::now();
  const auto second = run_probe(server.client(), short_request(Load::up));
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::busy);
  CHECK(std::chrono::steady_clock::now() - start < 2s);
}

TEST_CASE("the server serves the next client after the first has gone", "[tuner][probe]") {
  const RunningServer server;
  { const ControlLine first = greeted_line(server); }
  // Until the server has noticed, it may still say busy.
  Result<ProbeResult> result = run_probe(server.client(), short_request(Load::up));
  for (int tries = 0; tries < 50 && !result && result.error().code == Errc::busy; ++tries) {
    result = run_probe(server.client(), short_request(Load::up));
  }
  CHECK(result);
}

TEST_CASE("a client without the token, or with another, is refused", "[tuner][probe]") {
  const ProbeToken token = ProbeToken::random();
  const RunningServer server({any_control_port(), token, {}, false});
  ProbeClientOptions client = server.client();
  auto refused = run_probe(client, short_request(Load::up));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::not_permitted);
  client.token = ProbeToken::random();
  refused = run_probe(client, short_request(Load::up));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::not_permitted);
  client.token = token;
  CHECK(run_probe(client, short_request(Load::up)));
}

TEST_CASE("a server bound to one data address tests on no other", "[tuner][probe]") {
  const RunningServer server({any_control_port(), {}, IpAddress::parse("127.0.0.2"), false});
  ProbeRequest request = short_request(Load::up);
  const auto refused = run_probe(server.client(), request);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::rejected);
  request.data = *IpAddress::parse("127.0.0.2");
  // The server may be about to let go of the one that it has refused.
  auto measured = run_probe(server.client(), request);
  for (int i = 0; i < 50 && !measured && measured.error().code == Errc::busy; ++i) measured = run_probe(server.client(), request);
  INFO((measured ? std::string() : measured.error().text()));
  CHECK(measured);
}

TEST_CASE("a data address that the server does not have is the path's failure, with a sentence",
          "[tuner][probe]") {
  const RunningServer server;
  ProbeRequest request = short_request(Load::up);
  request.data = *IpAddress::parse("192.0.2.1");
  const auto result = run_probe(server.client(), request);
  REQUIRE(result);
  REQUIRE(result->path_failure);
  CHECK(result->path_failure->code == Errc::not_found);
  CHECK(result->path_failure->what.find("192.0.2.1") != std::string::npos);
}

TEST_CASE("a congestion control that is not there is refused with the cure", "[tuner][probe]") {
  const RunningServer server;
  ProbeRequest request = short_request(Load::up);
  request.congestion = "nosuchcc";
  const auto refused = run_probe(server.client(), request);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::unsupported);
  CHECK(refused.error().what.find("at the server") != std::string::npos);
  CHECK(refused.error().what.find("choose one of") != std::string::npos);
}

TEST_CASE("no server is an error at once", "[tuner][probe]") {
  std::uint16_t port = 0;
  {
    Log log = Log::silent();
    port = ProbeServer::create({any_control_port(), {}, {}, false}, log)->address().tcp->port;
  }
  const auto result =
      run_probe({{Endpoint{"127.0.0.1", port}, {}}, {}, 5s}, short_request(Load::up));
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Errc::unreachable);
}

TEST_CASE("a control port that is taken is named", "[tuner][probe]") {
  Log log = Log::silent();
  const auto first = ProbeServer::create({any_control_port(), {}, {}, false}, log);
  REQUIRE(first);
  const auto second = ProbeServer::create({first->address(), {}, {}, false}, log);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::busy);
}

TEST_CASE("a server that goes silent in the middle ends the test in seconds", "[tuner][probe]") {
  auto listener = ControlListener::listen(any_control_port());
  REQUIRE(listener);
  std::jthread half_a_server([&](const std::stop_token& stop) {
    auto line = listener->accept(5s);
    if (!line || !*line) return;
    static_cast<void>((*line)->read(5s));
    static_cast<void>((*line)->write({{"linktune_probe", 1}, {"boot_id", "x"}, {"kernel", "y"}}));
    while (!stop.stop_requested())
      static_cast<void>((*line)->read(20ms));
  });
  const auto start = std::chrono::steady_clock::now();
  const auto result = run_probe({listener->address(), {}, 5s}, short_request(Load::up));
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Errc::timed_out);
  CHECK(std::chrono::steady_clock::now() - start < silence_max + 2s);
}

TEST_CASE("a server that hangs up in the middle ends the test at once", "[tuner][probe]") {
  auto listener = ControlListener::listen(any_control_port());
  REQUIRE(listener);
  std::jthread half_a_server([&] {
    auto line = listener->accept(5s);
    if (line && *line) static_cast<void>((*line)->read(5s));
  });
  const auto result = run_probe({listener->address(), {}, 5s}, short_request(Load::up));
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Errc::closed);
}

TEST_CASE("a client that goes silent in the middle of a test frees the server in seconds",
          "[tuner][probe]") {
  const RunningServer server;
  ControlLine silent = greeted_line(server);
  REQUIRE(silent.write({{"plan", to_json(short_request(Load::up))}}));
  REQUIRE(expect_line(silent).contains("ports"));
  const auto start = std::chrono::steady_clock::now();
  Result<ProbeResult> result = run_probe(server.client(), short_request(Load::up));
  while (!result && result.error().code == Errc::busy &&
         std::chrono::steady_clock::now() - start < silence_max + 3s) {
    std::this_thread::yield();
    result = run_probe(server.client(), short_request(Load::up));
  }
  CHECK(result);
}

TEST_CASE("a stop request ends a test within a second", "[tuner][probe]") {
  const RunningServer server;
  ProbeRequest request = short_request(Load::both);
  request.duration = 60s;
  std::stop_source stop;
  std::jthread watcher([&] {
    // Asks to stop once the load is on: the server then says busy to others.
    for (;;) {
      auto line = ControlLine::connect(server.address(), 5s);
      if (!line || !line->write({{"linktune_probe", 1}})) continue;
      const auto said = line->read(5s);
      if (said && *said && (*said)->contains("error")) break;
    }
    stop.request_stop();
  });
  const auto start = std::chrono::steady_clock::now();
  auto result = run_probe(server.client(), request, stop.get_token());
  // The watcher may have been first in the door once.
  while (!result && result.error().code == Errc::busy)
    result = run_probe(server.client(), request, stop.get_token());
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Errc::interrupted);
  CHECK(std::chrono::steady_clock::now() - start < 5s);
}

TEST_CASE("junk on the control line ends that client, and the server lives on", "[tuner][probe]") {
  const RunningServer server;
  const auto send_raw = [&](std::string_view bytes) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server.address().tcp->port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const auto count = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) break;
      sent += static_cast<std::size_t>(count);
    }
    char sink[256];
    while (::recv(fd, sink, sizeof sink, 0) > 0) {
    }
    ::close(fd);
  };
  Random random(99);
  std::string noise(2000, '\0');
  for (char& c : noise)
    c = static_cast<char>(random.below(256));
  const std::string hello = "{\"linktune_probe\":1}\n";
  for (const std::string& junk :
       {noise + "\n", std::string("GET / HTTP/1.1\r\n\r\n"), std::string("{}\n"),
        std::string("[1,2]\n"), std::string("null\n"), std::string("{\"linktune_probe\":2}\n"),
        std::string("{\"linktune_probe\":\"1\"}\n"), std::string(1 << 20, 'x'),
        std::string(200'000, '['), hello + "{\"go\":true}\n", hello + "{\"finish\":true}\n",
        hello + "{\"plan\":7}\n", hello + "{\"plan\":{\"data\":\"127.0.0.1\"}}\n",
        hello + std::string(8000, '{') + "\n", hello + noise + "\n"}) {
    send_raw(junk);
  }
  Result<ProbeResult> result = run_probe(server.client(), short_request(Load::up));
  for (int tries = 0; tries < 50 && !result && result.error().code == Errc::busy; ++tries) {
    result = run_probe(server.client(), short_request(Load::up));
  }
  CHECK(result);
}

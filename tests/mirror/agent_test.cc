// An agent and its clients over loopback, with a path between them that breaks.
#include "mirror/agent.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <mutex>
#include <random>
#include <thread>

#include "app/scratch_folder.h"
#include "base/text.h"
#include "mirror/remote.h"
#include "tests/require.h"

using namespace lt;
using namespace lt::mirror;
using namespace std::chrono_literals;

namespace {

const IpAddress loopback = *IpAddress::parse("127.0.0.1");
constexpr std::size_t window = window_bytes_min;

// A stand-in for Ed25519: whoever knows `key` signs. What it does to a text depends on each byte of it.
Signature keyed(ByteView text, Byte key) {
  Signature signature{};
  std::uint64_t state = 1469598103934665603ULL + key;
  for (std::size_t i = 0; i < text.size() + signature.size(); ++i) {
    state = (state ^ (i < text.size() ? text[i] : i)) * 1099511628211ULL;
    if (i >= text.size()) signature[i - text.size()] = static_cast<Byte>(state >> 32);
  }
  return signature;
}
Identification site(Byte own, Byte peer) {
  return {.sign = [own](ByteView text) -> Result<Signature> { return keyed(text, own); },
          .is_peer = [peer](ByteView text, const Signature& signature) { return keyed(text, peer) == signature; }};
}

Fd listener_on(std::uint16_t& port) {
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(socket.get(), 16) == 0);
  socklen_t length = sizeof address;
  REQUIRE(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  port = ntohs(address.sin_port);
  return socket;
}
std::uint16_t free_port() {
  std::uint16_t port = 0;
  const Fd socket = listener_on(port);
  return port;
}

// An agent in a thread of its own, and what it says.
struct Serving {
  explicit Serving(AllowRules rules = {}, Milliseconds reset_hold = Milliseconds(8000)) : port(free_port()) {
    ::signal(SIGPIPE, SIG_IGN);
    AgentOptions options{.own = loopback, .peer = loopback, .port = port, .identification = site(2, 1)};
    options.reset_hold = reset_hold;
    options.window_max = window;
    options.services.rules = std::move(rules);
    options.services.on_event = [this](const AgentEvent& event) {
      const std::lock_guard lock(mutex);
      events.push_back(event);
    };
    options.services.requests["cat"] = [](std::string_view) -> Result<Pipeline> { return Pipeline{PipelineStage{{"cat"}}, PipelineStage{{"cat"}}}; };
    options.services.requests["list"] = [](std::string_view path) -> Result<Pipeline> { return Pipeline{PipelineStage{{"ls", std::string(path)}}}; };
    options.services.requests["sleep"] = [](std::string_view) -> Result<Pipeline> { return Pipeline{PipelineStage{{"sleep", "600"}}}; };
    options.services.requests["flood"] = [](std::string_view) -> Result<Pipeline> { return Pipeline{PipelineStage{{"cat", "/dev/zero"}}}; };
    options.services.requests["no"] = [](std::string_view) -> Result<Pipeline> { return fail(Errc::rejected, "not today"); };
    auto agent = std::make_shared<Agent>(require(Agent::create(std::move(options))));
    thread = std::jthread([agent](std::stop_token stop) { static_cast<void>(agent->run(stop)); });
  }
  [[nodiscard]] RemoteOptions client(std::uint16_t at = 0) const {
    return {.own = loopback, .peer = loopback, .port = at == 0 ? port : at, .identification = site(1, 2), .window = window, .patience = Seconds(3)};
  }
  [[nodiscard]] std::size_t count(AgentEvent::Kind kind, std::string_view text = "") {
    const std::lock_guard lock(mutex);
    return static_cast<std::size_t>(std::count_if(events.begin(), events.end(), [&](const AgentEvent& event) {
      return event.kind == kind && event.text.find(text) != std::string::npos;
    }));
  }

  std::uint16_t port;
  std::mutex mutex;  // of events: the agent's thread writes, the test reads
  std::vector<AgentEvent> events;
  std::jthread thread;
};

// A path that breaks after a seeded number of bytes, `breaks` times: as a lost path does, by a reset, or as
// a killed program does, which closes and leaves the reset to its kernel.
class BreakingPath {
 public:
  enum class As { lost_path, killed_program };
  BreakingPath(std::uint16_t to, unsigned breaks, std::uint64_t seed, As as = As::lost_path) : as_(as), to_(to), breaks_left_(breaks), random_(seed), listener_(listener_on(port)) {
    thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
  }
  std::uint16_t port{0};
  std::atomic<unsigned> broken{0};

 private:
  void run(std::stop_token stop) {
    while (!stop.stop_requested()) {
      pollfd ready{listener_.get(), POLLIN, 0};
      if (::poll(&ready, 1, 20) <= 0) continue;
      const Fd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      const Fd agent(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      address.sin_port = htons(to_);
      if (::connect(agent.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return;
      carry(client, agent, stop);
    }
  }
  void carry(const Fd& client, const Fd& agent, std::stop_token stop) {
    std::uint64_t left = breaks_left_ > 0 ? 1000 + random_() % 1'500'000 : ~std::uint64_t{0};
    std::vector<char> bytes(64 << 10);
    while (!stop.stop_requested()) {
      pollfd ready[2]{{client.get(), POLLIN, 0}, {agent.get(), POLLIN, 0}};
      if (::poll(ready, 2, 20) <= 0) continue;
      for (int i = 0; i < 2; ++i) {
        if (ready[i].revents == 0 || left == 0) continue;
        const ssize_t count = ::recv(ready[i].fd, bytes.data(), std::min<std::uint64_t>(bytes.size(), left), 0);
        if (count <= 0) return;
        for (ssize_t done = 0; done < count;) {
          const ssize_t sent = ::send(ready[1 - i].fd, bytes.data() + done, static_cast<std::size_t>(count - done), MSG_NOSIGNAL);
          if (sent <= 0) return;
          done += sent;
        }
        left -= static_cast<std::uint64_t>(count);
      }
      if (left > 0) continue;
      const linger at_once{.l_onoff = 1, .l_linger = 0};
      if (as_ == As::killed_program) ::shutdown(agent.get(), SHUT_WR);
      ::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      ::setsockopt(agent.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      --breaks_left_;
      ++broken;
      return;
    }
  }

  As as_;
  std::uint16_t to_;
  unsigned breaks_left_;
  std::mt19937_64 random_;
  Fd listener_;
  std::jthread thread_;
};

template <class Condition>
bool comes_true(Condition condition) {
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

// A `zfs` first on PATH that writes down what it is told, and lists what the file `list` holds.
class NotingZfs {
 public:
  NotingZfs() : path_(std::getenv("PATH")) {
    const std::string own = folder.path();
    require(write_file(own + "/zfs",
                       "#!/bin/sh\necho \"$*\" >>" + own + "/said\n"
                       "case \"$1\" in\n"
                       "  list) test -e " + own + "/hangs && exec sleep 600; cat " + own + "/list;;\n"
                       "  rollback) test -e " + own + "/busy && { echo \"cannot rollback to '$2': dataset is busy\" >&2; exit 1; };;\n"
                       "  receive) cat >" + own + "/received;;\n"
                       "esac\n",
                       0755));
    ::setenv("PATH", (own + ":" + path_).c_str(), 1);
  }
  ~NotingZfs() { ::setenv("PATH", path_.c_str(), 1); }

  void put(const std::string& name, const std::string& text) const { require(write_file(folder.path() + "/" + name, text, 0600)); }
  [[nodiscard]] std::string text_of(const std::string& name) const { return read_file(folder.path() + "/" + name, 16 << 20).value_or(std::string()); }

  app::ScratchFolder folder{require(app::ScratchFolder::create("agent"))};

 private:
  std::string path_;
};

const std::string rewind_question = "list -H -d 1 -t snapshot -o name -s createtxg tank/backup/a\n";

}  // namespace

TEST_CASE("both ways come through whole over a path that breaks, and little is sent again", "[mirror][agent]") {
  const auto seed = GENERATE(1U, 2U, 3U);
  INFO("seed " << seed);
  Serving agent;
  BreakingPath path(agent.port, 4, seed);
  std::mt19937_64 random(seed);
  std::string text(9'000'000, '\0');
  for (char& c : text) c = static_cast<char>(random());
  const auto answer = require(ask_remote(agent.client(path.port), RemoteRequest::typed("cat", ""), text, text.size() + 1, {}));
  std::string said;
  for (const AgentEvent& event : agent.events) said += std::to_string(static_cast<int>(event.kind)) + " " + event.text + "\n";
  INFO(said);
  CHECK(answer.exit_status == 0);
  CHECK(answer.errors.empty());
  CHECK((answer.out == text));
  CHECK(path.broken == 4);
  CHECK(agent.count(AgentEvent::Kind::started) == 1);
  CHECK(agent.count(AgentEvent::Kind::attached) == 5);
}

TEST_CASE("output, errors and exit status are the command's own", "[mirror][agent]") {
  Serving agent;
  const auto good = require(ask_remote(agent.client(), RemoteRequest::typed("list", "/proc/self/status"), "", 1000, {}));
  CHECK(good.exit_status == 0);
  CHECK(good.out == "/proc/self/status\n");
  const auto bad = require(ask_remote(agent.client(), RemoteRequest::typed("list", "/nowhere at all"), "ignored", 1000, {}));
  CHECK(bad.exit_status == 2);
  CHECK(bad.out.empty());
  CHECK(bad.errors.find("/nowhere at all") != std::string::npos);
}

TEST_CASE("a refused command runs nothing, says why, and is told to the log", "[mirror][agent]") {
  Serving agent({.receive = {{.dataset = "tank/backup"}}, .read = {}});
  const std::string trace = "/tmp/linktune-refused-" + std::to_string(::getpid());
  for (const std::string& text : {"touch " + trace, std::string("zfs receive tank/other"), "echo -n; touch " + trace, "zfs get name 'tank/backup$(touch " + trace + ")'"}) {
    INFO(text);
    const auto answer = require(ask_remote(agent.client(), RemoteRequest::command(text), "", 1000, {}));
    CHECK(answer.exit_status == refused_status);
    CHECK(answer.out.empty());
    CHECK(answer.errors.find("refused") != std::string::npos);
  }
  CHECK(::access(trace.c_str(), F_OK) != 0);
  CHECK(agent.count(AgentEvent::Kind::refused) == 4);
  CHECK(agent.count(AgentEvent::Kind::started) == 0);
}

TEST_CASE("what the agent answers by itself needs no child", "[mirror][agent]") {
  Serving agent({.receive = {{.dataset = "tank/of-" + std::to_string(::getpid())}}, .read = {}});
  const auto ask = [&](const std::string& text) { return require(ask_remote(agent.client(), RemoteRequest::command(text), "", 1000, {})); };
  CHECK(ask("echo -n").exit_status == 0);
  CHECK(ask("ps -Ao args=").out.empty());
  CHECK(ask("command -v gzip").out.find("gzip") != std::string::npos);
}

TEST_CASE("an unknown request, and one that its handler refuses, run nothing", "[mirror][agent]") {
  Serving agent;
  CHECK(require(ask_remote(agent.client(), RemoteRequest::typed("shell", ""), "", 1000, {})).exit_status == refused_status);
  const auto no = require(ask_remote(agent.client(), RemoteRequest::typed("no", ""), "", 1000, {}));
  CHECK(no.exit_status == refused_status);
  CHECK(no.errors.find("not today") != std::string::npos);
  CHECK(agent.count(AgentEvent::Kind::started) == 0);
}

TEST_CASE("who has another key is neither served nor believed", "[mirror][agent]") {
  Serving agent;
  auto options = agent.client();
  options.identification = site(1, 3);  // we take the agent for a stranger
  const auto stranger = ask_remote(options, RemoteRequest::command("echo -n"), "", 1000, {});
  REQUIRE_FALSE(stranger);
  CHECK(stranger.error().code == Errc::rejected);
  options.identification = site(3, 2);  // the agent takes us for one
  options.patience = Seconds(1);
  const auto unknown = ask_remote(options, RemoteRequest::command("echo -n"), "", 1000, {});
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().code == Errc::unreachable);
  CHECK(agent.count(AgentEvent::Kind::attached) == 0);
  CHECK(agent.count(AgentEvent::Kind::stranger) > 0);
  CHECK(require(ask_remote(agent.client(), RemoteRequest::command("echo -n"), "", 1000, {})).exit_status == 0);
}

TEST_CASE("windows that do not fit are refused with the cure", "[mirror][agent]") {
  Serving agent;
  auto options = agent.client();
  options.window = 2 * window;
  const auto refused = ask_remote(options, RemoteRequest::command("echo -n"), "", 1000, {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().what.find("set the same mirror.window at both sites") != std::string::npos);
  options.window = window - 1;
  CHECK(ask_remote(options, RemoteRequest::command("echo -n"), "", 1000, {}).error().code == Errc::invalid);
}

TEST_CASE("noise at the agent's door does not disturb who is inside", "[mirror][agent]") {
  Serving agent;
  std::mt19937_64 random(7);
  for (unsigned i = 0; i < 30; ++i) {
    const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(agent.port);
    REQUIRE(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    std::string noise(random() % 3000, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    static_cast<void>(::send(socket.get(), noise.data(), noise.size(), MSG_NOSIGNAL));
  }
  CHECK(require(ask_remote(agent.client(), RemoteRequest::typed("cat", ""), "still here", 1000, {})).out == "still here");
}

TEST_CASE("a client that is interrupted leaves no child behind", "[mirror][agent]") {
  Serving agent;
  std::stop_source stop;
  std::jthread asking([&] {
    const auto answer = ask_remote(agent.client(), RemoteRequest::typed("sleep", ""), "", 1000, stop.get_token());
    CHECK_FALSE(answer);
  });
  REQUIRE(comes_true([&] { return agent.count(AgentEvent::Kind::started) == 1; }));
  stop.request_stop();
  asking.join();
  CHECK(comes_true([&] { return agent.count(AgentEvent::Kind::lost) == 1; }));
}

TEST_CASE("what is pulled goes at the rate that the client tells, over a new connection too", "[mirror][agent]") {
  Serving agent;
  BreakingPath path(agent.port, 1, 3);
  Meter meter = require(Meter::create("/tmp/linktune-pull-" + std::to_string(::getpid())));
  constexpr double rate = 16e6;  // (unit: bit/s)
  meter.set_rate(BitsPerSecond{static_cast<std::uint64_t>(rate)});
  auto options = agent.client(path.port);
  options.meter = &meter;
  auto request = RemoteRequest::typed("flood", "");
  request.is_stream = true;
  const Fd nowhere(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  const auto begin = std::chrono::steady_clock::now();
  std::jthread pulling([&](std::stop_token stop) { static_cast<void>(run_remote(options, request, {-1, nowhere.get(), -1}, stop)); });
  const auto received = [&] { return meter.read().received.value; };
  REQUIRE(comes_true([&] { return received() > 2'000'000; }));
  const auto had = static_cast<double>(received());
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  CHECK(had <= 1.05 * rate / 8 * seconds + 65536);
  CHECK(path.broken == 1);
  meter.set_rate(std::nullopt);
  CHECK(comes_true([&] { return received() > 20'000'000; }));
}

TEST_CASE("a client that dies in the middle of what the agent says leaves no child behind", "[mirror][agent]") {
  const auto as = GENERATE(BreakingPath::As::lost_path, BreakingPath::As::killed_program);
  INFO((as == BreakingPath::As::lost_path ? "reset" : "closed, then reset"));
  Serving agent({}, 50ms);
  // Whether the agent's reading or its writing meets the end is chance: often enough to have met both.
  constexpr std::size_t clients = 12;
  for (std::size_t i = 0; i < clients; ++i) {
    BreakingPath path(agent.port, 1, i + 1, as);
    auto options = agent.client(path.port);
    options.hold = Seconds(0);
    CHECK_FALSE(ask_remote(options, RemoteRequest::typed("flood", ""), "", 1 << 30, {}));
  }
  CHECK(agent.count(AgentEvent::Kind::started) == clients);
  CHECK(comes_true([&] { return agent.count(AgentEvent::Kind::lost, "what it ran is ended") == clients; }));
}

TEST_CASE("a forced receive into an append-only tree goes back to the newest snapshot first, and gets its whole stream", "[mirror][agent]") {
  const NotingZfs zfs;
  zfs.put("list", "tank/backup/a@one\ntank/backup/a@two\n");
  Serving agent({.receive = {{.dataset = "tank/backup"}}, .read = {}});
  std::mt19937_64 random(9);
  std::string stream(3 * window, '\0');  // more than the pipe holds while ZFS goes back
  for (char& c : stream) c = static_cast<char>(random());
  const auto answer = require(ask_remote(agent.client(), RemoteRequest::command("zfs receive -s -F 'tank/backup/a' 2>&1"), stream, 1000, {}));
  CHECK(answer.exit_status == 0);
  CHECK(answer.out.empty());
  CHECK(answer.errors.empty());
  CHECK(zfs.text_of("said") == rewind_question + "rollback tank/backup/a@two\nreceive -s tank/backup/a\n");
  CHECK((zfs.text_of("received") == stream));
}

TEST_CASE("a forced receive is begun where there is no way back, and what kept ZFS from going is told", "[mirror][agent]") {
  const NotingZfs zfs;
  Serving agent({.receive = {{.dataset = "tank/backup"}}, .read = {}});
  const auto receive = [&] { return require(ask_remote(agent.client(), RemoteRequest::command("zfs receive -F 'tank/backup/a'"), "stream", 1000, {})); };
  SECTION("no such dataset yet") {
    const auto answer = receive();
    CHECK(answer.exit_status == 0);
    CHECK(answer.errors.empty());
    CHECK(zfs.text_of("said") == rewind_question + "receive tank/backup/a\n");
  }
  SECTION("the dataset is busy") {
    zfs.put("list", "tank/backup/a@one\n");
    zfs.put("busy", "");
    const auto answer = receive();
    CHECK(answer.exit_status == 0);
    CHECK(answer.errors == "cannot rollback to 'tank/backup/a@one': dataset is busy\n");
    CHECK(zfs.text_of("said") == rewind_question + "rollback tank/backup/a@one\nreceive tank/backup/a\n");
  }
  CHECK(zfs.text_of("received") == "stream");
}

TEST_CASE("where snapshots may be destroyed a forced receive is ZFS's own", "[mirror][agent]") {
  const NotingZfs zfs;
  Serving agent({.receive = {{.dataset = "tank/loose", .append_only = false}}, .read = {}});
  CHECK(require(ask_remote(agent.client(), RemoteRequest::command("zfs receive -F 'tank/loose/a'"), "stream", 1000, {})).exit_status == 0);
  CHECK(zfs.text_of("said") == "receive -F tank/loose/a\n");
}

TEST_CASE("a client that goes while ZFS is asked for the way back leaves no receive behind", "[mirror][agent]") {
  const NotingZfs zfs;
  zfs.put("list", "tank/backup/a@one\n");
  zfs.put("hangs", "");
  Serving agent({.receive = {{.dataset = "tank/backup"}}, .read = {}});
  std::stop_source stop;
  std::jthread asking([&] { CHECK_FALSE(ask_remote(agent.client(), RemoteRequest::command("zfs receive -F 'tank/backup/a'"), "stream", 1000, stop.get_token())); });
  REQUIRE(comes_true([&] { return zfs.text_of("said") == rewind_question; }));
  stop.request_stop();
  asking.join();
  REQUIRE(comes_true([&] { return agent.count(AgentEvent::Kind::lost) == 1; }));
  for (int i = 0; i < 20; ++i) CHECK(require(ask_remote(agent.client(), RemoteRequest::command("echo -n"), "", 1000, {})).exit_status == 0);
  CHECK(zfs.text_of("said") == rewind_question);
}

TEST_CASE("where no agent answers, the sentence names the cure", "[mirror][agent]") {
  Serving agent;
  auto options = agent.client(free_port());
  options.patience = Seconds(1);
  const auto nobody = ask_remote(options, RemoteRequest::command("echo -n"), "", 1000, {});
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error().code == Errc::unreachable);
  CHECK(nobody.error().what.find("linktune mirror agent") != std::string::npos);
}

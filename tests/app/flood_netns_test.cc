// A flood of strangers from ever new addresses against a link that carries traffic: what it costs the traffic, and how soon
// the true peer gets in beside it.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <deque>
#include <random>

#include "app/iperf3.h"
#include "lab/netns.h"
#include "tests/app/link_sites.h"

using namespace lt;
using namespace lt::app;
using namespace lt::app::test;

namespace {

constexpr double calls_per_second = 2000;
constexpr auto stay = 1500ms;  // as long as a stranger stays, if he is let

// Calls the office's port from any address of 10.99.0.0/16. A third says nothing, a third HTTP, a third a false knock.
class Flood {
 public:
  explicit Flood(const Sites& sites) {
    rlimit limit{8192, 8192};
    ::setrlimit(RLIMIT_NOFILE, &limit);
    const auto& topology = sites.sandbox.topology();
    require(run_checked(sites.sandbox.exec(lab::Host::office_lan, {"ip", "route", "replace", "local", "10.99.0.0/16", "dev", "lo"})));
    require(run_checked(sites.sandbox.exec(lab::Host::office_gw, {"ip", "route", "replace", "10.99.0.0/16", "via", topology.office.lan_host_v4.address.text()})));
    target_.sin_family = AF_INET;
    target_.sin_port = htons(5198);
    ::inet_pton(AF_INET, topology.office.gateway_v4.address.text().c_str(), &target_.sin_addr);
    caller_ = std::thread([this, name_space = topology.namespace_of(lab::Host::office_lan)] {
      static_cast<void>(lab::run_inside(name_space, [this]() -> Status {
        run();
        return {};
      }));
    });
  }
  ~Flood() {
    stopping_ = true;
    caller_.join();
  }
  [[nodiscard]] unsigned calls() const { return calls_; }
  [[nodiscard]] unsigned answered_bytes() const { return answered_; }

 private:
  struct Stranger {
    Fd socket;
    Instant until;
    bool has_spoken{false};
  };
  void run() {
    std::mt19937_64 random(seed);
    std::deque<Stranger> strangers;
    const Instant begin = std::chrono::steady_clock::now();
    while (!stopping_) {
      const Instant now = std::chrono::steady_clock::now();
      while (calls_ < calls_per_second * std::chrono::duration<double>(now - begin).count()) call(strangers, random, now);
      for (Stranger& stranger : strangers) {
        if (stranger.has_spoken || stranger.until - now > stay - 20ms) continue;
        speak(stranger, random);
      }
      while (!strangers.empty() && now >= strangers.front().until) {
        std::array<Byte, 256> bytes;
        const auto got = ::recv(strangers.front().socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (got > 0) answered_ += static_cast<unsigned>(got);
        strangers.pop_front();
      }
      std::this_thread::sleep_for(2ms);  // the pace of the flood
    }
  }
  void call(std::deque<Stranger>& strangers, std::mt19937_64& random, Instant now) {
    ++calls_;
    Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket.is_open()) return;
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
    sockaddr_in source{};
    source.sin_family = AF_INET;
    source.sin_addr.s_addr = htonl((10U << 24) | (99U << 16) | static_cast<std::uint32_t>(1 + random() % 65533));
    ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&source), sizeof source);
    ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&target_), sizeof target_);
    strangers.push_back({std::move(socket), now + stay});
  }
  static void speak(Stranger& stranger, std::mt19937_64& random) {
    stranger.has_spoken = true;
    std::array<Byte, 40> knock{'L', 'T', '1', 0};
    for (std::size_t i = 8; i < knock.size(); ++i) knock[i] = static_cast<Byte>(random());
    const std::string_view http = "GET / HTTP/1.1\r\nHost: office\r\n\r\n";
    const auto kind = random() % 3;
    if (kind == 1) [[maybe_unused]] const auto sent = ::send(stranger.socket.get(), http.data(), http.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (kind == 2) [[maybe_unused]] const auto sent = ::send(stranger.socket.get(), knock.data(), knock.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  sockaddr_in target_{};
  std::atomic<bool> stopping_{false};
  std::atomic<unsigned> calls_{0};
  std::atomic<unsigned> answered_{0};
  std::thread caller_;
};

// From a killed off-site daemon's next start, once its sandbox has closed, to a link that is up.
double time_to_return(Sites& sites) {
  sites.offsite.signal(SIGKILL);
  REQUIRE(sites.offsite.wait(5s));
  sites.offsite = sites.start(lab::Host::offsite_gw, sites.files.offsite.config_path, "offsite.log");
  REQUIRE(comes_true([&] { return sites.log("offsite.log").find("sandboxed") != std::string::npos || sites.state("offsite") != "no daemon"; }, 5s));
  const auto called = std::chrono::steady_clock::now();
  REQUIRE(comes_true([&] { return sites.state("offsite") == "up"; }, 15s));
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - called).count();
}

}  // namespace

TEST_CASE("two thousand strangers a second are not answered, and the true peer gets in beside them", "[app][hardening][netns][A-3][R22]") {
  Sites sites("lan", "flood");
  sites.start_both();
  sites.wait_until_up();
  const Flood flood(sites);
  REQUIRE(comes_true([&] { return flood.calls() > 3000; }, 10s));
  CHECK(sites.state("office") == "up");
  const int before = sites.status("office")["strangers"].get<int>();
  for (int i = 0; i < 3; ++i) time_to_return(sites);
  CHECK(sites.ping(offsite_v4));
  CHECK(sites.status("office")["strangers"].get<int>() > before);
  CHECK(flood.answered_bytes() == 0);
}

TEST_CASE("a flood of strangers does not keep the true peer out for a second", "[.figures][app][hardening][netns][A-3]") {
  Sites sites("lan", "flood");
  sites.start_both();
  sites.wait_until_up();
  std::vector<double> calm_ms;
  std::vector<double> flooded_ms;
  for (int i = 0; i < 10; ++i) {  // turn about: what else the machine does falls on both alike
    calm_ms.push_back(time_to_return(sites));
    const Flood flood(sites);
    REQUIRE(comes_true([&] { return flood.calls() > 1000; }, 10s));
    flooded_ms.push_back(time_to_return(sites));
    CHECK(flood.answered_bytes() == 0);
  }
  std::sort(calm_ms.begin(), calm_ms.end());
  std::sort(flooded_ms.begin(), flooded_ms.end());
  std::printf("the true peer was up again, of 10 in turn: calm median %.0f ms, slowest %.0f ms; under 2000 strangers a second median %.0f ms, slowest %.0f ms\n",
              calm_ms[5], calm_ms.back(), flooded_ms[5], flooded_ms.back());
  CHECK(flooded_ms.back() < 1000);
}

TEST_CASE("a flood of strangers takes little of the traffic", "[app][hardening][netns][A-3]") {
  const char* const wanted = std::getenv("LINKTUNE_FLOOD_SECONDS");
  const unsigned seconds = wanted == nullptr ? 1 : static_cast<unsigned>(std::atoi(wanted));
  const unsigned pairs = wanted == nullptr ? 1 : 7;
  // A line of 500 Mbit/s, and one without a limit, where each cycle that strangers take is missing.
  const std::string rate = GENERATE(values<std::string>({"rate=500mbit", "rate=unlimited"}));
  if (wanted == nullptr && rate == "rate=unlimited") return;  // says something only alone on the machine
  Sites sites("lan", "flood");
  if (rate != "rate=unlimited") require(sites.sandbox.set_wan(lab::all_directions, {rate}));
  sites.start_both();
  sites.wait_until_up();
  const auto server = require(Iperf3Server::start(sites.sandbox, lab::Host::offsite_lan));
  const auto measure = [&] {
    return require(run_iperf3(sites.sandbox, lab::Host::office_lan, *IpAddress::parse(offsite_v4), {.seconds = seconds, .flows = 4})).goodput.value;
  };
  double calm = 0;
  std::vector<double> losses;
  for (unsigned i = 0; i < pairs; ++i) {  // turn about: what else the machine does falls on both alike
    const double before = static_cast<double>(measure());
    const Flood flood(sites);
    REQUIRE(comes_true([&] { return flood.calls() > 1000; }, 10s));
    losses.push_back(1 - static_cast<double>(measure()) / before);
    CHECK(flood.answered_bytes() == 0);
    calm += before / pairs;
  }
  std::sort(losses.begin(), losses.end());
  const double loss = losses[losses.size() / 2];
  if (wanted != nullptr) {
    std::printf("%s: %.1f Mbit/s calm; 2000 strangers a second take %.1f %% of it, the median of %u pairs from %.1f to %.1f %%\n", rate.c_str(), calm / 1e6,
                100 * loss, pairs, 100 * losses.front(), 100 * losses.back());
  }
  CHECK(loss < (wanted == nullptr ? 0.8 : rate == "rate=unlimited" ? 0.2 : 0.1));
}

// What holds while the link runs, tried on both daemons as users run them, in a lab: no privilege and no way to one,
// nothing in clear, what is removed put back, and reconnects that work long after the sandbox has closed.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <random>

#include "base/defer.h"
#include "lab/netns.h"
#include "tests/app/name_server.h"
#include "tests/app/link_sites.h"
#include "tests/hostile/completeness.h"

using namespace lt;
using namespace lt::app;
using namespace lt::app::test;

namespace {

// Lines "Key:\tvalue" of every thread of a process.
std::vector<std::string> values_of(pid_t pid, const std::string& key) {
  std::vector<std::string> values;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    const std::string text = read_file(thread.path().string() + "/status", 16384).value_or("");
    for (const std::string_view line : split(text, '\n')) {
      if (line.starts_with(key + ":")) values.emplace_back(trim(line.substr(key.size() + 1)));
    }
  }
  return values;
}

void check_all(pid_t pid, const std::string& key, const std::string& wanted) {
  const auto values = values_of(pid, key);
  CHECK_FALSE(values.empty());
  for (const std::string& value : values) {
    INFO(key << " of a thread of " << pid);
    CHECK(value == wanted);
  }
}

std::string in_office(const Sites& sites, const Argv& argv) {
  return require(run_checked(sites.sandbox.exec(lab::Host::office_gw, argv)));
}

bool says(const Sites& sites, const std::string& log, const std::string& word) {
  return sites.log(log).find(word) != std::string::npos;
}

// Counts the packets on the office's WAN device that bear an address of a LAN: in clear, there should be none.
class ClearTextCapture {
 public:
  explicit ClearTextCapture(const Sites& sites) {
    require(lab::run_inside(sites.sandbox.topology().namespace_of(lab::Host::office_gw), [this]() -> Status {
      socket_ = Fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ALL)));
      sockaddr_ll address{};
      address.sll_family = AF_PACKET;
      address.sll_protocol = htons(ETH_P_ALL);
      address.sll_ifindex = static_cast<int>(::if_nametoindex("wan"));
      if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return fail_errno(errno, "cannot capture");
      return {};
    }));
    reader_ = std::thread([this] { run(); });
  }
  ~ClearTextCapture() {
    stopping_ = true;
    reader_.join();
  }
  [[nodiscard]] unsigned in_clear() const { return in_clear_; }
  [[nodiscard]] unsigned seen() const { return seen_; }

 private:
  void run() {
    while (!stopping_) {
      pollfd polled{socket_.get(), POLLIN, 0};
      if (::poll(&polled, 1, 20) <= 0) continue;
      std::array<Byte, 128> packet{};
      const auto count = ::recv(socket_.get(), packet.data(), packet.size(), 0);
      if (count < 20) continue;
      ++seen_;
      const auto is_lan = [&](std::size_t at) { return packet[at] == 192 && packet[at + 1] == 168; };
      if ((packet[0] >> 4) == 4 && (is_lan(12) || is_lan(16))) ++in_clear_;
    }
  }

  Fd socket_;
  std::atomic<unsigned> in_clear_{0};
  std::atomic<unsigned> seen_{0};
  std::atomic<bool> stopping_{false};
  std::thread reader_;
};

}  // namespace

TEST_CASE("no thread of a running daemon has a capability or a way to one, and its keeper has one", "[app][hardening][netns]") {
  const std::string io = GENERATE(values<std::string>({"native.io=io_uring", "native.io=epoll"}));
  INFO(io);
  Sites sites;
  sites.office = sites.start(lab::Host::office_gw, sites.files.office.config_path, "office.log", {"--set", io});
  sites.offsite = sites.start(lab::Host::offsite_gw, sites.files.offsite.config_path, "offsite.log", {"--set", io});
  sites.wait_until_up();
  REQUIRE(sites.ping(offsite_v4));
  for (const Child* daemon : {&sites.office, &sites.offsite}) {
    const pid_t pid = daemon->pid();
    CHECK(values_of(pid, "CapEff").size() >= 4);  // with the threads of a lane, which began after the sandbox closed
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) check_all(pid, set, "0000000000000000");
    check_all(pid, "NoNewPrivs", "1");
    check_all(pid, "Seccomp", "2");
    for (const std::string& uids : values_of(pid, "Uid")) CHECK(uids.find('\t') != 0);
    for (const std::string& uids : values_of(pid, "Uid")) CHECK_FALSE(uids.starts_with("0\t"));
    const std::string environment = read_file("/proc/" + std::to_string(pid) + "/environ", 1 << 20).value_or("");
    CHECK(environment.find("LTKEY") == std::string::npos);
  }
  const auto keepers = require(run_checked({"pgrep", "-P", std::to_string(sites.office.pid())}));
  const pid_t keeper = std::stoi(keepers);
  check_all(keeper, "CapEff", "0000000000001000");  // CAP_NET_ADMIN
  check_all(keeper, "CapBnd", "0000000000000000");
  check_all(keeper, "Seccomp", "2");

  const Json sandbox = sites.status("office")["sandbox"];
  CHECK(sandbox["stage"] == "sandboxed");
  CHECK(sandbox["capabilities"] == "0x0");
  CHECK(sandbox["no_new_privileges"] == true);
  CHECK(sandbox["system_calls_filtered"] == true);
}

TEST_CASE("nothing for the far site leaves in clear, whatever happens to link, daemon, device or default route",
          "[app][hardening][netns]") {
  Sites sites;
  // Routes that would take the packets out in clear: a default route, and one as a rogue DHCP server hands it out.
  in_office(sites, {"ip", "route", "add", "default", "via", "198.51.100.2"});
  in_office(sites, {"ip", "route", "add", "192.168.20.0/25", "via", "198.51.100.2"});
  {
    const ClearTextCapture before(sites);
    CHECK_FALSE(sites.ping(offsite_v4));
    REQUIRE(comes_true([&] { return before.in_clear() > 0; }, 2s));  // the capture sees what would be a leak
  }
  sites.start_both();
  sites.wait_until_up();
  const ClearTextCapture capture(sites);
  const auto traffic = require(Child::start({.argv = sites.sandbox.exec(lab::Host::office_lan, {"ping", "-n", "-q", "-i", "0.01", "-w", "60", offsite_v4})}));
  const auto carried_on = [&] {
    const unsigned before = capture.seen();
    return comes_true([&] { return capture.seen() > before + 20; }, 5s);
  };
  CHECK(sites.ping(offsite_v4));
  CHECK(carried_on());

  require(sites.sandbox.set_wan(lab::all_directions, {"blackout=on"}));
  CHECK_FALSE(sites.ping(offsite_v4));
  require(sites.sandbox.set_wan(lab::all_directions, {"blackout=off"}));
  REQUIRE(comes_true([&] { return sites.ping(offsite_v4); }, 15s));

  in_office(sites, {"ip", "route", "replace", "default", "dev", "wan"});
  CHECK(sites.ping(offsite_v4));

  sites.office.signal(SIGKILL);
  REQUIRE(sites.office.wait(5s));
  for (int i = 0; i < 3; ++i) CHECK_FALSE(sites.ping(offsite_v4));
  CHECK(in_office(sites, {"ip", "route", "show", "table", "198"}).find("unreachable 192.168.20.0/24") != std::string::npos);

  sites.office = sites.start(lab::Host::office_gw, sites.files.office.config_path, "office.log");
  sites.wait_until_up();
  CHECK(comes_true([&] { return sites.ping(offsite_v4); }, 5s));
  in_office(sites, {"ip", "link", "delete", "lt0"});
  const auto ended = sites.office.wait(5s);
  REQUIRE(ended);
  CHECK(*ended == 1);  // for its supervisor to start it again
  CHECK(says(sites, "office.log", "the device was deleted"));
  for (int i = 0; i < 3; ++i) CHECK_FALSE(sites.ping(offsite_v4));
  sites.office = sites.start(lab::Host::office_gw, sites.files.office.config_path, "office.log");
  sites.wait_until_up();
  CHECK(comes_true([&] { return sites.ping(offsite_v4); }, 5s));
  CHECK(capture.in_clear() == 0);
}

TEST_CASE("what an administrator deletes is put back once, and logged", "[app][hardening][netns][D-13]") {
  Sites sites;
  sites.start_both();
  sites.wait_until_up();
  const auto is_missing = [&](const Argv& ask, const std::string& word) { return in_office(sites, ask).find(word) == std::string::npos; };
  const auto deleted = [&](const Argv& deletion, const Argv& ask, const std::string& word) {
    INFO(join(deletion, " "));
    REQUIRE_FALSE(is_missing(ask, word));
    in_office(sites, deletion);
    CHECK(comes_true([&] { return !is_missing(ask, word); }, 2s));
  };
  deleted({"ip", "address", "delete", "10.77.0.1/30", "dev", "lt0"}, {"ip", "address", "show", "dev", "lt0"}, "10.77.0.1/30");
  deleted({"ip", "route", "delete", "192.168.20.0/24", "dev", "lt0", "table", "198"}, {"ip", "route", "show", "table", "198"}, "192.168.20.0/24 dev lt0");
  deleted({"ip", "route", "delete", "unreachable", "192.168.20.0/24", "table", "198"}, {"ip", "route", "show", "table", "198"}, "unreachable 192.168.20.0/24");
  deleted({"ip", "rule", "delete", "pref", "5198"}, {"ip", "rule"}, "5198:");
  deleted({"ip", "-6", "rule", "delete", "pref", "5197"}, {"ip", "-6", "rule"}, "5197:");
  deleted({"ip", "link", "set", "lt0", "down"}, {"ip", "link", "show", "lt0"}, ",UP");
  deleted({"sysctl", "-q", "-w", "net.ipv4.conf.lt0.rp_filter=0"}, {"sysctl", "net.ipv4.conf.lt0.rp_filter"}, "= 1");
  CHECK(says(sites, "office.log", "put_back addresses=1"));
  CHECK(comes_true([&] { return sites.state("office") == "up" && sites.ping(offsite_v4); }, 10s));

  // Two programs that undo each other are told apart from an accident.
  for (int i = 0; i < 40 && !says(sites, "office.log", "put_back_paused"); ++i) {
    in_office(sites, {"ip", "rule", "delete", "pref", "5198", "to", "192.168.20.0/24"});
    const bool came = comes_true([&] { return !is_missing({"ip", "rule"}, "5198:") || says(sites, "office.log", "put_back_paused"); }, 3s);
    REQUIRE(came);
  }
  CHECK(says(sites, "office.log", "put_back_paused"));
}

TEST_CASE("a daemon whose keeper was killed ends for its supervisor", "[app][hardening][netns]") {
  Sites sites;
  sites.start_both();
  sites.wait_until_up();
  const pid_t keeper = std::stoi(require(run_checked({"pgrep", "-P", std::to_string(sites.office.pid())})));
  ::kill(keeper, SIGKILL);
  const auto ended = sites.office.wait(5s);
  REQUIRE(ended);
  CHECK(*ended == 1);
  CHECK(says(sites, "office.log", "the keeper is gone"));
  CHECK(in_office(sites, {"ip", "route", "show", "table", "198"}).find("unreachable 192.168.20.0/24") != std::string::npos);
}

TEST_CASE("a kill at any moment under load leaves a link that comes back, and nothing else", "[app][hardening][netns][D-11]") {
  // By hand: LINKTUNE_KILL_COUNT=500 link_hardening_test "a kill at any moment*"
  const char* wanted = std::getenv("LINKTUNE_KILL_COUNT");
  const int count = wanted == nullptr ? 6 : std::atoi(wanted);
  const std::uint32_t kill_seed = lt::testing::seed_of_run();
  std::mt19937_64 random(kill_seed);
  INFO("LINKTUNE_SEED=" << kill_seed << ", " << count << " kills");
  if (wanted != nullptr) std::printf("%d kills, LINKTUNE_SEED=%u\n", count, kill_seed);
  Sites sites("lan", "kills");
  const std::string office_before = sites.network_of(lab::Host::office_gw);
  const std::string offsite_before = sites.network_of(lab::Host::offsite_gw);
  sites.start_both();
  sites.wait_until_up();
  const auto server = require(Child::start({.argv = sites.sandbox.exec(lab::Host::offsite_lan, {"iperf3", "-s"})}));
  const auto load = [&] {
    return Child::start({.argv = sites.sandbox.exec(lab::Host::office_lan, {"iperf3", "-c", offsite_v4, "-t", "86400", "-P", "2", "-b", "200M", "-C", "cubic"})});
  };
  Child transfer = require(load());
  std::vector<double> returns_ms;
  for (int i = 0; i < count; ++i) {
    INFO("kill " << i);
    if (!transfer.is_running()) transfer = require(load());
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 400));  // the random moment itself
    const bool is_office = (random() & 1) != 0;
    Child& victim = is_office ? sites.office : sites.offsite;
    victim.signal(SIGKILL);
    REQUIRE(victim.wait(5s));
    const std::vector<std::string> lanes{"--set", "native.lanes=" + std::to_string(1 + random() % 4)};
    victim = is_office ? sites.start(lab::Host::office_gw, sites.files.office.config_path, "office.log", lanes)
                       : sites.start(lab::Host::offsite_gw, sites.files.offsite.config_path, "offsite.log", lanes);
    if ((random() & 3) == 0) continue;  // one in four is hit while it still comes up
    const auto started = std::chrono::steady_clock::now();
    const bool is_up = comes_true([&] { return sites.state("office") == "up" && sites.state("offsite") == "up"; }, 30s);
    const auto tail = [&](const std::string& name) {
      const std::string log = sites.log(name);
      return name + ": " + log.substr(log.size() - std::min<std::size_t>(log.size(), 3000)) + "\n";
    };
    INFO((is_up ? "" : tail("office.log") + tail("offsite.log")));
    REQUIRE(is_up);
    returns_ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - started).count());
  }
  sites.wait_until_up();
  if (wanted != nullptr) {
    std::sort(returns_ms.begin(), returns_ms.end());
    std::printf("%d kills: from the start of the program to a link that is up, of %zu: p50 %.0f ms, p99 %.0f ms, slowest %.0f ms\n", count,
                returns_ms.size(), returns_ms[returns_ms.size() / 2], returns_ms[returns_ms.size() * 99 / 100], returns_ms.back());
  }
  CHECK(comes_true([&] { return sites.ping(offsite_v4); }, 5s));
  CHECK(sites.office.end(5s) == 0);
  CHECK(sites.offsite.end(5s) == 0);
  CHECK(sites.network_of(lab::Host::office_gw) == office_before);
  CHECK(sites.network_of(lab::Host::offsite_gw) == offsite_before);
}

TEST_CASE("a storm of signals harms nobody, and a second request to end is obeyed at once", "[app][hardening][netns][D-10]") {
  Sites sites;
  sites.start_both();
  sites.wait_until_up();
  for (int i = 0; i < 10'000; ++i) {
    for (const int number : {SIGHUP, SIGUSR1, SIGUSR2}) sites.office.signal(number);
  }
  CHECK(sites.state("office") == "up");
  CHECK(sites.ping(offsite_v4));
  SECTION("one request ends it in good order, however often it is said") {
    for (int i = 0; i < 100; ++i) sites.office.signal(SIGTERM);
    CHECK(sites.office.wait(10s) == 0);
    CHECK(in_office(sites, {"ip", "rule"}).find("5198") == std::string::npos);
  }
  SECTION("who asks again while it waits for a silent peer is not kept waiting") {
    require(sites.sandbox.set_wan(lab::all_directions, {"blackout=on"}));
    sites.office.signal(SIGTERM);
    REQUIRE_FALSE(sites.office.wait(500ms));  // it says GOODBYE into the dark
    sites.office.signal(SIGTERM);
    CHECK(sites.office.wait(5s) == 128 + SIGTERM);  // who waits out his patience ends with 0
    CHECK(in_office(sites, {"ip", "route", "show", "table", "198"}).find("unreachable") != std::string::npos);
  }
}

namespace {

// As Sites::start, with words in front of the program: env, prlimit, setpriv.
Child start_under(const Sites& sites, lab::Host host, Argv words, const std::string& config, const std::string& output) {
  words.insert(words.end(), {program, "up", "--config", config, "--run-dir", sites.folder.path()});
  return require(Child::start({.argv = sites.sandbox.exec(host, words), .output_path = output}));
}

void replace_in(const std::string& path, const std::string& old, const std::string& text) {
  std::string config = require(read_file(path, 1 << 16));
  const auto at = config.find(old);
  REQUIRE(at != std::string::npos);
  config.replace(at, old.size(), text);
  require(write_file(path, config, 0644));
}

}  // namespace

TEST_CASE("a name is looked up anew at each reconnect, long after the sandbox has closed", "[app][hardening][netns]") {
  Sites sites;
  const std::string name_space = sites.sandbox.topology().namespace_of(lab::Host::offsite_gw);
  const std::string etc = "/etc/netns/" + name_space;  // `ip netns exec` shows it as /etc
  std::filesystem::create_directories(etc);
  LT_DEFER(std::filesystem::remove_all(etc); std::error_code ignored; std::filesystem::remove("/etc/netns", ignored));
  require(write_file(etc + "/resolv.conf", "nameserver 192.0.2.1\noptions timeout:1 attempts:1\n", 0644));
  const auto server = require(NameServer::start(sites.sandbox.topology().namespace_of(lab::Host::office_gw), "192.0.2.1"));
  replace_in(sites.files.offsite.config_path, "\"198.51.100.1:5198\"", "\"gateway.example:5198\"");

  // The resolver is silent when the daemon starts: nothing of the look-up was loaded before the sandbox closed.
  sites.start_both();
  REQUIRE(comes_true([&] { return says(sites, "offsite.log", "cannot resolve gateway.example"); }, 10s));
  CHECK(sites.status("offsite")["sandbox"]["stage"] == "sandboxed");
  server->answer_with("198.51.100.1");
  REQUIRE(comes_true([&] { return sites.state("offsite") == "up"; }, 20s));

  // The office moves: another address of the same gateway, and the old one is gone.
  const unsigned before = server->questions();
  in_office(sites, {"ip", "address", "add", "198.51.100.9/24", "dev", "wan"});
  sites.office.signal(SIGKILL);
  REQUIRE(sites.office.wait(5s));
  in_office(sites, {"ip", "address", "del", "198.51.100.1/30", "dev", "wan"});
  server->answer_with("198.51.100.9");
  require(run_checked(sites.sandbox.exec(lab::Host::offsite_gw, {"ip", "route", "add", "198.51.100.9/32", "dev", "wan"})));
  require(run_checked(sites.sandbox.exec(lab::Host::offsite_gw, {"ip", "neigh", "replace", "198.51.100.9", "lladdr",
                                         std::string(trim(require(run_checked(sites.sandbox.exec(lab::Host::office_gw, {"cat", "/sys/class/net/wan/address"}))))), "dev", "wan"})));
  sites.office = sites.start(lab::Host::office_gw, sites.files.office.config_path, "office.log");
  REQUIRE(comes_true([&] { return sites.state("offsite") == "up" && sites.state("office") == "up"; }, 25s));
  CHECK(server->questions() > before);
  CHECK(sites.status("offsite")["peer"] == "198.51.100.9:5198");
  CHECK(sites.ping(offsite_v4));
}

TEST_CASE("ninety-six descriptors and little memory are enough, and strangers who take them do not hurt the link",
          "[app][hardening][netns][D-1][D-2]") {
  Sites sites;
  const Argv limits{"prlimit", "--nofile=96:96", "--as=1500000000", "--"};
  sites.office = start_under(sites, lab::Host::office_gw, limits, sites.files.office.config_path, sites.folder.path() + "/office.log");
  sites.offsite = start_under(sites, lab::Host::offsite_gw, limits, sites.files.offsite.config_path, sites.folder.path() + "/offsite.log");
  sites.wait_until_up();
  std::vector<Fd> strangers;
  require(lab::run_inside(sites.sandbox.topology().namespace_of(lab::Host::office_lan), [&]() -> Status {
    for (int i = 0; i < 300; ++i) {
      strangers.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      sockaddr_in office{};
      office.sin_family = AF_INET;
      office.sin_port = htons(5198);
      ::inet_pton(AF_INET, "192.168.10.1", &office.sin_addr);
      ::connect(strangers.back().get(), reinterpret_cast<const sockaddr*>(&office), sizeof office);
    }
    return {};
  }));
  CHECK(comes_true([&] { return sites.status("office")["strangers"].get<int>() > 0; }, 10s));
  for (int i = 0; i < 5; ++i) CHECK(sites.ping(offsite_v4));
  CHECK(sites.state("office") == "up");
  // And the true peer gets in again while they are still there.
  sites.offsite.signal(SIGKILL);
  REQUIRE(sites.offsite.wait(5s));
  sites.offsite = start_under(sites, lab::Host::offsite_gw, limits, sites.files.offsite.config_path, sites.folder.path() + "/offsite.log");
  CHECK(comes_true([&] { return sites.state("offsite") == "up"; }, 15s));
  CHECK(sites.office.end(5s) == 0);
}

TEST_CASE("a log that nobody reads any more holds no link up", "[app][hardening][netns][D-3]") {
  Sites sites;
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  Fd reader(ends[0]);
  const Fd writer(ends[1]);
  const bool is_closed = GENERATE(true, false);
  INFO((is_closed ? "the reader is gone" : "the reader has stopped reading"));
  REQUIRE(set_nonblocking(writer.get(), true));
  const std::string page(4096, 'x');
  if (!is_closed) {
    while (::write(writer.get(), page.data(), page.size()) > 0) {
    }
  }
  sites.office = start_under(sites, lab::Host::office_gw, {"env"}, sites.files.office.config_path, "/proc/self/fd/" + std::to_string(writer.get()));
  if (is_closed) reader.reset();
  sites.offsite = sites.start(lab::Host::offsite_gw, sites.files.offsite.config_path, "offsite.log");
  sites.wait_until_up();
  CHECK(sites.ping(offsite_v4));
  // Something worth a line: the session goes, and comes.
  sites.offsite.signal(SIGKILL);
  REQUIRE(sites.offsite.wait(5s));
  sites.offsite = sites.start(lab::Host::offsite_gw, sites.files.offsite.config_path, "offsite.log");
  sites.wait_until_up();
  CHECK(sites.ping(offsite_v4));
  CHECK(sites.office.end(5s) == 0);
}

TEST_CASE("a wall clock that jumps ten years to and fro each second disconnects nobody", "[app][hardening][netns][D-4]") {
  // By hand: LINKTUNE_CLOCK_SECONDS=60
  const char* wanted = std::getenv("LINKTUNE_CLOCK_SECONDS");
  const int seconds = wanted == nullptr ? 5 : std::atoi(wanted);
  Sites sites;
  const Argv jumping{"env", "LD_PRELOAD=" + std::string(LINKTUNE_CLOCK_JUMPS)};
  sites.office = start_under(sites, lab::Host::office_gw, jumping, sites.files.office.config_path, sites.folder.path() + "/office.log");
  sites.offsite = start_under(sites, lab::Host::offsite_gw, jumping, sites.files.offsite.config_path, sites.folder.path() + "/offsite.log");
  sites.wait_until_up();
  const auto pinged = require(run_process(sites.sandbox.exec(lab::Host::office_lan, {"ping", "-n", "-q", "-i", "0.1", "-w", std::to_string(seconds), offsite_v4}),
                                          {.deadline = std::chrono::seconds(seconds + 10)}));
  INFO(pinged.out);
  CHECK(pinged.out.find(" 100% packet loss") == std::string::npos);
  for (const char* site : {"office", "offsite"}) {
    CHECK(sites.status(site)["sessions"] == 1);
    CHECK(sites.status(site)["session_ends"].empty());
  }
  // A new handshake in the wrong year, too.
  sites.offsite.signal(SIGKILL);
  REQUIRE(sites.offsite.wait(5s));
  CHECK(sites.status("office")["sessions"] == 1);
  sites.offsite = start_under(sites, lab::Host::offsite_gw, jumping, sites.files.offsite.config_path, sites.folder.path() + "/offsite.log");
  sites.wait_until_up();
  // The clock did jump: the log's lines say both years.
  const std::string log = sites.log("office.log") + sites.log("offsite.log");
  const std::string year = std::to_string(1970 + ::time(nullptr) / 31'556'952);
  CHECK(log.find("\n" + year) == std::string::npos);
  CHECK_FALSE(log.starts_with(year));
}

TEST_CASE("started as its unit starts it, the daemon says ready and alive, takes the key that it is handed, and needs no root",
          "[app][hardening][netns][systemd]") {
  Sites sites;
  constexpr uid_t user = 61197;
  const std::string folder = sites.folder.path();
  const std::string credentials = require(sites.folder.add("credentials"));
  const std::string run_folder = require(sites.folder.add("run"));
  std::filesystem::permissions(folder, std::filesystem::perms(0711));
  std::filesystem::permissions(folder + "/pair", std::filesystem::perms(0711));
  require(write_file(credentials + "/key", require(read_file(sites.files.office.key_path, 4096)), 0440));  // as systemd hands it
  for (const std::string& path : {credentials, credentials + "/key", run_folder}) REQUIRE(::chown(path.c_str(), user, user) == 0);
  std::filesystem::remove(sites.files.office.key_path);  // it is not read from there

  Fd manager(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string notify = folder + "/notify";
  REQUIRE(notify.size() < sizeof address.sun_path);
  std::copy(notify.begin(), notify.end(), address.sun_path);
  REQUIRE(::bind(manager.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  std::filesystem::permissions(notify, std::filesystem::perms(0777));
  const auto heard = [&](std::chrono::milliseconds patience) -> std::string {
    pollfd polled{manager.get(), POLLIN, 0};
    std::array<char, 4096> said{};
    if (::poll(&polled, 1, static_cast<int>(patience.count())) != 1) return {};
    const auto count = ::recv(manager.get(), said.data(), said.size(), 0);
    return count > 0 ? std::string(said.data(), static_cast<std::size_t>(count)) : std::string();
  };

  const std::string id = std::to_string(user);
  Argv words{"env", "NOTIFY_SOCKET=" + notify, "WATCHDOG_USEC=400000", "CREDENTIALS_DIRECTORY=" + credentials,
             "OPENSSL_CONF=/nonexistent/openssl.cnf", "setpriv", "--reuid=" + id, "--regid=" + id, "--clear-groups",
             // Beside the three of the unit only what a system without udev's mode of /dev/net/tun needs.
             "--inh-caps=+net_admin,+bpf,+perfmon,+dac_override", "--ambient-caps=+net_admin,+bpf,+perfmon,+dac_override",
             "--bounding-set=-all,+net_admin,+bpf,+perfmon,+dac_override",
             program, "up", "--config", sites.files.office.config_path, "--run-dir", run_folder};
  sites.office = require(Child::start({.argv = sites.sandbox.exec(lab::Host::office_gw, words), .output_path = folder + "/office.log"}));
  const std::string ready = heard(10s);
  INFO(sites.log("office.log"));
  CHECK(ready.starts_with("READY=1\nSTATUS="));
  sites.offsite = sites.start(lab::Host::offsite_gw, sites.files.offsite.config_path, "offsite.log");
  REQUIRE(comes_true([&] { return sites.state("offsite") == "up"; }, 15s));
  CHECK(sites.ping(offsite_v4));
  check_all(sites.office.pid(), "CapEff", "0000000000000000");
  check_all(sites.office.pid(), "CapAmb", "0000000000000000");
  check_all(sites.office.pid(), "Seccomp", "2");
  // With the unit's rights it is the link that root starts.
  CHECK(says(sites, "office.log", "fallback") == says(sites, "offsite.log", "fallback"));

  CHECK(heard(1s) == "WATCHDOG=1");
  CHECK(heard(1s) == "WATCHDOG=1");
  sites.office.signal(SIGSTOP);
  while (!heard(100ms).empty()) {
  }
  CHECK(heard(600ms).empty());  // hung: the manager would end it now
  sites.office.signal(SIGCONT);
  CHECK(heard(1s) == "WATCHDOG=1");

  sites.office.signal(SIGTERM);
  std::string last;
  while (last != "STOPPING=1") {
    last = heard(2s);
    REQUIRE_FALSE(last.empty());
  }
  CHECK(sites.office.wait(5s) == 0);
  CHECK(in_office(sites, {"ip", "rule"}).find("5198") == std::string::npos);
  CHECK_FALSE(std::filesystem::exists(run_folder + "/office.sock"));
}

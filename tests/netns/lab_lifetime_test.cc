// The life of a lab: what stands while it stands, and that nothing is left of it, however it ends.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstring>

#include "base/defer.h"
#include "lab/control.h"
#include "lab/lab_state.h"
#include "lab/netns.h"
#include "lab/running.h"
#include "lab/sandbox.h"
#include "lab/sites.h"

using namespace lt;
using namespace lt::lab;

namespace {

const std::string tool = LAB_TOOL;
const std::string name = "ltl";

Sandbox build(const SandboxOptions& options = {.name = name}) {
  auto sandbox = Sandbox::build(options);
  if (!sandbox) FAIL(sandbox.error().text());
  return std::move(*sandbox);
}

ProcessOutput run(const Argv& argv, const std::string& input = {}) {
  auto output = run_process(argv, {.input = input});
  if (!output) FAIL(output.error().text());
  CAPTURE(output->err);
  return *output;
}

ProcessOutput use_tool(Argv words) {
  words.insert(words.begin(), tool);
  return run(words);
}

bool nothing_is_left(const std::string& lab) {
  for (const Host host : all_hosts) {
    if (namespace_exists(Topology::standard(lab).namespace_of(host))) return false;
  }
  return ::access(state_directory(lab).c_str(), F_OK) != 0;
}

// The machine's own interfaces, addresses and routes.
std::string machine() {
  return run({"ip", "-o", "link"}).out + run({"ip", "-o", "addr", "show", "scope", "global"}).out +
         run({"ip", "route"}).out + run({"ip", "-6", "route"}).out;
}

bool reaches(const Sandbox& sandbox, Host from, const std::string& address) {
  return run(sandbox.exec(from, {"ping", "-c1", "-W2", address})).exit_code == 0;
}

pid_t owner_of(const std::string& lab) {
  const auto state = read_state(lab);
  REQUIRE(state);
  return state->owner.pid;
}

// Kills one process and waits until the kernel has taken it away.
void kill_hard(pid_t pid) {
  REQUIRE(::kill(pid, SIGKILL) == 0);
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  while (ProcessId::of(pid))
    REQUIRE(std::chrono::steady_clock::now() < deadline);
}

// A program that holds a Sandbox, and is told to go by closing its input.
struct Holder {
  pid_t pid{-1};
  Fd input;

  explicit Holder(const std::string& lab) {
    int in[2];
    int out[2];
    REQUIRE(::pipe2(in, O_CLOEXEC) == 0);
    REQUIRE(::pipe2(out, O_CLOEXEC) == 0);
    const Fd in_read(in[0]);
    input = Fd(in[1]);
    const Fd out_read(out[0]);
    Fd out_write(out[1]);
    pid = ::fork();
    if (pid == 0) {
      ::dup2(in_read.get(), 0);
      ::dup2(out_write.get(), 1);
      ::execl(tool.c_str(), tool.c_str(), "hold", lab.c_str(), nullptr);
      ::_exit(127);
    }
    REQUIRE(pid > 0);
    out_write.reset();
    std::array<char, 6> said{};
    REQUIRE(::read(out_read.get(), said.data(), said.size()) == 6);  // "ready\n"
  }
  ~Holder() {
    input.reset();
    ::waitpid(pid, nullptr, 0);
  }
};

}  // namespace

TEST_CASE("a lab stands as documented, and nothing is left of it afterwards", "[lab][netns]") {
  const std::string before = machine();
  {
    const Sandbox sandbox = build();
    CHECK(reaches(sandbox, Host::office_lan, "192.168.10.1"));
    CHECK(reaches(sandbox, Host::offsite_lan, "fd00:20::1"));
    CHECK(reaches(sandbox, Host::office_gw, "198.51.100.2"));
    CHECK(reaches(sandbox, Host::offsite_gw, "192.0.2.1"));
    CHECK(run(sandbox.exec(Host::office_gw, {"cat", "/proc/sys/net/ipv4/ip_forward"})).out ==
          "1\n");
    const auto allowed = read_file("/proc/sys/net/ipv4/tcp_allowed_congestion_control", 4096);
    if (allowed && allowed->find("cubic") != std::string::npos) {
      CHECK(
          run(sandbox.exec(Host::office_lan, {"cat", "/proc/sys/net/ipv4/tcp_congestion_control"}))
              .out == "cubic\n");
    }
    CHECK(run(sandbox.exec(Host::office_lan, {"cat", "/proc/sys/net/ipv4/tcp_no_metrics_save"}))
              .out == "1\n");
    CHECK(machine() == before);
  }
  CHECK(nothing_is_left(name));
  CHECK(machine() == before);
}

TEST_CASE("a lab has no way out and no devices but its own", "[lab][netns]") {
  const Sandbox sandbox = build();
  CHECK_FALSE(reaches(sandbox, Host::office_gw, "192.0.2.200"));
  CHECK(run(sandbox.exec(Host::office_gw, {"ip", "route", "get", "203.0.113.1"})).exit_code != 0);
  CHECK_FALSE(reaches(sandbox, Host::office_lan, "203.0.113.1"));
  CHECK_FALSE(reaches(sandbox, Host::office_lan,
                      "192.168.20.2"));  // without a tunnel the sites do not meet
  for (const Host host : all_hosts) {
    const bool gateway = host == Host::office_gw || host == Host::offsite_gw;
    const auto output = run(sandbox.exec(host, {"ls", "/sys/class/net"}));
    CHECK(output.out == (gateway ? "ctl\nlan\nlo\nwan\n" : "lan\nlo\n"));
  }
}

TEST_CASE("the sites meet over the bare line when they are told to, and no longer",
          "[lab][netns]") {
  Sandbox sandbox = build();
  REQUIRE(sandbox.route_in_clear(true));
  CHECK(reaches(sandbox, Host::office_lan, "192.168.20.2"));
  REQUIRE(sandbox.route_in_clear(false));
  CHECK_FALSE(reaches(sandbox, Host::office_lan, "192.168.20.2"));
}

TEST_CASE("the raw profile is a bare pair without settings", "[lab][netns]") {
  Sandbox sandbox = build({.name = name, .profile = "raw"});
  CHECK(reaches(sandbox, Host::office_gw, "198.51.100.2"));
  CHECK(run(sandbox.exec(Host::office_gw, {"ip", "-o", "-d", "link", "show", "wan"}))
            .out.find(" veth ") != std::string::npos);
  const Status set = sandbox.set_wan(all_directions, {"loss=1%"});
  REQUIRE_FALSE(set);
  CHECK(set.error().code == Errc::unsupported);
  CHECK_FALSE(Sandbox::build({.name = "ltl2", .profile = "raw", .settings = {"loss=1%"}}));
  CHECK(nothing_is_left("ltl2"));
}

TEST_CASE("two labs stand side by side under different names", "[lab][netns]") {
  const Sandbox one = build();
  const Sandbox two = build({.name = "ltl2", .profile = "lan"});
  CHECK(reaches(one, Host::office_gw, "198.51.100.2"));
  CHECK(reaches(two, Host::office_gw, "198.51.100.2"));
  const auto again = Sandbox::build({.name = name});
  REQUIRE_FALSE(again);
  CHECK(again.error().code == Errc::exists);
  CHECK(reaches(one, Host::office_gw, "198.51.100.2"));
}

TEST_CASE("what runs inside a lab ends with it", "[lab][netns]") {
  std::optional<Sandbox> sandbox = build();
  auto polite =
      Child::start({.argv = sandbox->exec(Host::office_lan, {"sleep", "1000"}), .output_path = {}});
  auto stubborn = Child::start(
      {.argv = sandbox->exec(Host::offsite_gw,
                             {"sh", "-c", "trap '' TERM; while :; do sleep 1000; done"}),
       .output_path = {}});
  REQUIRE(polite);
  REQUIRE(stubborn);
  const auto inside = [&](Host host) {
    return run({"ip", "netns", "pids", sandbox->topology().namespace_of(host)}).out;
  };
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  while (inside(Host::office_lan).empty() || inside(Host::offsite_gw).empty())
    REQUIRE(std::chrono::steady_clock::now() < deadline);
  sandbox.reset();
  CHECK(polite->wait(0ms) == 128 + SIGTERM);
  CHECK(stubborn->wait(0ms) == 128 + SIGKILL);
}

TEST_CASE("a lab in the background is raised, changed, told and taken down", "[lab][netns]") {
  const std::string before = machine();
  const auto up = use_tool({"up", name, "fibre", "loss=1%", "seed=5"});
  REQUIRE(up.exit_code == 0);
  LT_DEFER(use_tool({"down", name}));
  const auto status = parse_json(up.out, "up");
  REQUIRE(status);
  CHECK((*status)["schema"] == "linktune.lab.1");
  CHECK((*status)["running"] == true);
  CHECK((*status)["seed"] == 5);
  CHECK((*status)["directions"]["to-office"]["settings"]["loss"] == 0.01);
  CHECK(use_tool({"up", name, "wan"}).exit_code == 10 + static_cast<int>(Errc::exists));

  CHECK(use_tool({"exec", name, "office-gw", "sh", "-c", "exit 7"}).exit_code == 7);
  CHECK(use_tool({"exec", name, "ofice-gw", "true"}).exit_code ==
        10 + static_cast<int>(Errc::invalid));
  CHECK(use_tool({"set", name, "to-office", "blackout=on"}).exit_code == 0);
  CHECK(use_tool({"set", name, "both", "loss=lots"}).exit_code ==
        10 + static_cast<int>(Errc::invalid));
  CHECK(use_tool({"exec", name, "office-gw", "ping", "-c1", "-W1", "198.51.100.2"}).exit_code == 1);
  CHECK(use_tool({"set", name, "both", "blackout=off", "loss=0%"}).exit_code == 0);
  CHECK(use_tool({"exec", name, "office-gw", "ping", "-c1", "-W2", "198.51.100.2"}).exit_code == 0);

  const pid_t emulator = owner_of(name);
  CHECK(use_tool({"down", name}).exit_code == 0);
  CHECK_FALSE(ProcessId::of(emulator));
  CHECK(nothing_is_left(name));
  CHECK(machine() == before);
  CHECK(use_tool({"down", name}).exit_code == 10 + static_cast<int>(Errc::not_found));
  CHECK(use_tool({"status", name}).exit_code == 10 + static_cast<int>(Errc::not_found));
}

TEST_CASE("a raw lab in the background needs no process and stands until it is taken down",
          "[lab][netns]") {
  REQUIRE(use_tool({"up", name, "raw"}).exit_code == 0);
  LT_DEFER(use_tool({"down", name}));
  CHECK(use_tool({"exec", name, "offsite-gw", "ping", "-c1", "-W2", "198.51.100.1"}).exit_code ==
        0);
  CHECK(use_tool({"set", name, "both", "loss=1%"}).exit_code ==
        10 + static_cast<int>(Errc::unsupported));
  CHECK(use_tool({"up", name, "raw"}).exit_code == 10 + static_cast<int>(Errc::exists));
  CHECK(use_tool({"down", name}).exit_code == 0);
  CHECK(nothing_is_left(name));
}

TEST_CASE("an emulator that was killed is told, and the next lab of its name replaces what is left",
          "[lab][netns]") {
  const std::string before = machine();
  REQUIRE(use_tool({"up", name, "wan"}).exit_code == 0);
  kill_hard(owner_of(name));
  const auto status = use_tool({"status", name});
  CHECK(status.exit_code == 0);
  CHECK(status.out.find("\"running\":false") != std::string::npos);
  CHECK(use_tool({"set", name, "both", "loss=1%"}).exit_code ==
        10 + static_cast<int>(Errc::closed));
  REQUIRE(use_tool({"up", name, "wan"}).exit_code == 0);
  CHECK(use_tool({"exec", name, "office-gw", "ping", "-c1", "-W2", "198.51.100.2"}).exit_code == 0);
  kill_hard(owner_of(name));
  CHECK(use_tool({"down", name}).exit_code == 0);
  CHECK(nothing_is_left(name));
  CHECK(machine() == before);
}

TEST_CASE("a program that was killed with its sandbox leaves nothing that the next cannot remove",
          "[lab][netns]") {
  const std::string before = machine();
  {
    const Holder holder(name);
    CHECK(use_tool({"down", name}).exit_code == 10 + static_cast<int>(Errc::busy));
    REQUIRE(::kill(holder.pid, SIGKILL) == 0);
  }
  CHECK_FALSE(nothing_is_left(name));
  {
    const Sandbox sandbox = build();
    CHECK(reaches(sandbox, Host::office_gw, "198.51.100.2"));
  }
  CHECK(nothing_is_left(name));
  {
    const Holder holder(name);
    REQUIRE(::kill(holder.pid, SIGKILL) == 0);
  }
  CHECK(use_tool({"down", name}).exit_code == 0);
  CHECK(nothing_is_left(name));
  CHECK(machine() == before);
}

TEST_CASE("another process with the number of a dead owner is neither believed nor harmed",
          "[lab][netns]") {
  auto bystander = Child::start({.argv = {"sleep", "1000"}, .output_path = {}});
  REQUIRE(bystander);
  const auto its_own = ProcessId::of(bystander->pid());
  REQUIRE(its_own);
  LabState state{.name = name,
                 .profile = *find_profile("wan"),
                 .seed = 1,
                 .keeper = Keeper::emulator,
                 .standing = true,
                 .owner = {its_own->pid, its_own->start_ticks - 1}};
  REQUIRE(write_state(state));
  CHECK(read_state(name)->is_leftover());
  { const Sandbox sandbox = build(); }
  REQUIRE(write_state(state));
  CHECK(down(name));
  CHECK(bystander->is_running());
  CHECK(nothing_is_left(name));
}

TEST_CASE("a namespace that no lab has made is left alone", "[lab][netns]") {
  REQUIRE(run({"ip", "netns", "add", name + "-office-gw"}).exit_code == 0);
  LT_DEFER(run({"ip", "netns", "del", name + "-office-gw"}));
  const auto sandbox = Sandbox::build({.name = name});
  REQUIRE_FALSE(sandbox);
  CHECK(sandbox.error().code == Errc::exists);
  CHECK(sandbox.error().what.find(name + "-office-gw") != std::string::npos);
  CHECK(down(name).error().code == Errc::not_found);
  CHECK(namespace_exists(name + "-office-gw"));
  CHECK_FALSE(namespace_exists(name + "-office-lan"));
}

TEST_CASE("a damaged state file does not keep a lab from being removed", "[lab][netns]") {
  const auto damage = GENERATE(as<std::string>(), "", "{", "[]", "{\"name\":\"ltl\"}", "null");
  REQUIRE(use_tool({"up", name, "raw"}).exit_code == 0);
  REQUIRE(write_file(state_directory(name) + "/state.json", damage, 0600));
  CHECK(read_state(name).error().code == Errc::invalid);
  CHECK(use_tool({"status", name}).exit_code == 10 + static_cast<int>(Errc::invalid));
  CHECK(use_tool({"down", name}).exit_code == 0);
  CHECK(nothing_is_left(name));
}

TEST_CASE("a lab that cannot be built leaves nothing, and says why", "[lab][netns]") {
  const auto absent = Sandbox::build({.name = name, .congestion_control = "no-such-thing"});
  REQUIRE_FALSE(absent);
  CHECK(absent.error().code == Errc::unsupported);
  CHECK(absent.error().what.find("tcp_allowed_congestion_control") != std::string::npos);
  CHECK(nothing_is_left(name));
  const auto dead = up({.name = name}, "/bin/false");  // an emulator that ends at once
  REQUIRE_FALSE(dead);
  CHECK(dead.error().what.find("the emulator ended") != std::string::npos);
  CHECK(nothing_is_left(name));
}

TEST_CASE("without root or a TUN device one sentence says what to do", "[lab][netns]") {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (::seteuid(65534) != 0) ::_exit(2);
    const Status status = check_machine(true);
    ::_exit(!status && status.error().code == Errc::not_permitted &&
                    status.error().what.find("sudo") != std::string::npos
                ? 0
                : 1);
  }
  int ended = 0;
  REQUIRE(::waitpid(child, &ended, 0) == child);
  CHECK(ended == 0);

  const auto hidden =
      run({"unshare", "--mount", "sh", "-c",
           "mount -t tmpfs tmpfs /dev/net && exec " + tool + " up " + name + " wan"});
  CHECK(hidden.exit_code == 10 + static_cast<int>(Errc::not_found));
  CHECK(hidden.err.find("modprobe tun") != std::string::npos);
  CHECK(nothing_is_left(name));
}

TEST_CASE("the control socket is root's, and withstands nonsense", "[lab][netns]") {
  const Sandbox sandbox = build();
  struct stat status {};
  REQUIRE(::stat(control_path(name).c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  for (const Json& request :
       {Json(), Json(5), Json::array(), Json{{"op", 7}}, Json{{"op", "die"}}, Json{{"op", "set"}},
        Json{{"op", "set"}, {"direction", "up"}, {"words", Json::array()}},
        Json{{"op", "set"}, {"direction", "both"}, {"words", {1}}},
        Json{{"op", "set"}, {"direction", "both"}, {"words", "loss=1%"}}}) {
    CAPTURE(to_line(request));
    const auto reply = ask(control_path(name), request);
    REQUIRE_FALSE(reply);
    CHECK((reply.error().code == Errc::protocol || reply.error().code == Errc::invalid));
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, control_path(name).data(), control_path(name).size());
  const auto talk = [&](const std::string& text) {
    const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
            0);
    static_cast<void>(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL));
    ::shutdown(socket.get(), SHUT_WR);
    std::array<char, 512> reply{};
    const auto bytes = ::recv(socket.get(), reply.data(), reply.size(), 0);
    return std::string(reply.data(), bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
  };
  for (const std::string& text : {std::string("{\n"), std::string("\n"),
                                  std::string("{\"op\":\"status\""), std::string("\0\0\n", 3)}) {
    CHECK(talk(text).find("\"ok\":false") != std::string::npos);
  }
  CHECK(talk(std::string(100'000, 'x')).find("\"ok\":true") == std::string::npos);
  CHECK(ask(control_path(name), {{"op", "status"}}));
}

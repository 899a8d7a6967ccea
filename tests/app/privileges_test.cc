// What the daemon gives up, tried for real in children: each goes through the stages and then does what it should not
// be able to do.
#include "app/privileges.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>
#include <thread>

#include "app/keeper.h"
#include "app/warm_up.h"
#include "base/fd.h"

using namespace lt;
using namespace lt::app;

namespace {

// Runs `action` in a child. @return its exit code, or 128 + the signal that ended it
int in_child(const std::function<int()>& action) {
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) ::_exit(action());
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

constexpr int not_prepared = 99;

// Through all stages, then `action`.
int sandboxed(const std::function<int()>& action, SandboxMode mode = SandboxMode::enforce, bool with_io_uring = true) {
  return in_child([&] {
    clear_surroundings();
    const auto user = find_service_user("");
    if (!user || !warm_up_tls() || !become(*user) || !drop_capabilities() || !restrict_files() || !close_sandbox(mode, with_io_uring)) {
      return not_prepared;
    }
    return action();
  });
}

constexpr int killed = 128 + SIGSYS;
constexpr int possible = 0;

bool is_root() { return ::geteuid() == 0; }

}  // namespace

TEST_CASE("names of stages and modes are those that status and help use", "[app][privileges]") {
  CHECK(name_of(Stage::starting) == "starting");
  CHECK(name_of(Stage::sandboxed) == "sandboxed");
  CHECK(parse_sandbox_mode("enforce") == SandboxMode::enforce);
  CHECK(parse_sandbox_mode("log") == SandboxMode::log);
  CHECK(parse_sandbox_mode("off") == SandboxMode::off);
  CHECK_FALSE(parse_sandbox_mode("on"));
  CHECK_FALSE(parse_sandbox_mode(""));
}

TEST_CASE("the list of system calls stays short", "[app][privileges]") {
  CHECK(allowed_system_calls() > 30);
  CHECK(allowed_system_calls() <= 73);
}

TEST_CASE("a daemon that went through all stages has nothing left", "[app][privileges]") {
  if (!is_root()) {
    WARN("not root: only what an ordinary user can give up is tried");
  }
  CHECK(sandboxed([] {
          // Threads that begin later are bound like the first.
          int result = 1;
          std::thread([&] {
            const auto report = inspect_privileges();
            const bool is_bare = report && report->capabilities == 0 && report->no_new_privileges && report->filtered;
            result = is_bare && report->threads == 2 && ::geteuid() != 0 ? 0 : 2;
          }).join();
          return result;
        }) == possible);
  CHECK(in_child([] {
          const auto report = inspect_privileges();
          return report && !report->filtered ? 0 : 1;
        }) == 0);
}

TEST_CASE("no way back to privileges is open", "[app][privileges]") {
  if (!is_root()) {
    WARN("needs root: nothing was tried");
    return;
  }
  CHECK(in_child([] {
          const auto user = find_service_user("");
          if (!user || !become(*user) || !drop_capabilities()) return not_prepared;
          if (::setuid(0) == 0 || ::seteuid(0) == 0 || ::setgid(0) == 0) return 1;
          if (::prctl(PR_GET_DUMPABLE) != 0) return 2;
          gid_t groups[1];
          if (::getgroups(0, groups) != 0) return 3;
          if (::prctl(PR_CAPBSET_READ, 12) != 0) return 4;  // not even for a program that would be run
          return ::open("/etc/shadow", O_RDONLY) < 0 ? 0 : 5;
        }) == 0);
}

TEST_CASE("a system call that no trace of the daemon has is not there", "[app][privileges]") {
  const long number = GENERATE(values<long>({SYS_recvmmsg, SYS_preadv2, SYS_statx, SYS_getpeername, SYS_sched_setscheduler, SYS_membarrier}));
  INFO("call " << number);
  const int result = sandboxed([number] { return ::syscall(number, 0, 0, 0, 0, 0, 0) == -1 && errno == ENOSYS ? 0 : 1; });
  CHECK(result == possible);
}

TEST_CASE("a system call outside the list ends the process", "[app][privileges]") {
  struct Call {
    const char* name;
    std::function<int()> action;
  };
  const auto raw = [](long number) { return [number] { return static_cast<int>(::syscall(number, 0, 0, 0, 0, 0, 0)); }; };
  const Call call = GENERATE_REF(values<Call>(
      {{"execve", raw(SYS_execve)},
       {"fork", [] { return static_cast<int>(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }},
       {"ptrace", raw(SYS_ptrace)},
       {"process_vm_readv", raw(SYS_process_vm_readv)},
       {"mount", raw(SYS_mount)},
       {"unshare", [] { return static_cast<int>(::syscall(SYS_unshare, CLONE_NEWUSER)); }},
       {"setns", raw(SYS_setns)},
       {"bpf", raw(SYS_bpf)},
       {"keyctl", raw(SYS_keyctl)},
       {"kill", [] { return ::kill(::getppid(), 0); }},
       {"signal another process", [] { return static_cast<int>(::syscall(SYS_tgkill, ::getppid(), ::getppid(), 0)); }},
       {"chmod", [] { return ::chmod("/tmp", 0777); }},
       {"rename", [] { return ::rename("/tmp/a", "/tmp/b"); }},
       {"symlink", [] { return ::symlink("/tmp/a", "/tmp/b"); }},
       {"setuid", raw(SYS_setuid)},
       {"a raw socket", [] { return ::socket(AF_INET, SOCK_RAW, IPPROTO_ICMP); }},
       {"a packet socket", [] { return ::socket(AF_PACKET, SOCK_DGRAM, 0); }},
       {"a virtual socket", [] { return ::socket(AF_VSOCK, SOCK_STREAM, 0); }},
       {"another netlink", [] { return ::socket(AF_NETLINK, SOCK_RAW, 12); }},
       {"a new namespace by clone", [] { return static_cast<int>(::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)); }},
       {"more descriptors", [] {
          const rlimit more{1 << 16, 1 << 16};
          return ::setrlimit(RLIMIT_NOFILE, &more);
        }},
       {"input into a terminal", [] { return ::ioctl(0, 0x5412, "x"); }}}));
  INFO(call.name);
  CHECK(sandboxed([&] {
          call.action();
          return possible;
        }) == killed);
}

TEST_CASE("io_uring is closed where the data plane does without it", "[app][privileges]") {
  const auto make_ring = [] {
    std::array<Byte, 120> parameters{};
    return ::syscall(SYS_io_uring_setup, 8, parameters.data()) >= 0 || errno != EPERM ? 0 : 1;
  };
  CHECK(sandboxed(make_ring, SandboxMode::enforce, true) == possible);
  CHECK(sandboxed(make_ring, SandboxMode::enforce, false) == killed);
}

TEST_CASE("what the C library tries and can do without is refused kindly", "[app][privileges]") {
  CHECK(sandboxed([] { return ::open("/tmp/lt-sandbox", O_WRONLY | O_CREAT, 0600) < 0 && errno == EACCES ? 0 : 1; }) == 0);
  CHECK(sandboxed([] { return ::open("/tmp/lt-sandbox", O_RDWR) < 0 && errno == EACCES ? 0 : 1; }) == 0);
  CHECK(sandboxed([] { return ::open("/tmp/lt-sandbox", O_RDONLY | O_CREAT, 0600) < 0 && errno == EACCES ? 0 : 1; }) == 0);
  CHECK(sandboxed([] { return ::unlink("/tmp/lt-sandbox") < 0 && errno == EACCES ? 0 : 1; }) == 0);
  CHECK(sandboxed([] {
          void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
          return page == MAP_FAILED && errno == EACCES ? 0 : 1;
        }) == 0);
  CHECK(sandboxed([] {
          void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
          return ::mprotect(page, 4096, PROT_READ | PROT_EXEC) < 0 && errno == EACCES ? 0 : 1;
        }) == 0);
}

TEST_CASE("the steady state works in the sandbox", "[app][privileges]") {
  SECTION("a handshake") {
    CHECK(sandboxed([] { return warm_up_tls() ? 0 : 1; }) == 0);
  }
  SECTION("a look-up by /etc/hosts and one that asks the resolver") {
    CHECK(sandboxed([] {
            const auto known = tunnel::resolve({"localhost", 5198});
            const auto unknown = tunnel::resolve({"no-such-host.invalid", 5198});
            return known && !known->empty() && !unknown ? 0 : 1;
          }) == 0);
  }
  SECTION("a congestion control that is not there is named in words") {
    CHECK(sandboxed([] {
            const auto made = tunnel::make_outer_socket(Family::v4, {.congestion_control = "nosuch"});
            return !made && made.error().what.find("this kernel has: ") != std::string::npos ? 0 : 1;
          }) == 0);
  }
  SECTION("a thread, and an exception through it") {
    CHECK(sandboxed([] {
            int caught = 1;
            std::thread([&] {
              try {
                throw std::runtime_error("x");
              } catch (const std::runtime_error&) {
                caught = 0;
              }
            }).join();
            return caught;
          }) == 0);
  }
  SECTION("a failed assertion still ends with its own signal") {
    CHECK(sandboxed([]() -> int {
            ::signal(SIGABRT, SIG_DFL);  // not the test framework's
            std::abort();
          }) == 128 + SIGABRT);
  }
}

TEST_CASE("files outside a few folders cannot be read", "[app][privileges]") {
  CHECK(in_child([] {
          if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return not_prepared;
          const auto restricted = restrict_files();
          if (!restricted) return not_prepared;
          if (!*restricted) return 0;  // a kernel without Landlock; status says so
          if (::open("/etc/passwd", O_RDONLY) < 0) return 1;
          if (::open("/tmp", O_RDONLY) >= 0) return 2;
          if (::open("/root", O_RDONLY) >= 0) return 3;
          return ::open("/etc/lt-new", O_WRONLY | O_CREAT, 0600) < 0 ? 0 : 4;
        }) == 0);
}

TEST_CASE("a trial run logs and carries out", "[app][privileges]") {
  CHECK(sandboxed([] { return ::socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) < 0 ? 0 : 1; }, SandboxMode::log) == 0);
}

TEST_CASE("the environment keeps what the service manager says, and nothing else", "[app][privileges][D-15]") {
  CHECK(in_child([] {
          for (const char* name : {"OPENSSL_CONF", "SSLKEYLOGFILE", "LD_PRELOAD", "RES_OPTIONS", "PATH", "HOME"}) ::setenv(name, "/x", 1);
          ::setenv("NOTIFY_SOCKET", "/run/x", 1);
          ::setenv("CREDENTIALS_DIRECTORY", "/run/c", 1);
          clear_surroundings();
          int count = 0;
          for (char** each = environ; each != nullptr && *each != nullptr; ++each) ++count;
          const bool is_kept = std::string(::getenv("NOTIFY_SOCKET")) == "/run/x" && std::string(::getenv("CREDENTIALS_DIRECTORY")) == "/run/c";
          return count == 2 && is_kept ? 0 : 1;
        }) == 0);
}

TEST_CASE("who the daemon becomes", "[app][privileges]") {
  if (!is_root()) {
    WARN("needs root: nothing was tried");
    return;
  }
  const auto named = find_service_user("daemon");
  REQUIRE(named);
  CHECK(named->uid == 1);
  const auto unknown = find_service_user("no-such-user");
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().what.find("useradd --system") != std::string::npos);
  const auto chosen = find_service_user("");
  REQUIRE(chosen);
  CHECK(chosen->is_own());
}

// --- the keeper ---

namespace {

template <class T>
KeeperAnswer answer_to(KeeperWork& work, const T& datagram, std::size_t size = sizeof(T)) {
  Fd passed;
  return work.carry_out(ByteView(reinterpret_cast<const Byte*>(&datagram), size), passed);
}

KeeperOptions some_options() {
  KeeperOptions options;
  options.routes.device = "lt-none";
  options.mtu_max = 9000;
  options.control_path = "/nonexistent/lt.sock";
  return options;
}

}  // namespace

TEST_CASE("the keeper takes no other request than its six", "[app][keeper]") {
  KeeperWork work(some_options());
  for (unsigned verb = 0; verb < 256; ++verb) {
    if (verb >= 1 && verb <= 6) continue;
    const KeeperRequest request{.verb = static_cast<KeeperVerb>(verb), .reserved = {}, .value = 4};
    const auto answer = answer_to(work, request);
    CHECK_FALSE(answer.is_good);
    CHECK(std::string(answer.text) == "there is no such request");
  }
  CHECK_FALSE(work.is_finished());
}

TEST_CASE("a datagram of another size is no request", "[app][keeper]") {
  KeeperWork work(some_options());
  const std::array<KeeperRequest, 2> two{KeeperRequest{.verb = KeeperVerb::finish}, KeeperRequest{.verb = KeeperVerb::finish}};
  for (const std::size_t size : {0U, 1U, 7U, 9U, 16U}) CHECK_FALSE(answer_to(work, two, size).is_good);
  CHECK_FALSE(work.is_finished());
}

TEST_CASE("the keeper judges each number", "[app][keeper]") {
  KeeperWork work(some_options());
  const auto asked = [&](KeeperVerb verb, std::uint32_t value) {
    const auto answer = answer_to(work, KeeperRequest{.verb = verb, .reserved = {}, .value = value});
    return answer.is_good ? std::string("done") : std::string(answer.text);
  };
  for (const std::uint32_t mtu : {0U, 67U, 9001U, 65536U, 4294967295U}) CHECK(asked(KeeperVerb::set_mtu, mtu).find("not within") != std::string::npos);
  CHECK(asked(KeeperVerb::set_mtu, 9000).find("no network device named lt-none") != std::string::npos);
  for (const std::uint32_t queue : {0U, 1'000'001U}) CHECK(asked(KeeperVerb::set_queue, queue).find("out of range") != std::string::npos);
  for (const std::uint32_t family : {0U, 2U, 5U, 10U}) CHECK(asked(KeeperVerb::make_socket, family) == "no such address family");
  CHECK(asked(KeeperVerb::make_socket, 4) == "done");
  CHECK(asked(KeeperVerb::make_socket, 6) == "done");
  CHECK(asked(KeeperVerb::put_back, 0) == "nothing stands yet");
  CHECK(asked(KeeperVerb::install, 0).find("no network device named lt-none") != std::string::npos);
  CHECK(asked(KeeperVerb::finish, 0) == "done");
  CHECK(work.is_finished());
}

TEST_CASE("the keeper's sockets reach the daemon, and the keeper goes with it", "[app][keeper]") {
  pid_t keeper_pid = 0;
  {
    auto keeper = Keeper::start(some_options());
    REQUIRE(keeper);
    keeper_pid = (*keeper)->pid();
    const auto socket = (*keeper)->make_socket(Family::v6);
    if (!socket) FAIL(socket.error().text());
    int domain = 0;
    socklen_t length = sizeof domain;
    REQUIRE(::getsockopt(socket->get(), SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0);
    CHECK(domain == AF_INET6);
    CHECK((::fcntl(socket->get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK_FALSE((*keeper)->install());
    CHECK((*keeper)->make_socket(Family::v4));
  }
  int status = 0;
  REQUIRE(::waitpid(keeper_pid, &status, 0) == keeper_pid);  // its end of the pair is closed: it goes by itself
  CHECK(WIFEXITED(status));
}

TEST_CASE("a keeper that was killed is an error in words", "[app][keeper]") {
  auto keeper = Keeper::start(some_options());
  REQUIRE(keeper);
  ::kill((*keeper)->pid(), SIGKILL);
  ::waitpid((*keeper)->pid(), nullptr, 0);
  const auto socket = (*keeper)->make_socket(Family::v4);
  REQUIRE_FALSE(socket);
  CHECK(socket.error().what.find("the keeper") != std::string::npos);
}

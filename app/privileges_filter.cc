// The system calls of the steady state. What stands here was found by tracing the daemon through handshakes, reconnects,
// name look-ups and its end, on both I/O ports; what does not ends the process.
//
// Three kinds of calls stand apart:
//   - refused kindly, since the C library tries them and has another way: clone3 (its flags lie in memory, where no
//     filter sees them; clone is tried next), opening for writing, executable memory, removing files, and what no trace has;
//   - allowed with some arguments only: clone (threads, no processes), socket (no raw, no packet sockets), ioctl;
//   - io_uring: needed by the data plane, and its operations pass by any filter. What they can reach is bounded by
//     other means: no capability, no file but for reading (Landlock acts on io_uring too), nothing of other users.
//     Where the data plane uses epoll, they are closed.
#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sched.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <span>

#include "app/privileges.h"
#include "base/handle.h"

namespace lt::app {

namespace {

using Filter = std::unique_ptr<void, Freed<::seccomp_release>>;

constexpr int plain_calls[] = {
    // bytes
    SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(lseek),
    SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg),
    // events and time
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(poll),
    SCMP_SYS(ppoll), SCMP_SYS(eventfd2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime), SCMP_SYS(futex),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(gettimeofday),
    // sockets
    SCMP_SYS(accept4), SCMP_SYS(accept), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname), SCMP_SYS(shutdown), SCMP_SYS(close), SCMP_SYS(fcntl),
    // what a look-up and the status read
    SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(getdents64), SCMP_SYS(uname), SCMP_SYS(getrandom),
    // memory and threads
    SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(exit),
    SCMP_SYS(exit_group), SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(getuid), SCMP_SYS(geteuid),
    SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity), SCMP_SYS(rseq), SCMP_SYS(set_robust_list), SCMP_SYS(sysinfo)};
// Seen in no trace. Another C library may try them, and has another way.
constexpr int dispensable_calls[] = {
    SCMP_SYS(pread64), SCMP_SYS(preadv2), SCMP_SYS(recvmmsg), SCMP_SYS(nanosleep), SCMP_SYS(getpeername), SCMP_SYS(stat),
    SCMP_SYS(statx), SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_setscheduler), SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler), SCMP_SYS(membarrier), SCMP_SYS(getrusage), SCMP_SYS(epoll_pwait2)};
constexpr int ring_calls[] = {SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register)};
constexpr std::size_t calls_with_conditions = 10;  // openat open clone socket ioctl mmap mprotect prlimit64 tgkill prctl

constexpr int keeper_calls[] = {
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(recvmsg), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg), SCMP_SYS(sendto),
    SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(bind), SCMP_SYS(getsockname), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
    SCMP_SYS(close), SCMP_SYS(fcntl), SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
    SCMP_SYS(lseek), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(futex),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall), SCMP_SYS(getpid), SCMP_SYS(exit_group),
    SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(getrandom)};

// Builds one filter; the first failure is kept.
class Rules {
 public:
  explicit Rules(SandboxMode mode)
      : filter_(::seccomp_init(mode == SandboxMode::enforce ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_LOG)), mode_(mode) {
    // Calls of another architecture end the process, too: that is libseccomp's default.
    error_ = filter_ ? ::seccomp_attr_set(filter_.get(), SCMP_FLTATR_CTL_TSYNC, 1) : -ENOMEM;
  }

  void allow(std::span<const int> calls) {
    for (const int call : calls) add(SCMP_ACT_ALLOW, call, {});
  }
  void allow(int call, std::initializer_list<scmp_arg_cmp> conditions) { add(SCMP_ACT_ALLOW, call, conditions); }
  // A trial run lets it through, and logs it like all the rest.
  void refuse(int call, int error, std::initializer_list<scmp_arg_cmp> conditions) {
    if (mode_ == SandboxMode::enforce) add(SCMP_ACT_ERRNO(static_cast<unsigned>(error)), call, conditions);
  }
  Status load() {
    if (error_ == 0) error_ = ::seccomp_load(filter_.get());
    if (error_ != 0) return fail_errno(-error_, "cannot filter the system calls");
    return {};
  }

 private:
  void add(std::uint32_t action, int call, std::initializer_list<scmp_arg_cmp> conditions) {
    if (error_ != 0 || call < 0) return;  // below zero: this architecture has no such call
    error_ = ::seccomp_rule_add_array(filter_.get(), action, call, static_cast<unsigned>(conditions.size()), conditions.begin());
  }

  Filter filter_;
  SandboxMode mode_;
  int error_{0};
};

// Argument `number`, of which the bits of `mask` are `value`.
scmp_arg_cmp bits(unsigned number, std::uint64_t mask, std::uint64_t value) {
  return {.arg = number, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
}
// Argument `number`, which is an int: its upper half is nobody's.
scmp_arg_cmp equals(unsigned number, long value) { return bits(number, 0xffffffff, static_cast<std::uint64_t>(value)); }

void add_file_rules(Rules& rules) {
  constexpr std::uint64_t making = O_CREAT | O_TRUNC;
  for (const auto& [call, flags] : {std::pair{SCMP_SYS(openat), 2U}, std::pair{SCMP_SYS(open), 1U}}) {
    rules.allow(call, {bits(flags, O_ACCMODE | making, O_RDONLY)});
    rules.refuse(call, EACCES, {bits(flags, O_ACCMODE, O_WRONLY)});
    rules.refuse(call, EACCES, {bits(flags, O_ACCMODE, O_RDWR)});
    rules.refuse(call, EACCES, {bits(flags, O_ACCMODE | O_CREAT, O_CREAT)});
  }
  for (const int call : {SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
                         SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(setpriority), SCMP_SYS(sched_setattr)}) {
    rules.refuse(call, EACCES, {});
  }
}

void add_memory_rules(Rules& rules) {
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)}) {
    rules.allow(call, {bits(2, PROT_EXEC, 0)});
    rules.refuse(call, EACCES, {bits(2, PROT_EXEC, PROT_EXEC)});
  }
}

void add_thread_rules(Rules& rules) {
  rules.allow(SCMP_SYS(clone), {bits(0, CLONE_THREAD | CLONE_VM | CLONE_NEWUSER, CLONE_THREAD | CLONE_VM)});
  rules.refuse(SCMP_SYS(clone3), ENOSYS, {});
  rules.allow(SCMP_SYS(tgkill), {equals(0, ::getpid())});  // abort()
  rules.allow(SCMP_SYS(prlimit64), {bits(2, ~std::uint64_t{0}, 0)});  // asked, not set
  rules.allow(SCMP_SYS(prctl), {equals(0, PR_SET_NAME)});
}

void add_socket_rules(Rules& rules) {
  constexpr std::uint64_t type_mask = 0xf;
  for (const int family : {AF_INET, AF_INET6, AF_UNIX}) {
    for (const std::uint64_t type : {std::uint64_t{SOCK_STREAM}, std::uint64_t{SOCK_DGRAM}}) {
      rules.allow(SCMP_SYS(socket), {equals(0, family), bits(1, type_mask, type)});
    }
  }
  // The C library asks which addresses this machine has before it orders the answers to a name.
  rules.allow(SCMP_SYS(socket), {equals(0, AF_NETLINK), equals(2, 0 /* NETLINK_ROUTE */)});
  constexpr long unsent_bytes = 0x894b;   // SIOCOUTQNSD
  constexpr long name_to_index = 0x8933;  // SIOCGIFINDEX
  for (const long request : {long{FIONREAD}, long{FIONBIO}, long{TIOCOUTQ}, static_cast<long>(TUNSETOFFLOAD),
                             static_cast<long>(TUNSETQUEUE), unsent_bytes, name_to_index}) {
    rules.allow(SCMP_SYS(ioctl), {equals(1, request)});
  }
  rules.refuse(SCMP_SYS(ioctl), ENOTTY, {equals(1, TCGETS)});
}

}  // namespace

std::size_t allowed_system_calls() {
  const auto here = std::count_if(std::begin(plain_calls), std::end(plain_calls), [](int call) { return call >= 0; });
  return static_cast<std::size_t>(here) + std::size(ring_calls) + calls_with_conditions;
}

Status close_sandbox(SandboxMode mode, bool with_io_uring) {
  if (mode == SandboxMode::off) return {};
  Rules rules(mode);
  rules.allow(plain_calls);
  if (with_io_uring) rules.allow(ring_calls);
  for (const int call : dispensable_calls) rules.refuse(call, ENOSYS, {});
  add_file_rules(rules);
  add_memory_rules(rules);
  add_thread_rules(rules);
  add_socket_rules(rules);
  return rules.load();
}

Status close_keeper_sandbox(SandboxMode mode) {
  if (mode == SandboxMode::off) return {};
  Rules rules(mode);
  rules.allow(keeper_calls);
  add_memory_rules(rules);
  for (const int family : {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK}) rules.allow(SCMP_SYS(socket), {equals(0, family)});
  constexpr long name_to_index = 0x8933;  // SIOCGIFINDEX
  rules.allow(SCMP_SYS(ioctl), {equals(1, name_to_index)});
  return rules.load();
}

}  // namespace lt::app

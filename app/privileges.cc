#include "app/privileges.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <nss.h>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "base/fd.h"
#include "base/sanitizers.h"
#include "base/text.h"

namespace lt::app {

std::string_view name_of(Stage stage) {
  switch (stage) {
    case Stage::starting: return "starting";
    case Stage::configured: return "configured";
    case Stage::network_ready: return "network_ready";
    case Stage::listening: return "listening";
    case Stage::memory_guarded: return "memory_guarded";
    case Stage::user_changed: return "user_changed";
    case Stage::without_capabilities: return "without_capabilities";
    case Stage::sandboxed: return "sandboxed";
  }
  return "unknown";
}

Result<SandboxMode> parse_sandbox_mode(std::string_view text) {
  if (text == "enforce") return SandboxMode::enforce;
  if (text == "log") return SandboxMode::log;
  if (text == "off") return SandboxMode::off;
  return fail(Errc::invalid, printable(text, 40) + " is no mode of the sandbox; write enforce, log or off");
}

SandboxMode default_sandbox_mode() {
#if LT_HAS_ADDRESS_SANITIZER || LT_HAS_THREAD_SANITIZER
  return SandboxMode::off;
#else
  return SandboxMode::enforce;
#endif
}

void clear_surroundings() {
  // What the service manager says; nothing else of the environment means anything to the daemon. OPENSSL_CONF,
  // SSLKEYLOGFILE, RES_OPTIONS, LOCALDOMAIN, MALLOC_ and LD_ variables go. (security.md D-15)
  std::map<std::string, std::string> kept;
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "CREDENTIALS_DIRECTORY"}) {
    if (const char* value = ::secure_getenv(name)) kept[name] = value;
  }
  ::clearenv();
  for (const auto& [name, value] : kept) ::setenv(name.c_str(), value.c_str(), 1);
  for (const int number : {SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2}) std::signal(number, SIG_IGN);
  // Both are part of the C library itself; all other sources are loaded from files when first asked.
  ::__nss_configure_lookup("hosts", "files dns");
}

void forbid_dumps() {
#if !LT_HAS_ADDRESS_SANITIZER && !LT_HAS_THREAD_SANITIZER  // LeakSanitizer looks into its own process like a debugger
  ::prctl(PR_SET_DUMPABLE, 0);
#endif
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
}

Status lock_memory() {
  // Everything mapped from now on counts against the limit, touched or not: thread stacks and the allocator's
  // reservations alone are hundreds of MiB. A low limit would make them fail later, so only "no limit" will do.
  const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
  rlimit present{};
  ::setrlimit(RLIMIT_MEMLOCK, &unlimited);
  ::getrlimit(RLIMIT_MEMLOCK, &present);
  if (present.rlim_cur != RLIM_INFINITY) {
    return fail(Errc::not_permitted, "memory is not locked, so keys could reach the swap: set LimitMEMLOCK=infinity");
  }
  // On fault: only what is used is held.
  if (::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0) return fail_errno(errno, "memory is not locked");
  return {};
}

// --- user ---

Result<ServiceUser> find_service_user(const std::string& wanted) {
  if (::geteuid() != 0) return ServiceUser{"uid " + std::to_string(::geteuid()), ::geteuid(), ::getegid()};
  const std::string name = wanted.empty() ? std::string(service_user_name) : wanted;
  if (const passwd* found = ::getpwnam(name.c_str())) return ServiceUser{name, found->pw_uid, found->pw_gid};
  if (!wanted.empty()) {
    return fail(Errc::invalid, "there is no user " + printable(wanted, 40) +
                                   "; make one with `useradd --system --no-create-home`, or leave --user out");
  }
  // A number of the kind that systemd gives to services for their time; not known in a namespace of few users.
  const std::string map = read_file("/proc/self/uid_map", 4096).value_or("");
  for (const std::string_view line : split(map, '\n')) {
    const std::string_view row = trim(line);
    const auto first = parse_u64(row.substr(0, row.find(' ')));
    const auto count = parse_u64(row.substr(row.rfind(' ') + 1));
    const bool is_known = first && count && nobodys_uid >= *first && nobodys_uid - *first < *count;
    if (is_known && ::getpwuid(nobodys_uid) == nullptr) {
      return ServiceUser{"uid " + std::to_string(nobodys_uid), nobodys_uid, nobodys_uid};
    }
  }
  return ServiceUser{"root", 0, 0};
}

Status become(const ServiceUser& user) {
  if (::geteuid() == user.uid) return {};
  ::capng_clear(CAPNG_SELECT_BOTH);
  constexpr unsigned flags = CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING;
  const int result = ::capng_change_id(static_cast<int>(user.uid), static_cast<int>(user.gid), static_cast<capng_flags_t>(flags));
  if (result != 0) {
    return fail(Errc::not_permitted, "cannot become " + user.name + " (libcap-ng " + std::to_string(result) +
                                         "); start as root, or as that user with CAP_NET_ADMIN");
  }
  return {};
}

// --- capabilities ---

namespace {

Status apply_capabilities(const char* what) {
  // The bounding set is emptied first, while CAP_SETPCAP is still there; without it the set stays and grants nothing,
  // since no new privileges can come.
  static_cast<void>(::capng_apply(CAPNG_SELECT_BOUNDS));
  if (::capng_apply(CAPNG_SELECT_CAPS) != 0) return fail(Errc::io, std::string("cannot give up ") + what);
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno(errno, "cannot forbid new privileges");
  return {};
}

}  // namespace

Status drop_capabilities() {
  ::capng_clear(CAPNG_SELECT_BOTH);
  LT_CHECK(apply_capabilities("the capabilities"));
  forbid_dumps();  // a change of user has allowed them again
#if !LT_HAS_THREAD_SANITIZER  // it has a thread of its own, from before the first line of ours, which keeps what it was given
  LT_TRY(const PrivilegeReport left, inspect_privileges());
  if (left.capabilities != 0 || !left.no_new_privileges) return fail(Errc::io, "a capability is left after all were given up");
#endif
  return {};
}

Status keep_net_admin_only() {
  constexpr auto net_admin = 12;  // CAP_NET_ADMIN
  ::capng_clear(CAPNG_SELECT_BOTH);
  ::capng_updatev(CAPNG_ADD, static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED), net_admin, -1);
  LT_CHECK(apply_capabilities("all capabilities but CAP_NET_ADMIN"));
  forbid_dumps();
  return {};
}

// --- files ---

Result<bool> restrict_files() {
  landlock_ruleset_attr handled{};
  handled.handled_access_fs = (std::uint64_t{LANDLOCK_ACCESS_FS_MAKE_SYM} << 1) - 1;  // all of the first version
  const Fd rules(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0)));
  if (!rules.is_open()) return false;
  for (const char* folder : {"/etc", "/usr/share", "/run", "/proc"}) {
    const Fd opened(::open(folder, O_PATH | O_CLOEXEC));
    if (!opened.is_open()) continue;
    landlock_path_beneath_attr beneath{};
    beneath.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    beneath.parent_fd = opened.get();
    if (::syscall(SYS_landlock_add_rule, rules.get(), LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) != 0) {
      return fail_errno(errno, std::string("cannot restrict files below ") + folder);
    }
  }
  if (::syscall(SYS_landlock_restrict_self, rules.get(), 0) != 0) return fail_errno(errno, "cannot restrict files");
  return true;
}

// --- what holds ---

Result<PrivilegeReport> inspect_privileges() {
  PrivilegeReport report{.no_new_privileges = true, .filtered = true};
  std::error_code error;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task", error)) {
    const auto text = read_file(thread.path().string() + "/status", 16384);
    if (!text) continue;  // it has ended meanwhile
    ++report.threads;
    for (const std::string_view line : split(*text, '\n')) {
      const std::string_view value = trim(line.substr(std::min(line.size(), line.find(':') + 1)));
      if (line.starts_with("CapEff:") || line.starts_with("CapPrm:")) {
        report.capabilities |= std::strtoull(std::string(value).c_str(), nullptr, 16);
      }
      if (line.starts_with("NoNewPrivs:")) report.no_new_privileges &= value == "1";
      if (line.starts_with("Seccomp:")) report.filtered &= value == "2";
    }
  }
  if (report.threads == 0) return fail(Errc::io, "cannot read /proc/self/task");
  return report;
}

}  // namespace lt::app

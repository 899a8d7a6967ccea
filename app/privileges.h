// The daemon gives up what it was started with, in stages that go one way only:
//
//   starting             as it was started: root, or a user with CAP_NET_ADMIN
//   configured           config and keys are read. Must not: read another key file from here on
//   network_ready        device, addresses, routes and rules stand. Must not: have spoken to a peer
//   listening            the port is bound; nobody is accepted yet
//   memory_guarded       all of OpenSSL is loaded; memory is locked, and no dump of it can be taken
//   user_changed         runs as a user of its own, where it could
//   without_capabilities none is left in any set, and none can be gained
//   sandboxed            files can be read only, and all but the system calls of the steady state end the process
//
// Only a sandboxed daemon accepts or connects. What needs a privilege later is the keeper's (keeper.h).
// The door of libcap-ng and libseccomp. Source: security.md 10; docs/adr/0015-keeper-and-sandbox.md.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lt::app {

enum class Stage : std::uint8_t {
  starting,
  configured,
  network_ready,
  listening,
  memory_guarded,
  user_changed,
  without_capabilities,
  sandboxed,
};
[[nodiscard]] std::string_view name_of(Stage stage);

/// What happens at a system call that the daemon does not need.
enum class SandboxMode : std::uint8_t {
  enforce,  // the process is killed
  log,      // the kernel's audit log names it, and it is carried out: to find what a new library needs
  off,      // no filter, and files are not restricted: for debuggers and sanitizers
};
/// @error invalid: no such mode
[[nodiscard]] Result<SandboxMode> parse_sandbox_mode(std::string_view text);

/// A build with a sanitizer cannot live in the sandbox; all others enforce it.
[[nodiscard]] SandboxMode default_sandbox_mode();

/// Empties the environment but for what the service manager hands over, ignores SIGPIPE, SIGHUP, SIGUSR1 and
/// SIGUSR2, and takes the system's name service to be files and DNS: no plug-in is loaded into this process.
/// @pre one thread
void clear_surroundings();

/// No core file, no debugger, no /proc/PID/mem for others.
void forbid_dumps();

/// Keeps all memory of this process, now and later, out of swap.
/// @error not_permitted: the limit of locked memory is too low; the sentence names the cure
[[nodiscard]] Status lock_memory();

struct ServiceUser {
  std::string name;
  uid_t uid{0};
  gid_t gid{0};
  [[nodiscard]] bool is_own() const { return uid != 0; }
};

inline constexpr std::string_view service_user_name = "linktune";
/// A user that no system has: between those that systemd hands out (61184 to 65519) and no one's by name.
inline constexpr uid_t nobodys_uid = 61198;

/// Whom the daemon becomes. Started by another than root: whoever that is. By root: the user of that name; without a
/// name the user `linktune`; without such a user the number 61198, if it is nobody's and this system knows it; else
/// root, without capabilities.
/// @error invalid: there is no user of that name
[[nodiscard]] Result<ServiceUser> find_service_user(const std::string& wanted);

/// @error not_permitted, invalid: the system does not let us
[[nodiscard]] Status become(const ServiceUser& user);

/// Empties every set of capabilities, for good. @post forbid_dumps() holds @error io: something is left
[[nodiscard]] Status drop_capabilities();

/// Keeps CAP_NET_ADMIN alone: the keeper.
[[nodiscard]] Status keep_net_admin_only();

/// From here on this process opens files for reading only, below /etc, /usr/share, /run and /proc, by whichever call,
/// io_uring included. @return false where the kernel has no Landlock
[[nodiscard]] Result<bool> restrict_files();

/// Filters the system calls of all threads. @pre no_new_privs @error unsupported: the kernel has no such filter
/// @param with_io_uring  false: the data plane uses epoll, and io_uring's calls are closed, too
[[nodiscard]] Status close_sandbox(SandboxMode mode, bool with_io_uring);
[[nodiscard]] Status close_keeper_sandbox(SandboxMode mode);

/// How many system calls the daemon's filter lets through at all, io_uring's among them.
[[nodiscard]] std::size_t allowed_system_calls();

/// What the kernel says of this process, of all its threads together.
struct PrivilegeReport {
  std::uint64_t capabilities{0};  // effective or permitted, of any thread
  bool no_new_privileges{false};  // of all threads
  bool filtered{false};           // of all threads
  unsigned threads{0};
};
[[nodiscard]] Result<PrivilegeReport> inspect_privileges();

}  // namespace lt::app

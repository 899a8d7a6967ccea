#include "lab/netns.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

#include "base/text.h"

namespace lt::lab {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds term_patience{1000};
constexpr milliseconds kill_patience{2000};

struct Identity {
  dev_t device;
  ino_t inode;
  friend bool operator==(const Identity&, const Identity&) = default;
};

std::optional<Identity> identity_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return Identity{status.st_dev, status.st_ino};
}

std::optional<Identity> namespace_of(pid_t pid) {
  return identity_of("/proc/" + std::to_string(pid) + "/ns/net");
}

// Descriptors of the processes whose main thread is inside; a pidfd cannot come to mean another
// process.
std::vector<Fd> processes_inside(const Identity& inside) {
  std::vector<Fd> found;
  DIR* const directory = ::opendir("/proc");
  if (directory == nullptr) return found;
  while (const dirent* const entry = ::readdir(directory)) {
    const auto pid = parse_u64(entry->d_name);
    if (!pid || static_cast<pid_t>(*pid) == ::getpid()) continue;
    if (namespace_of(static_cast<pid_t>(*pid)) != inside) continue;
    Fd handle(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(*pid), 0)));
    // Asked again with the handle held: the number still means what was seen.
    if (handle.is_open() && namespace_of(static_cast<pid_t>(*pid)) == inside)
      found.push_back(std::move(handle));
  }
  ::closedir(directory);
  return found;
}

void signal_all(const std::vector<Fd>& processes, int number) {
  for (const Fd& process : processes)
    ::syscall(SYS_pidfd_send_signal, process.get(), number, nullptr, 0);
}

bool all_ended(const std::vector<Fd>& processes, milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (const Fd& process : processes) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd polled{process.get(), POLLIN, 0};
    if (::poll(&polled, 1, static_cast<int>(std::max(left, milliseconds(0)).count())) <= 0)
      return false;
  }
  return true;
}

void end_processes_inside(const Identity& inside) {
  if (inside == namespace_of(::getpid())) return;
  const std::vector<Fd> processes = processes_inside(inside);
  signal_all(processes, SIGTERM);
  if (all_ended(processes, term_patience)) return;
  const std::vector<Fd> stubborn = processes_inside(inside);
  signal_all(stubborn, SIGKILL);
  static_cast<void>(all_ended(stubborn, kill_patience));
}

Status enter(const std::string& name) {
  const Fd handle(::open(namespace_path(name).c_str(), O_RDONLY | O_CLOEXEC));
  if (!handle.is_open()) return fail_errno(errno, "no network namespace " + name);
  if (::setns(handle.get(), CLONE_NEWNET) != 0)
    return fail_errno(errno, "cannot enter the network namespace " + name);
  return {};
}

ifreq request_for(std::string_view device) {
  ifreq request{};
  const std::size_t length = std::min(device.size(), sizeof request.ifr_name - 1);
  std::memcpy(request.ifr_name, device.data(), length);
  return request;
}

}  // namespace

std::string namespace_path(const std::string& name) {
  return "/run/netns/" + name;
}

bool namespace_exists(const std::string& name) {
  return ::access(namespace_path(name).c_str(), F_OK) == 0;
}

Status add_namespaces(std::span<const std::string> names) {
  std::string lines;
  for (const std::string& name : names)
    lines += "netns add " + name + "\n";
  Status status = ip_batch(lines);
  if (!status && status.error().what.find("Operation not permitted") != std::string::npos) {
    return fail(Errc::not_permitted,
                "this system lets nobody make network namespaces: in a container, start it with "
                "the capabilities SYS_ADMIN and NET_ADMIN");
  }
  return status;
}

Status remove_namespace(const std::string& name) {
  const std::string path = namespace_path(name);
  const auto inside = identity_of(path);
  if (!inside) return {};
  end_processes_inside(*inside);
  // As `ip netns del` does: the kernel takes namespace and devices away once nothing holds them.
  if (::umount2(path.c_str(), MNT_DETACH) != 0 && errno != EINVAL)
    return fail_errno(errno, "cannot release " + path);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return fail_errno(errno, "cannot remove " + path);
  return {};
}

Status run_inside(const std::string& name, const std::function<Status()>& work) {
  Status status;
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread inside([&] {
    status = enter(name);
    if (status) status = work();
  });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  inside.join();
  return status;
}

Status ip_batch(const std::string& lines) {
  LT_TRY(const ProcessOutput output, run_process({"ip", "-batch", "-"}, {.input = lines}));
  if (output.exit_code == 0) return {};
  return fail(Errc::io, "ip refused: " + printable(trim(output.err), 300));
}

Status set_sysctl(const std::string& path, std::string_view value) {
  const std::string full = "/proc/sys/" + path;
  const Fd file(::open(full.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.is_open()) return fail_errno(errno, "cannot open " + full);
  if (::write(file.get(), value.data(), value.size()) < 0)
    return fail_errno(errno, "cannot write " + full);
  return {};
}

Result<Fd> make_tap(std::string_view device) {
  Fd tap(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!tap.is_open()) {
    return fail(Errc::not_found,
                "/dev/net/tun cannot be opened: load the module (modprobe tun), or give the "
                "container the device");
  }
  ifreq request = request_for(device);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (::ioctl(tap.get(), TUNSETIFF, &request) != 0)
    return fail_errno(errno, "cannot make the device " + std::string(device));
  return tap;
}

Status enable_gro(std::string_view device) {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) return fail_errno(errno, "cannot open a socket");
  ethtool_value value{.cmd = ETHTOOL_SGRO, .data = 1};
  ifreq request = request_for(device);
  request.ifr_data = reinterpret_cast<char*>(&value);
  if (::ioctl(socket.get(), SIOCETHTOOL, &request) != 0)
    return fail_errno(errno, "cannot turn on GRO of " + std::string(device));
  return {};
}

}  // namespace lt::lab

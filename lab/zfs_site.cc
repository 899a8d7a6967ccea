#include "lab/zfs_site.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <string_view>
#include <thread>

#include "base/fd.h"
#include "base/text.h"

namespace lt::lab {

namespace {

using namespace std::chrono_literals;

// Compiled into zfs-fuse and its zfs and zpool (0.7.0).
constexpr std::array fixed_folders{"/run/zfs", "/run/lock/zfs", "/var/lib/zfs"};
constexpr auto answer_patience = 10s;

std::string absolute(const std::string& program) {
  return find_program(program).value_or(program);
}

std::string last_line_of(const std::string& path) {
  const auto text = read_file(path, 1 << 20);
  if (!text) return "it wrote nothing";
  const std::string_view words = trim(*text);
  const auto line = words.rfind('\n');
  return printable(line == words.npos ? words : words.substr(line + 1), 200);
}

}  // namespace

Status check_machine_for_zfs() {
  if (::geteuid() != 0) return fail(Errc::not_permitted, "a ZFS of the lab's own needs root: run it with sudo");
  struct Need {
    const char* program;
    const char* package;
  };
  for (const Need need : {Need{"zfs-fuse", "zfs-fuse"}, Need{"zfs", "zfs-fuse"}, Need{"zpool", "zfs-fuse"},
                          Need{"unshare", "util-linux"}, Need{"nsenter", "util-linux"}, Need{"mount", "mount"}}) {
    if (!find_program(need.program)) {
      return fail(Errc::not_found, std::string(need.program) + " is not installed: apt-get install " + need.package);
    }
  }
  const Fd fuse(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!fuse.is_open()) {
    return fail(Errc::unsupported, "this machine has no FUSE (/dev/fuse cannot be opened), which zfs-fuse needs: modprobe fuse");
  }
  return {};
}

Result<ZfsSite> ZfsSite::start(const ZfsSiteOptions& options) {
  LT_CHECK(check_machine_for_zfs());
  ZfsSite site;
  site.options_ = options;
  LT_TRY(site.namespace_holder_, Child::start({.argv = {"unshare", "--mount", "--propagation", "private", "sleep", "infinity"}}));
  LT_CHECK(site.cover_fixed_folders());
  LT_CHECK(site.start_daemon());
  return site;
}

Status ZfsSite::cover_fixed_folders() {
  // unshare has made the namespace when it has become `sleep`; until then it would be the machine's own.
  const std::string holder = "/proc/" + std::to_string(namespace_holder_.pid());
  const auto until = std::chrono::steady_clock::now() + answer_patience;
  while (true) {
    std::error_code ignored;
    const auto own = std::filesystem::read_symlink("/proc/self/ns/mnt", ignored);
    const auto its = std::filesystem::read_symlink(holder + "/ns/mnt", ignored);
    const auto program = std::filesystem::read_symlink(holder + "/exe", ignored).filename();
    if (!its.empty() && its != own && program != "unshare") break;
    if (!namespace_holder_.is_running() || std::chrono::steady_clock::now() > until) {
      return fail(Errc::not_permitted, "the kernel refuses a mount namespace: run it as root, outside an unprivileged container");
    }
    std::this_thread::sleep_for(1ms);
  }
  for (const char* folder : fixed_folders) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) return fail(Errc::io, std::string("cannot make ") + folder + ": " + error.message());
    LT_TRY(const std::string ignored, run_checked(exec({"mount", "-t", "tmpfs", "linktune-zfs", folder})));
  }
  return {};
}

Status ZfsSite::start_daemon() {
  const std::string log = options_.folder + "/zfs-fuse.log";
  LT_TRY(daemon_, Child::start({.argv = exec({"zfs-fuse", "--no-daemon", "--no-kstat-mount", "--max-arc-size",
                                              std::to_string(options_.cache_mb)}),
                                .output_path = log}));
  const auto until = std::chrono::steady_clock::now() + answer_patience;
  while (true) {
    LT_TRY(const ProcessOutput answer, run_process(exec({"zpool", "list", "-H"}), {.deadline = answer_patience}));
    if (answer.exit_code == 0) return {};
    if (!daemon_.is_running() || std::chrono::steady_clock::now() > until) {
      return fail(Errc::timed_out, "zfs-fuse does not answer: " + last_line_of(log));
    }
    std::this_thread::sleep_for(5ms);
  }
}

Argv ZfsSite::exec(const Argv& argv) const {
  return exec({}, argv);
}

Argv ZfsSite::exec(const std::string& network, const Argv& argv) const {
  Argv inside{"nsenter", "--mount=/proc/" + std::to_string(namespace_holder_.pid()) + "/ns/mnt"};
  if (!network.empty()) inside.push_back("--net=" + network);
  inside.push_back("--");
  if (!options_.program_path.empty()) inside.insert(inside.end(), {absolute("env"), "PATH=" + options_.program_path});
  inside.push_back(options_.program_path.empty() ? absolute(argv.front()) : argv.front());
  inside.insert(inside.end(), argv.begin() + 1, argv.end());
  return inside;
}

Result<std::string> ZfsSite::zfs(const Argv& arguments) const {
  Argv argv{"zfs"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run_checked(exec(argv));
}

Result<std::string> ZfsSite::zpool(const Argv& arguments) const {
  Argv argv{"zpool"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run_checked(exec(argv));
}

Status ZfsSite::create_pool(const std::string& pool, std::uint64_t bytes) {
  const std::string disk = disk_of(pool);
  {
    const Fd file(::open(disk.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file.is_open() || ::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) {
      return fail_errno(errno, "cannot make the pool's file " + disk);
    }
  }
  if (::mkdir(mount_of(pool).c_str(), 0755) != 0 && errno != EEXIST) {
    return fail_errno(errno, "cannot make " + mount_of(pool));
  }
  LT_TRY(const std::string ignored, zpool({"create", "-f", "-m", mount_of(pool), pool, disk}));
  return {};
}

std::string ZfsSite::disk_of(const std::string& pool) const {
  return options_.folder + "/" + pool + ".disk";
}

std::string ZfsSite::mount_of(const std::string& pool) const {
  return options_.folder + "/" + pool;
}

std::string ZfsSite::seen_from_here(const std::string& path) const {
  return "/proc/" + std::to_string(namespace_holder_.pid()) + "/root" + path;
}

void ZfsSite::crash() {
  daemon_.signal(SIGKILL);
  (void)daemon_.wait(answer_patience);
}

Status ZfsSite::restart() {
  crash();
  // What it had mounted is left without a server: the mount points must be free before they are used again.
  LT_TRY(const ProcessOutput ignored, run_process(exec({"umount", "--all", "--lazy", "--types", "fuse.zfs"})));
  LT_CHECK(start_daemon());
  LT_TRY(const std::string mounted, zfs({"mount", "-a"}));  // as the init script does
  return {};
}

}  // namespace lt::lab

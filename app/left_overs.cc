#include "app/left_overs.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>
#include <vector>

#include "app/trial_side.h"
#include "base/pipe.h"
#include "base/text.h"
#include "tunnel/netlink.h"

namespace lt::app {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds gentle{5'000};  // a daemon under trial puts the kernel's state back within four seconds
constexpr milliseconds settled{300};   // a child between fork and exec has no arguments of its own yet
constexpr milliseconds device_patience{3'000};
constexpr milliseconds turn{50};
constexpr char good_bye = '.';

// By their arguments: `--config FOLDER/...`. Never this program, never a watcher.
std::vector<pid_t> processes_of(const std::string& folder) {
  std::vector<pid_t> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const auto pid = parse_u64(entry.path().filename().string());
    if (!pid || static_cast<pid_t>(*pid) == ::getpid()) continue;
    const auto arguments = read_file(entry.path().string() + "/cmdline", 1 << 16);
    if (!arguments) continue;
    bool is_ours = false;
    for (const std::string_view argument : split(*arguments, '\0')) {
      if (argument == "watch") break;
      is_ours = is_ours || argument == folder || argument.starts_with(folder + "/");
    }
    if (is_ours) found.push_back(static_cast<pid_t>(*pid));
  }
  return found;
}

void end_processes(const std::string& folder) {
  const auto began = steady_clock::now();
  auto quiet_since = began;
  for (;;) {
    const auto left = processes_of(folder);
    const auto now = steady_clock::now();
    if (!left.empty()) quiet_since = now;
    if (now - quiet_since > settled || now - began > 2 * gentle) return;
    for (const pid_t pid : left) ::kill(pid, now - began > gentle ? SIGKILL : SIGTERM);
    std::this_thread::sleep_for(turn);
  }
}

// A killed daemon's device lives until the kernel has ended its I/O.
Status clear_network(const std::string& device) {
  const auto until = steady_clock::now() + device_patience;
  for (;;) {
    const auto removed = tunnel::remove_left_overs(device);
    if (removed) return {};
    if (removed.error().code != Errc::busy || steady_clock::now() > until) return fail(removed.error());
    std::this_thread::sleep_for(turn);
  }
}

Result<Fd> lock_folder(const std::string& path, bool waits) {
  Fd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder.is_open()) return fail_errno(errno, "cannot open " + path);
  if (::flock(folder.get(), LOCK_EX | (waits ? 0 : LOCK_NB)) != 0) return fail_errno(errno, "cannot lock " + path);
  return folder;
}

// Whether `folder` is still what the path names.
bool is_there(const Fd& folder, const std::string& path) {
  struct stat held {};
  struct stat named {};
  return ::fstat(folder.get(), &held) == 0 && ::stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino;
}

Result<Fd> take_lock(const std::string& path, const std::string& device) {
  constexpr int tries_max = 8;
  for (int tries = 0; tries < tries_max; ++tries) {
    const bool is_new = ::mkdir(path.c_str(), 0700) == 0;
    if (!is_new && errno != EEXIST) return fail_errno(errno, "cannot make " + path);
    auto lock = lock_folder(path, false);
    if (!lock && lock.error().code == Errc::not_found) continue;
    if (!lock) return fail(Errc::busy, "a sweep of this site runs already, or is just being taken down: " + path + " is held");
    if (!is_there(*lock, path)) continue;
    if (is_new) return lock;
    LT_CHECK(clear_trials(path, device));
  }
  return fail(Errc::busy, path + " changes hands all the time");
}

}  // namespace

std::string trial_folder_path(const std::string& run_directory, const std::string& site) {
  return run_directory + "/sweep-" + site;
}

Status clear_abandoned(const std::string& run_directory, const std::string& site, const std::string& device) {
  std::error_code error;
  const std::string path = std::filesystem::absolute(trial_folder_path(run_directory, site), error).string();
  const auto lock = lock_folder(path, false);
  if (!lock || !is_there(*lock, path)) return {};
  return clear_trials(path, device);
}

Result<TrialFolder> TrialFolder::take(const std::string& run_directory, const std::string& site, const std::string& device) {
  std::error_code error;
  std::filesystem::create_directories(run_directory, error);
  if (error) return fail_errno(error.value(), "cannot make " + run_directory);
  const std::string path = std::filesystem::absolute(trial_folder_path(run_directory, site), error).string();
  LT_TRY(Fd lock, take_lock(path, device));
  LT_TRY(Pipe pipe, make_pipe());
  const Fd nothing(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  LT_TRY(Child watcher, Child::start({own_program(), "sweep", "watch", "--folder", path, "--device", device},
                                     {pipe.read_end.get(), nothing.get(), nothing.get()}, Lifetime::its_own));
  return TrialFolder(path, std::move(lock), std::move(watcher), std::move(pipe.write_end));
}

TrialFolder::~TrialFolder() {
  if (!pipe_.is_open()) return;  // moved from
  if (::write(pipe_.get(), &good_bye, 1) != 1) { /* then it clears what is cleared below */
  }
  pipe_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Status watch_trials(const std::string& folder, const std::string& device) {
  // It outlives whoever started it, and whatever told that one to end.
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) ::signal(number, SIG_IGN);
  char word = 0;
  ssize_t count = 0;
  do {
    count = ::read(STDIN_FILENO, &word, 1);
  } while (count < 0 && errno == EINTR);
  if (count == 1 && word == good_bye) return {};
  const auto lock = lock_folder(folder, true);
  if (!lock) return {};  // somebody has cleared already
  if (!is_there(*lock, folder)) return {};
  return clear_trials(folder, device);
}

Status clear_trials(const std::string& folder, const std::string& device) {
  end_processes(folder);
  const Status network = clear_network(device);
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  if (!network) return fail(with_context(network.error(), "what a trial has left cannot be removed"));
  if (error) return fail_errno(error.value(), "cannot remove " + folder);
  if (!processes_of(folder).empty()) return fail(Errc::io, "processes of a trial do not end");
  return {};
}

}  // namespace lt::app

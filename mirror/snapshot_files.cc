#include "mirror/snapshot_files.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include "base/process.h"
#include "base/text.h"
#include "configs/mirror_config.h"

namespace lt::mirror {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view look_prefix = "linktune-look-";
constexpr auto unmount_patience = std::chrono::seconds(20);

// A file system in user space lets go of a mount some time after it was unmounted.
void destroy_clone(const std::string& clone) {
  const auto until = std::chrono::steady_clock::now() + unmount_patience;
  while (true) {
    const auto ended = run_process({"zfs", "destroy", clone});
    if (!ended || ended->exit_code == 0 || ended->err.find("does not exist") != std::string::npos) return;
    if (std::chrono::steady_clock::now() > until) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

void destroy_abandoned(const std::string& pool) {
  const auto listing = run_process({"zfs", "list", "-H", "-d", "1", "-o", "name", "-t", "filesystem", pool});
  if (!listing || listing->exit_code != 0) return;
  for (const std::string_view name : split(listing->out, '\n')) {
    const std::string prefix = pool + "/" + std::string(look_prefix);
    if (!name.starts_with(prefix)) continue;
    const auto rest = name.substr(prefix.size());
    const auto pid = parse_u64(rest.substr(0, rest.find('-')));
    if (!pid || *pid == 0 || *pid > 4'194'304) continue;  // PID_MAX_LIMIT
    if (::kill(static_cast<pid_t>(*pid), 0) == 0 || errno != ESRCH) continue;
    destroy_clone(std::string(name));
  }
}

}  // namespace

Result<SnapshotFiles> SnapshotFiles::open(const std::string& snapshot) {
  const auto at = snapshot.find('@');
  const std::string dataset = snapshot.substr(0, at);
  if (at == snapshot.npos || at + 1 == snapshot.size() || !configs::is_dataset_name(dataset) || snapshot.find('/', at) != snapshot.npos) {
    return fail(Errc::invalid, "\"" + printable(snapshot, 200) + "\" is not a snapshot: write DATASET@NAME");
  }
  LT_TRY(const std::string listing, run_checked({"zfs", "get", "-Hp", "-o", "property,value", "type,mountpoint", dataset}));
  std::string mountpoint;
  for (const std::string_view line : split(listing, '\n')) {
    const auto fields = split(line, '\t');
    if (fields.size() != 2) continue;
    if (fields[0] == "type" && fields[1] == "volume") return fail(Errc::invalid, dataset + " is a volume: it has no files; its snapshots are proven by their GUIDs");
    if (fields[0] == "mountpoint") mountpoint = fields[1];
  }
  SnapshotFiles files;
  files.folder_ = mountpoint + "/.zfs/snapshot/" + snapshot.substr(at + 1);
  std::error_code ignored;
  if (mountpoint.starts_with('/') && fs::is_directory(files.folder_, ignored)) return files;
  LT_TRY(const std::string known, run_checked({"zfs", "get", "-Hp", "-o", "value", "guid", snapshot}));
  const std::string pool = dataset.substr(0, dataset.find('/'));
  destroy_abandoned(pool);
  std::string scratch = "/tmp/linktune-look.XXXXXX";
  if (::mkdtemp(scratch.data()) == nullptr) return fail_errno(errno, "cannot make a folder below /tmp");
  files.scratch_ = scratch;
  files.folder_ = scratch + "/files";
  if (::mkdir(files.folder_.c_str(), 0700) != 0) return fail_errno(errno, "cannot make " + files.folder_);
  static std::atomic<unsigned> count{0};
  const std::string clone = pool + "/" + std::string(look_prefix) + std::to_string(::getpid()) + "-" + std::to_string(++count);
  LT_TRY(const std::string made, run_checked({"zfs", "clone", "-o", "readonly=on", "-o", "mountpoint=" + files.folder_, snapshot, clone}));
  files.clone_ = clone;
  return files;
}

SnapshotFiles::~SnapshotFiles() {
  if (!clone_.empty()) destroy_clone(clone_);
  std::error_code ignored;
  if (!scratch_.empty()) {
    fs::remove(scratch_ + "/files", ignored);  // only where it is empty: never what is mounted there
    fs::remove(scratch_, ignored);
  }
}

}  // namespace lt::mirror

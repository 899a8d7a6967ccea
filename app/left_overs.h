// What trials leave when their owner is killed, and who takes it away.
//
// All of a site's trial state hangs on one folder, RUN_DIR/sweep-SITE: the trial's processes have its path among
// their arguments, its files lie in it, its device goes with its processes. Whoever holds the folder's lock owns the
// trials of the site. The owner is killed -> the lock is free; the watcher beside it sees its pipe close, takes the
// lock and clears; were that killed, too, the next owner does it before it begins.
//
//     owned --(owner closes the pipe after a word)--> gone, the owner has cleared by itself
//     owned --(pipe closes without a word)----------> the watcher clears, and ends
#pragma once

#include <string>

#include "base/fd.h"
#include "base/process.h"
#include "base/result.h"

namespace lt::app {

/// RUN_DIR/sweep-SITE, held. Its files are its owner's; it goes with this object.
class TrialFolder {
 public:
  /// Clears what an owner before left. @error busy: somebody else holds it · not_permitted: it cannot be made
  [[nodiscard]] static Result<TrialFolder> take(const std::string& run_directory, const std::string& site, const std::string& device);
  TrialFolder(TrialFolder&&) noexcept = default;
  ~TrialFolder();

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  TrialFolder(std::string path, Fd lock, Child watcher, Fd pipe)
      : path_(std::move(path)), lock_(std::move(lock)), watcher_(std::move(watcher)), pipe_(std::move(pipe)) {}

  std::string path_;
  Fd lock_;
  Child watcher_;
  Fd pipe_;  // closing it without a word calls the watcher
};

/// Clears what a killed owner has left, if there is any; what is held stays.
[[nodiscard]] Status clear_abandoned(const std::string& run_directory, const std::string& site, const std::string& device);
[[nodiscard]] std::string trial_folder_path(const std::string& run_directory, const std::string& site);

/// `linktune sweep watch`: waits for the end of standard input; without a word before it, clears.
[[nodiscard]] Status watch_trials(const std::string& folder, const std::string& device);

/// Ends every process with `folder` among its arguments, removes what a link of `device` put into the kernel, then
/// the folder. @error io: something is left
[[nodiscard]] Status clear_trials(const std::string& folder, const std::string& device);

}  // namespace lt::app

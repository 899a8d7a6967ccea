// NewFiles: several new files, all or none of them.
#pragma once

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace lt::app {

/// Remembers what was made and removes it, newest first, unless keep() is called.
class NewFiles {
 public:
  NewFiles() = default;
  ~NewFiles();
  NewFiles(const NewFiles&) = delete;
  NewFiles& operator=(const NewFiles&) = delete;

  /// @error exists: one of the paths is there, as whatever kind of entry
  [[nodiscard]] static Status refuse_existing(const std::vector<std::string>& paths);

  /// A folder of mode 0700, unless it is there already; only a new one would be removed.
  /// @error exists: something else has that name · not_found: the folder above it is missing
  [[nodiscard]] Status add_folder(const std::string& path);
  /// A file with this content. @error as write_file
  [[nodiscard]] Status add_file(const std::string& path, const std::string& text, unsigned mode);
  /// A file that somebody else has just made.
  void add(std::string path) { paths_.push_back(std::move(path)); }

  void keep() { is_kept_ = true; }

 private:
  std::vector<std::string> paths_;
  bool is_kept_{false};
};

inline NewFiles::~NewFiles() {
  if (is_kept_) return;
  std::error_code ignored;  // a folder that somebody else has put a file into stays
  for (auto path = paths_.rbegin(); path != paths_.rend(); ++path)
    std::filesystem::remove(*path, ignored);
}

inline Status NewFiles::refuse_existing(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    struct stat ignored {};
    if (::lstat(path.c_str(), &ignored) == 0) {
      return fail(
          Errc::exists,
          path +
              " exists already and is never overwritten; choose another folder, or move it away");
    }
    if (errno != ENOENT) return fail_errno(errno, "cannot look at " + path);
  }
  return {};
}

inline Status NewFiles::add_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0) {
    add(path);
    return {};
  }
  if (errno != EEXIST) return fail_errno(errno, "cannot make the folder " + path);
  struct stat found {};
  if (::stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode)) return {};
  return fail(Errc::exists, path + " is not a folder; choose another name");
}

inline Status NewFiles::add_file(const std::string& path, const std::string& text, unsigned mode) {
  LT_CHECK(write_file(path, text, mode));
  add(path);
  return {};
}

}  // namespace lt::app

#include "app/scratch_folder.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

namespace lt::app {

Result<ScratchFolder> ScratchFolder::create(const std::string& purpose) {
  std::error_code error;
  const auto base = std::filesystem::temp_directory_path(error);
  std::string path = (error ? std::string("/tmp") : base.string()) + "/linktune-" + purpose + ".XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return fail_errno(errno, "cannot make a folder in " + base.string());
  return ScratchFolder(path);
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

Result<std::string> ScratchFolder::add(const std::string& name) const {
  const std::string path = path_ + "/" + name;
  if (::mkdir(path.c_str(), 0700) != 0) return fail_errno(errno, "cannot make " + path);
  return path;
}

}  // namespace lt::app

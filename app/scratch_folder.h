// ScratchFolder: a folder of mode 0700 for the files of one run; it goes with this object.
#pragma once

#include <string>
#include <utility>

#include "base/result.h"

namespace lt::app {

class ScratchFolder {
 public:
  [[nodiscard]] static Result<ScratchFolder> create(const std::string& purpose);
  ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ~ScratchFolder();

  [[nodiscard]] const std::string& path() const { return path_; }
  /// A folder inside it, new and of mode 0700.
  [[nodiscard]] Result<std::string> add(const std::string& name) const;

 private:
  explicit ScratchFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace lt::app

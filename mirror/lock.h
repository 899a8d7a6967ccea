// A lock that several programs agree on: held by an open file, gone with the program that holds it.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace lt::mirror {

class Lock {
 public:
  /// @param name  of what is locked; any text @error busy: another program has it
  [[nodiscard]] static Result<Lock> take(const std::string& folder, const std::string& name);

 private:
  explicit Lock(Fd file) : file_(std::move(file)) {}
  Fd file_;
};

}  // namespace lt::mirror

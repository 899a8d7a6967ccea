// Fd: the sole owner of a file descriptor.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace lt {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int raw) : raw_(raw) {}
  ~Fd() { reset(); }
  Fd(Fd&& other) noexcept : raw_(std::exchange(other.raw_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      raw_ = std::exchange(other.raw_, -1);
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  explicit operator bool() const = delete;  // 0 is a descriptor

  [[nodiscard]] bool is_open() const { return raw_ >= 0; }
  [[nodiscard]] int get() const { return raw_; }
  [[nodiscard]] int release() { return std::exchange(raw_, -1); }
  void reset();

 private:
  int raw_{-1};
};

/// Reads a whole file of at most `bytes_max` bytes. @error limit: the file is larger
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t bytes_max);

/// Writes `text` to a new file beside `path` and renames it over `path`, so that no reader sees half of it.
/// The file has mode `mode` from its first byte on. Only a file is ever replaced: a device or a pipe (`/dev/stdout`) is
/// written into, and so is a link to where the standard output goes. @error invalid: `path` is a symbolic link to a file, or to nothing
[[nodiscard]] Status write_file(const std::string& path, std::string_view text, unsigned mode);

[[nodiscard]] Status set_nonblocking(int fd, bool nonblocking);

}  // namespace lt

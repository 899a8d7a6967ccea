// LineFile: a journal of lines. Each is on the disk when append() returns; a torn last line is what a crash leaves, and
// is cut off before the next is written. One program writes at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace lt {

/// @thread one
class LineFile {
 public:
  /// A new file of mode 0600. @error exists: there is a journal at `path`; it is not touched
  [[nodiscard]] static Result<LineFile> create(const std::string& path);
  /// Goes on behind the first `bytes` of the file; what follows them is a torn line, and is cut off.
  /// @error busy: another program is writing it
  [[nodiscard]] static Result<LineFile> reopen(const std::string& path, std::uint64_t bytes);

  /// On the disk when it returns. @error limit: the disk is full. @pre `line` holds no line feed
  [[nodiscard]] Status append(std::string_view line);

 private:
  LineFile(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  [[nodiscard]] Status lock() const;

  Fd fd_;
  std::string path_;
};

}  // namespace lt

#include "base/fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace lt {

void Fd::reset() {
  if (raw_ >= 0) ::close(raw_);
  raw_ = -1;
}

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // never waits on a FIFO
  if (!fd.is_open()) return fail_errno(errno, "cannot open " + path);
  std::string text;
  char chunk[16384];
  for (;;) {
    const auto count = ::read(fd.get(), chunk, sizeof chunk);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "cannot read " + path);
    if (count == 0) return text;
    text.append(chunk, static_cast<std::size_t>(count));
    if (text.size() > bytes_max) {
      return fail(Errc::limit, path + " is larger than " + std::to_string(bytes_max) + " bytes");
    }
  }
}

namespace {

Status write_whole(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const auto count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "cannot write " + path);
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

// A device or a pipe: renaming over it would take it away from everybody.
Status write_into(const std::string& path, std::string_view text) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd.is_open()) return fail_errno(errno, "cannot open " + path);
  return write_whole(fd.get(), text, path);
}

// As `/dev/stdout` is, to wherever the shell has sent it.
bool is_standard_output(const struct stat& file) {
  struct stat output {};
  return ::fstat(STDOUT_FILENO, &output) == 0 && output.st_dev == file.st_dev && output.st_ino == file.st_ino;
}

}  // namespace

Status write_file(const std::string& path, std::string_view text, unsigned mode) {
  struct stat itself {};
  struct stat target {};
  const bool is_link = ::lstat(path.c_str(), &itself) == 0 && S_ISLNK(itself.st_mode);
  const bool is_there = ::stat(path.c_str(), &target) == 0;
  if (is_there && !S_ISREG(target.st_mode) && !S_ISDIR(target.st_mode)) return write_into(path, text);
  if (is_link && is_there && is_standard_output(target)) return write_whole(STDOUT_FILENO, text, path);
  if (is_link) return fail(Errc::invalid, path + " is a symbolic link; name the file it points to");
  std::string temporary = path + ".XXXXXX";
  const Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.is_open()) return fail_errno(errno, "cannot create " + path);
  Status status = ::fchmod(fd.get(), mode) == 0 ? write_whole(fd.get(), text, path)
                                                : Status(fail_errno(errno, "cannot set the mode of " + path));
  if (status && ::fsync(fd.get()) != 0) status = fail_errno(errno, "cannot write " + path);
  if (status && ::rename(temporary.c_str(), path.c_str()) != 0) {
    status = fail_errno(errno, "cannot create " + path);
  }
  if (!status) ::unlink(temporary.c_str());
  return status;
}

Status set_nonblocking(int fd, bool nonblocking) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return fail_errno(errno, "cannot read the flags of a descriptor");
  const int wanted = nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  if (::fcntl(fd, F_SETFL, wanted) != 0) return fail_errno(errno, "cannot set the flags of a descriptor");
  return {};
}

}  // namespace lt

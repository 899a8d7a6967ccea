#include "base/line_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace lt {

namespace {

Status sync_directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.is_open() || ::fsync(fd.get()) != 0) return fail_errno(errno, "cannot write " + directory);
  return {};
}

}  // namespace

Result<LineFile> LineFile::create(const std::string& path) {
  Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600));
  if (!fd.is_open() && errno == EEXIST) {
    return fail(Errc::exists, "there is a journal at " + path + " already; go on with --resume " + path +
                                  ", or name another file");
  }
  if (!fd.is_open()) return fail_errno(errno, "cannot make the journal " + path);
  LineFile file(std::move(fd), path);
  LT_CHECK(file.lock());
  LT_CHECK(sync_directory_of(path));
  return file;
}

Result<LineFile> LineFile::reopen(const std::string& path, std::uint64_t bytes) {
  Fd fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!fd.is_open()) return fail_errno(errno, "cannot open the journal " + path);
  LineFile file(std::move(fd), path);
  LT_CHECK(file.lock());
  struct stat about{};
  if (::fstat(file.fd_.get(), &about) != 0) return fail_errno(errno, "cannot read the journal " + path);
  const auto kept = static_cast<off_t>(bytes);
  if (about.st_size > kept && ::ftruncate(file.fd_.get(), kept) != 0) {
    return fail_errno(errno, "cannot cut the torn line off " + path);
  }
  return file;
}

Status LineFile::lock() const {
  if (::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) return {};
  return fail(Errc::busy, "another program is writing the journal " + path_);
}

Status LineFile::append(std::string_view line) {
  const std::string whole = std::string(line) + "\n";
  std::string_view rest = whole;
  while (!rest.empty()) {
    const auto count = ::write(fd_.get(), rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "cannot write the journal " + path_);
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  if (::fdatasync(fd_.get()) != 0) return fail_errno(errno, "cannot write the journal " + path_);
  return {};
}

}  // namespace lt

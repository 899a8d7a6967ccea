#include "mirror/lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

namespace lt::mirror {

namespace {

/// `name` as a file's: every byte that is no letter or digit as =XX.
std::string file_name(const std::string& name) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string made;
  for (const char c : name) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    const auto byte = static_cast<unsigned char>(c);
    made += is_plain ? std::string(1, c)
                     : std::string{'=', digits[byte >> 4], digits[byte & 15]};
  }
  return made;
}

}  // namespace

Result<Lock> Lock::take(const std::string& folder, const std::string& name) {
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    return fail_errno(errno, "cannot make the folder " + folder);
  const std::string path = folder + "/" + file_name(name);
  Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.is_open()) return fail_errno(errno, "cannot open the lock " + path);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return Lock(std::move(file));
  if (errno != EWOULDBLOCK) return fail_errno(errno, "cannot take the lock " + path);
  return fail(Errc::busy, name + " is being mirrored by another linktune; wait for it to end");
}

}  // namespace lt::mirror

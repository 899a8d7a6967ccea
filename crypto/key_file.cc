#include "crypto/key_file.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/fd.h"
#include "base/text.h"
#include "crypto/identity.h"
#include "crypto/kdf.h"

namespace lt::crypto {

namespace {

constexpr std::size_t shown_path_chars_max = 200;

std::string shown(std::string_view path) {
  return printable(path, shown_path_chars_max);
}

struct Location {
  std::string directory;
  std::string name;
};

Location locate(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return {.directory = ".", .name = path};
  return {.directory = slash == 0 ? "/" : path.substr(0, slash), .name = path.substr(slash + 1)};
}

/// Whether `directory` is the one in which systemd hands over credentials.
bool is_credentials_directory(const struct stat& directory) {
  const char* const named = ::secure_getenv("CREDENTIALS_DIRECTORY");
  struct stat credentials {};
  return named != nullptr && ::stat(named, &credentials) == 0 &&
         credentials.st_dev == directory.st_dev && credentials.st_ino == directory.st_ino;
}

Status check_directory(const struct stat& directory, const Location& at) {
  // In a sticky directory such as /tmp only the owner of a file can replace it.
  const bool others_write = (directory.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  if (others_write && (directory.st_mode & S_ISVTX) == 0) {
    return fail(Errc::not_permitted, "others can replace files in " + shown(at.directory) +
                                         ", so no key there is safe; run: chmod go-w " +
                                         shown(at.directory));
  }
  return {};
}

Status check_file(const struct stat& file, const std::string& path, const SecretFileKind& kind,
                  bool is_credential) {
  const std::string name = shown(path);
  if (!S_ISREG(file.st_mode)) {
    return fail(Errc::invalid, name + " is not a regular file; give the path of the " +
                                   std::string(kind.name) + " file itself");
  }
  if (file.st_uid != 0 && file.st_uid != ::geteuid()) {
    return fail(Errc::not_permitted, name + " belongs to another user (uid " +
                                         std::to_string(file.st_uid) + "); run: chown " +
                                         std::to_string(::geteuid()) + " " + name);
  }
  const mode_t allowed_to_others = is_credential ? S_IRGRP : mode_t{0};
  if ((file.st_mode & (S_IRWXG | S_IRWXO) & ~allowed_to_others) != 0) {
    return fail(Errc::not_permitted,
                name + " can be read or changed by others; run: chmod 600 " + name);
  }
  if (file.st_size > static_cast<off_t>(secret_file_bytes_max)) {
    return fail(Errc::invalid, name + " is larger than " + std::to_string(secret_file_bytes_max) +
                                   " bytes, so it is not a " + std::string(kind.name) + " file");
  }
  return {};
}

Result<Fd> open_checked(const std::string& path, const SecretFileKind& kind) {
  const Location at = locate(path);
  if (at.name.empty()) {
    return fail(Errc::invalid, shown(path) + " names no file; give the path of the " +
                                   std::string(kind.name) + " file");
  }
  const Fd directory(::open(at.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory.is_open())
    return fail_errno(errno, "cannot open directory " + shown(at.directory));
  struct stat directory_status {};
  if (::fstat(directory.get(), &directory_status) != 0) {
    return fail_errno(errno, "cannot look at directory " + shown(at.directory));
  }
  const bool is_credential = is_credentials_directory(directory_status);
  LT_CHECK(check_directory(directory_status, at));

  Fd file(::openat(directory.get(), at.name.c_str(),
                   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (!file.is_open() && errno == ELOOP) {
    return fail(Errc::invalid, shown(path) +
                                   " is a symbolic link, which could be turned to another file; "
                                   "give the path of the file it points to");
  }
  if (!file.is_open() && errno == ENOENT) {
    return fail(Errc::not_found, "there is no " + std::string(kind.name) + " file " + shown(path) +
                                   "; make one with: " + std::string(kind.make_one));
  }
  if (!file.is_open()) return fail_errno(errno, "cannot open " + shown(path));
  struct stat file_status {};
  if (::fstat(file.get(), &file_status) != 0) {
    return fail_errno(errno, "cannot look at " + shown(path));
  }
  LT_CHECK(check_file(file_status, path, kind, is_credential));
  return file;
}

/// What a file holds, in memory that is wiped.
struct SecretText {
  Secret<secret_file_bytes_max + 1> bytes;  // one more: a file that grew meanwhile is seen
  std::size_t size = 0;

  [[nodiscard]] std::string_view text() const { return as_text(bytes.reveal().first(size)); }
};

Status read_whole(int fd, const std::string& path, SecretText& into) {
  const ByteSpan room = into.bytes.writable();
  while (into.size < room.size()) {
    const auto count = ::read(fd, room.data() + into.size, room.size() - into.size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "cannot read " + shown(path));
    if (count == 0) return {};
    into.size += static_cast<std::size_t>(count);
  }
  return fail(Errc::invalid,
              shown(path) + " is larger than " + std::to_string(secret_file_bytes_max) + " bytes");
}

/// Strict: the one spelling that encoding gives back. Leaves no copy behind.
bool decode_key(std::string_view text, Secret<32>& key) {
  if (text.size() != key_text_chars) return false;
  Secret<33> decoded;  // OpenSSL counts the padding as a zero byte
  const int count = EVP_DecodeBlock(decoded.writable().data(), as_bytes(text).data(),
                                    static_cast<int>(text.size()));
  if (count != 33) return false;
  Secret<key_text_chars + 1> again;
  EVP_EncodeBlock(again.writable().data(), decoded.reveal().data(), 32);
  if (!equal_constant_time(again.reveal().first(key_text_chars), as_bytes(text))) return false;
  std::copy_n(decoded.reveal().begin(), 32, key.writable().begin());
  return true;
}

bool is_all_zeros(const Secret<32>& key) {
  Byte any = 0;
  for (const Byte byte : key.reveal())
    any = static_cast<Byte>(any | byte);
  return any == 0;
}

/// What a file that has not our first line most likely is.
std::string name_the_stranger(std::string_view text, const std::string& path,
                              const SecretFileKind& kind) {
  const std::string name = shown(path);
  const std::string wanted(kind.name);
  const std::string cure = "; make a " + wanted + " with: " + std::string(kind.make_one);
  if (trim(text).empty()) return name + " is empty" + cure;
  if (trim(text).starts_with(public_key_prefix)) {
    return name +
           " holds a public key (this is the public key, which is for the other site); "
           "the " +
           wanted + " is wanted here";
  }
  if (text.starts_with("\xEF\xBB\xBF")) {
    return name + " begins with a byte order mark; save it as plain text without one";
  }
  if (text.find('\r') != std::string_view::npos) {
    return name + " has Windows line ends; run: sed -i 's/\\r$//' " + name;
  }
  if (text.starts_with("-----BEGIN")) return name + " is a PEM file, not a " + wanted + cure;
  if (text.starts_with("linktune-")) {
    const auto line = text.substr(0, text.find('\n'));
    return name + " is of another kind (" + printable(line, 40) + "); a " + wanted +
           " begins with the line " + std::string(kind.header);
  }
  return name + " is not a " + wanted + " file: its first line is not " + std::string(kind.header) +
         cure;
}

Result<Secret<32>> parse_secret_text(std::string_view text, const std::string& path,
                                     const SecretFileKind& kind) {
  std::string_view rest = text;
  const bool has_header = rest.starts_with(kind.header) &&
                          (rest.size() == kind.header.size() || rest[kind.header.size()] == '\n');
  if (has_header) {
    rest.remove_prefix(std::min(rest.size(), kind.header.size() + 1));
  } else if (!kind.header_optional || rest.starts_with("linktune-")) {
    return fail(Errc::invalid, name_the_stranger(text, path, kind));
  }
  if (rest.ends_with('\n')) rest.remove_suffix(1);
  Secret<32> key;
  if (!decode_key(rest, key)) {
    if (!has_header || text.find('\r') != std::string_view::npos) {
      return fail(Errc::invalid, name_the_stranger(text, path, kind));
    }
    return fail(Errc::invalid,
                shown(path) + " is cut short or damaged: behind its first line there " +
                    "must be one line of " + std::to_string(key_text_chars) +
                    " base64 characters and nothing else; restore it from a backup, " +
                    "or make a new " + std::string(kind.name) +
                    " with: " + std::string(kind.make_one));
  }
  if (is_all_zeros(key)) {
    return fail(Errc::invalid, shown(path) + " holds only zeros, which is no " +
                                   std::string(kind.name) +
                                   "; make one with: " + std::string(kind.make_one));
  }
  return key;
}

Status write_whole(int fd, ByteView bytes, const std::string& path) {
  while (!bytes.empty()) {
    const auto count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "cannot write " + shown(path));
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Status sync_directory(const std::string& path) {
  const Fd directory(::open(locate(path).directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.is_open() || ::fsync(directory.get()) != 0) {
    return fail_errno(errno, "cannot bring the directory of " + shown(path) + " to the disk");
  }
  return {};
}

Status write_and_sync(int fd, const std::string& path, const SecretFileKind& kind,
                      const Secret<32>& secret) {
  Secret<key_text_chars + 1> line;  // 44 characters, then the zero that becomes the line's end
  EVP_EncodeBlock(line.writable().data(), secret.reveal().data(), 32);
  line.writable().back() = '\n';
  // Explicit, since a umask may have taken bits away.
  if (::fchmod(fd, S_IRUSR | S_IWUSR) != 0) {
    return fail_errno(errno, "cannot set the mode of " + shown(path));
  }
  LT_CHECK(write_whole(fd, as_bytes(kind.header), path));
  LT_CHECK(write_whole(fd, as_bytes("\n"), path));
  LT_CHECK(write_whole(fd, line.reveal(), path));
  if (::fsync(fd) != 0) return fail_errno(errno, "cannot write " + shown(path));
  return sync_directory(path);
}

}  // namespace

Result<Secret<32>> load_secret_file(const std::string& path, const SecretFileKind& kind) {
  LT_TRY(const Fd file, open_checked(path, kind));
  SecretText content;
  LT_CHECK(read_whole(file.get(), path, content));
  return parse_secret_text(content.text(), path, kind);
}

Status save_secret_file(const std::string& path, const SecretFileKind& kind,
                        const Secret<32>& secret) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                       S_IRUSR | S_IWUSR));
  if (!file.is_open() && errno == EEXIST) {
    return fail(Errc::exists, shown(path) +
                                  " exists already and is left as it is; move it away, or "
                                  "choose another name for the new " +
                                  std::string(kind.name));
  }
  if (!file.is_open()) return fail_errno(errno, "cannot create " + shown(path));
  Status status = write_and_sync(file.get(), path, kind, secret);
  if (!status) ::unlink(path.c_str());
  return status;
}

}  // namespace lt::crypto

// Files that hold a secret: read only when nobody else can, written so that nobody else ever could.
//
// A file is refused, with the command that mends it, unless it is a regular file (no link, no FIFO,
// no device), owned by root or by us, closed to group and others, in a directory that only its
// owner can change, and at most secret_file_bytes_max long. Opening never waits. (security.md 10,
// D-5) One exception: systemd hands credentials over as 0440 with an access list, so files that lie
// directly in $CREDENTIALS_DIRECTORY may be readable by their group (security.md 14, P4).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "crypto/secret.h"

namespace lt::crypto {

inline constexpr std::size_t secret_file_bytes_max = 4096;  // security.md 10

/// 32 bytes in base64, padding included (RFC 4648 4).
inline constexpr std::size_t key_text_chars = 44;

/// What a secret file says: one header line that names its kind, then 32 bytes in base64.
struct SecretFileKind {
  std::string_view name;         // "private key": for people
  std::string_view header;       // the first line
  std::string_view make_one;     // the command that makes such a file
  bool header_optional = false;  // a bare line of base64 will do
};

/// @error not_found      no such file
/// @error not_permitted  others could read or replace it, or it is not ours
/// @error invalid        it is something else, or damaged; the sentence names what and the cure
[[nodiscard]] Result<Secret<32>> load_secret_file(const std::string& path,
                                                  const SecretFileKind& kind);

/// Writes a new file of mode 0600 and brings it to the disk.
/// @error exists         something of that name is there; it is left as it is
/// @error not_permitted, not_found, limit, io  as the system says; no half file is left behind
[[nodiscard]] Status save_secret_file(const std::string& path, const SecretFileKind& kind,
                                      const Secret<32>& secret);

}  // namespace lt::crypto

// What a test cannot see from inside: an abort, an allocation, a secret left in memory.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace lt::test {

/// Whether `action`, run in a child process, ends by abort().
[[nodiscard]] bool aborts(const std::function<void()>& action);

/// How often `action` asks the C heap for memory, OpenSSL's requests included.
/// @return nothing in builds with a sanitizer's allocator
[[nodiscard]] std::optional<std::size_t> allocations_during(const std::function<void()>& action);

/// How many of the blocks that `action` gives back to the C heap hold the bytes (masked as below):
/// what nobody wiped, before the heap or anybody else writes over it.
/// @return nothing in builds with a sanitizer's allocator
[[nodiscard]] std::optional<std::size_t> count_in_freed(ByteView masked_bytes, Byte mask,
                                                        const std::function<void()>& action);

/// Lets `block` escape, so that its allocation cannot be left out, and frees it.
void keep(std::array<Byte, 64>* block);

/// How often the bytes, given XORed with `mask` so that the question is not its own answer, stand
/// in this process's writable memory.
/// @return nothing in builds with a sanitizer, whose shadow memory is terabytes
[[nodiscard]] std::optional<std::size_t> count_in_memory(ByteView masked_bytes, Byte mask);

/// A directory of its own under /tmp, mode 0700, removed with all that is in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  [[nodiscard]] std::string path(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Writes a file and gives it exactly this mode.
  std::string write(const std::string& name, std::string_view text, unsigned mode = 0600) const;

 private:
  std::string path_;
};

}  // namespace lt::test

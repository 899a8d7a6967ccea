#include "tests/mirror/zfs_stage.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <random>

#include "base/fd.h"

namespace lt::mirror::testing {

Status write_noise(const std::string& path, std::uint64_t bytes, std::uint64_t seed) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file.is_open()) return fail_errno(errno, "cannot write " + path);
  std::mt19937_64 random(seed);
  std::array<std::uint64_t, 8192> block;
  while (bytes > 0) {
    std::generate(block.begin(), block.end(), std::ref(random));
    const auto count = ::write(file.get(), block.data(), std::min<std::uint64_t>(bytes, sizeof block));
    if (count < 0) return fail_errno(errno, "cannot write " + path);
    bytes -= static_cast<std::uint64_t>(count);
  }
  return {};
}

Status flip_byte(const std::string& path, std::uint64_t offset) {
  const Fd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  char byte = 0;
  if (!file.is_open() || ::pread(file.get(), &byte, 1, static_cast<off_t>(offset)) != 1) {
    return fail_errno(errno, "cannot read a byte of " + path);
  }
  byte = static_cast<char>(byte ^ 1);
  if (::pwrite(file.get(), &byte, 1, static_cast<off_t>(offset)) != 1) return fail_errno(errno, "cannot write a byte of " + path);
  return {};
}

}  // namespace lt::mirror::testing

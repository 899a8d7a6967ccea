#include "tests/crypto/witness.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/fd.h"
#include "base/sanitizers.h"
#include "base/text.h"

#define LT_TEST_HAS_PLAIN_MEMORY (!LT_HAS_ADDRESS_SANITIZER && !LT_HAS_THREAD_SANITIZER)

namespace {
std::atomic<std::size_t> allocation_count{0};  // written by whichever thread allocates

struct Search {
  lt::ByteView masked;
  lt::Byte mask;
  std::size_t found{0};
};
[[maybe_unused]] thread_local Search* search = nullptr;  // of the blocks that this thread frees

bool holds(lt::ByteView block, const Search& wanted) {
  for (std::size_t at = 0; at + wanted.masked.size() <= block.size(); ++at) {
    std::size_t same = 0;
    while (same < wanted.masked.size() && (block[at + same] ^ wanted.mask) == wanted.masked[same])
      ++same;
    if (same == wanted.masked.size()) return true;
  }
  return false;
}
}  // namespace

#if LT_TEST_HAS_PLAIN_MEMORY
// glibc lets a program put its own malloc in front; __libc_* are the originals.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* block, std::size_t size);
void __libc_free(void* block);

void* malloc(std::size_t size) {
  ++allocation_count;
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  ++allocation_count;
  return __libc_calloc(count, size);
}
void* realloc(void* block, std::size_t size) {
  ++allocation_count;
  return __libc_realloc(block, size);
}
void free(void* block) {
  if (block != nullptr && search != nullptr &&
      holds({static_cast<const lt::Byte*>(block), ::malloc_usable_size(block)}, *search)) {
    ++search->found;
  }
  __libc_free(block);
}
}
#endif

namespace lt::test {

bool aborts(const std::function<void()>& action) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::signal(SIGABRT, SIG_DFL);  // Catch2 would report it as a failure
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ::dup2(nowhere, STDERR_FILENO);
    action();
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

std::optional<std::size_t> allocations_during(const std::function<void()>& action) {
#if LT_TEST_HAS_PLAIN_MEMORY
  const std::size_t before = allocation_count;
  action();
  return allocation_count - before;
#else
  action();
  return std::nullopt;
#endif
}

std::optional<std::size_t> count_in_freed(ByteView masked_bytes, Byte mask,
                                          const std::function<void()>& action) {
#if LT_TEST_HAS_PLAIN_MEMORY
  Search here{.masked = masked_bytes, .mask = mask};
  search = &here;
  action();
  search = nullptr;
  return here.found;
#else
  static_cast<void>(holds({}, {.masked = masked_bytes, .mask = mask}));
  action();
  return std::nullopt;
#endif
}

void keep(std::array<Byte, 64>* block) {
  asm volatile("" : "+r"(block) : : "memory");
  delete block;
}

std::optional<std::size_t> count_in_memory(ByteView masked_bytes, Byte mask) {
#if !LT_TEST_HAS_PLAIN_MEMORY
  return std::nullopt;
#endif
  struct Area {
    std::uint64_t begin;
    std::uint64_t end;
  };
  std::vector<Area> areas;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const auto words = split(line, ' ');
    if (words.size() < 2 || !words[1].starts_with("rw")) continue;
    const auto ends = split(words[0], '-');
    areas.push_back({std::stoull(std::string(ends[0]), nullptr, 16),
                     std::stoull(std::string(ends[1]), nullptr, 16)});
  }
  const Fd memory(::open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
  REQUIRE(memory.is_open());
  std::size_t found = 0;
  // Mapped, not allocated: the copy of memory that is searched must not be searched itself.
  static std::array<Byte, 65536> window;
  const auto own_begin = reinterpret_cast<std::uint64_t>(window.data());
  for (const Area& area : areas) {
    std::uint64_t at = area.begin;
    while (at < area.end) {
      const auto wanted = std::min<std::uint64_t>(window.size(), area.end - at);
      const auto count = ::pread(memory.get(), window.data(), wanted, static_cast<off_t>(at));
      if (count < static_cast<ssize_t>(masked_bytes.size())) break;
      const auto size = static_cast<std::size_t>(count);
      for (std::size_t i = 0; i + masked_bytes.size() <= size; ++i) {
        const std::uint64_t address = at + i;
        if (address + masked_bytes.size() > own_begin && address < own_begin + window.size())
          continue;
        std::size_t same = 0;
        while (same < masked_bytes.size() && (window[i + same] ^ mask) == masked_bytes[same]) {
          ++same;
        }
        if (same == masked_bytes.size()) ++found;
      }
      if (size < wanted || at + size >= area.end) break;
      at += size - masked_bytes.size() + 1;  // a hit across two windows is seen once
    }
  }
  // The window's own last fill may hold what was found: it goes with the question.
  window.fill(0);
  return found;
}

TemporaryDirectory::TemporaryDirectory() : path_("/tmp/linktune-test-XXXXXX") {
  REQUIRE(::mkdtemp(path_.data()) != nullptr);
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryDirectory::write(const std::string& name, std::string_view text,
                                      unsigned mode) const {
  const std::string at = path(name);
  std::ofstream(at, std::ios::binary) << text;
  REQUIRE(::chmod(at.c_str(), mode) == 0);
  return at;
}

}  // namespace lt::test

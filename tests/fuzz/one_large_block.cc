// The way in takes 140 KB for its receive buffer, once in a lane's life; a target makes a lane for each input, and the
// address sanitizer maps and unmaps such a block each time, which costs more than all else. So one block is kept for
// whoever asks for that size first. Everything else comes from the sanitizer's allocator, as before.
#include <cstdlib>
#include <new>

#include "tunnel/limits.h"

namespace {

alignas(64) unsigned char block[lt::tunnel::receive_buffer_bytes(lt::tunnel::record_limit_min)];
bool is_taken = false;  // targets that link this have one thread

}  // namespace

void* operator new(std::size_t size) {
  if (size == sizeof block && !is_taken) {
    is_taken = true;
    return block;
  }
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}

void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return std::malloc(size == 0 ? 1 : size); }

void operator delete(void* memory) noexcept {
  if (memory == block) {
    is_taken = false;
    return;
  }
  std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }

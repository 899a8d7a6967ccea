// FrameStore: frames of one direction, in order, in memory taken at start. First in, first out.
//
// Frames lie one behind the other in blocks; an empty block returns to the top of a stack, so that
// a short queue lives in a few blocks that stay in the cache, and a long one takes what it needs. A
// frame is received directly into its place.
// @thread one; allocates only when it is made
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"

namespace lt::lab {

class FrameStore {
 public:
  static constexpr std::size_t frame_bytes_max =
      2048;  // 1500 bytes, an Ethernet header, tags: with room
  static constexpr std::size_t block_bytes = 64 * 1024;

  /// @error io: no memory
  [[nodiscard]] static Result<FrameStore> create(Bytes capacity) {
    const std::size_t blocks = capacity.value / block_bytes + 2;
    void* const at = ::mmap(nullptr, blocks * block_bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return fail_errno(errno, "no memory for the packets of the WAN");
    return FrameStore(static_cast<Byte*>(at), blocks);
  }
  FrameStore(FrameStore&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)),
        blocks_(other.blocks_),
        free_(std::move(other.free_)),
        used_(std::move(other.used_)),
        first_(other.first_),
        count_(other.count_),
        read_at_(other.read_at_),
        write_at_(other.write_at_) {}
  FrameStore& operator=(FrameStore&&) = delete;
  ~FrameStore() {
    if (memory_ != nullptr) ::munmap(memory_, blocks_ * block_bytes);
  }

  /// Where the next frame is to be received: frame_bytes_max bytes, or none when the store is full.
  [[nodiscard]] ByteSpan room() {
    if (count_ == 0 || write_at_ + length_bytes + frame_bytes_max + length_bytes > block_bytes) {
      if (free_.empty()) return {};
      open_block();
    }
    return {block(last()) + write_at_ + length_bytes, frame_bytes_max};
  }
  /// Keeps what was received into room(). @pre 0 < bytes <= frame_bytes_max
  void push(std::size_t bytes) {
    LT_ASSERT(count_ > 0 && bytes > 0 && bytes <= frame_bytes_max);
    store_be32(block(last()) + write_at_, static_cast<std::uint32_t>(bytes));
    write_at_ += length_bytes + bytes;
    store_be32(block(last()) + write_at_, end_of_block);
  }
  /// The oldest frame. @pre there is one
  [[nodiscard]] ByteSpan front() {
    LT_ASSERT(count_ > 0);
    if (load_be32(block(first()) + read_at_) == end_of_block) close_block();
    const std::uint32_t bytes = load_be32(block(first()) + read_at_);
    LT_ASSERT(bytes != end_of_block);
    return {block(first()) + read_at_ + length_bytes, bytes};
  }
  /// Forgets the oldest frame. @pre there is one
  void pop() {
    const std::size_t bytes = front().size();
    read_at_ += length_bytes + bytes;
    if (count_ == 1 && read_at_ == write_at_) {  // empty: begin again where the cache is warm
      read_at_ = write_at_ = 0;
      store_be32(block(last()), end_of_block);
    }
  }

 private:
  static constexpr std::size_t length_bytes = 4;
  static constexpr std::uint32_t end_of_block = 0;

  FrameStore(Byte* memory, std::size_t blocks) : memory_(memory), blocks_(blocks), used_(blocks) {
    for (std::size_t i = blocks; i > 0; --i)
      free_.push_back(static_cast<std::uint32_t>(i - 1));
  }

  [[nodiscard]] Byte* block(std::uint32_t index) { return memory_ + index * block_bytes; }
  [[nodiscard]] std::uint32_t first() const { return used_[first_]; }
  [[nodiscard]] std::uint32_t last() const { return used_[(first_ + count_ - 1) % blocks_]; }

  void open_block() {
    used_[(first_ + count_++) % blocks_] = free_.back();
    free_.pop_back();
    if (count_ == 1) read_at_ = 0;
    write_at_ = 0;
    store_be32(block(last()), end_of_block);
  }
  void close_block() {
    LT_ASSERT(count_ > 1);  // the block being written is never the one read to its end and left
    free_.push_back(first());
    first_ = (first_ + 1) % blocks_;
    --count_;
    read_at_ = 0;
  }

  Byte* memory_;
  std::size_t blocks_;
  std::vector<std::uint32_t> free_;  // a stack of blocks
  std::vector<std::uint32_t> used_;  // a ring of blocks: count_ of them from first_ on
  std::size_t first_{0}, count_{0};
  std::size_t read_at_{0};   // in the first block
  std::size_t write_at_{0};  // in the last block
};

}  // namespace lt::lab

// Ring: a bounded queue between exactly two threads.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <optional>
#include <utility>

namespace lt {

/// One thread pushes, one pops; neither waits. `capacity` is a power of two.
template <class T, std::size_t capacity>
class Ring {
  static_assert((capacity & (capacity - 1)) == 0, "capacity is a power of two");

 public:
  /// @return false when the ring is full: nothing was stored. @thread the pusher
  [[nodiscard]] bool push(T value) {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_.load(std::memory_order_acquire) == capacity) return false;
    slots_[tail % capacity] = std::move(value);
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  /// @thread the popper
  [[nodiscard]] std::optional<T> pop() {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_.load(std::memory_order_acquire)) return std::nullopt;
    std::optional<T> value(std::move(slots_[head % capacity]));
    head_.store(head + 1, std::memory_order_release);
    return value;
  }

 private:
  std::array<T, capacity> slots_{};
  alignas(64) std::atomic<std::size_t> head_{0};  // next to pop; written by the popper only
  alignas(64) std::atomic<std::size_t> tail_{0};  // next to fill; written by the pusher only
};

}  // namespace lt

// Bytes taken once and not touched before they are used: what a lane never needs, the kernel never backs by a page.
#pragma once

#include <cstddef>
#include <memory>

#include "base/bytes.h"

namespace lt::tunnel {

class RawMemory {
 public:
  RawMemory() = default;
  explicit RawMemory(std::size_t size) : memory_(std::make_unique_for_overwrite<Byte[]>(size)), size_(size) {}

  [[nodiscard]] ByteSpan bytes() const { return {memory_.get(), size_}; }

 private:
  std::unique_ptr<Byte[]> memory_;
  std::size_t size_{0};
};

}  // namespace lt::tunnel

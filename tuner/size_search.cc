#include "tuner/size_search.h"

#include <algorithm>

#include "base/assert.h"

namespace lt::tuner {

SizeSearch::SizeSearch(unsigned smallest, unsigned largest, std::span<const unsigned> likely)
    : smallest_(smallest), likely_(likely.begin(), likely.end()), too_large_(largest + 1) {
  LT_ASSERT(smallest > 0 && smallest <= largest && largest < bytes_max);
}

bool SizeSearch::is_over() const {
  return arrived_ == 0 ? too_large_ <= smallest_ : arrived_ + 1 >= too_large_;
}

std::vector<unsigned> SizeSearch::next() const {
  if (is_over()) return {};
  // Until a small one has arrived, large ones say nothing.
  if (arrived_ == 0) return {smallest_};
  std::vector<unsigned> sizes;
  unsigned bytes = 0;
  for (const Doubtful& doubtful : doubtful_) {
    bytes += doubtful.size;
    if (bytes > bytes_max) break;
    sizes.push_back(doubtful.size);
  }
  return sizes.empty() ? untried() : sizes;
}

// The likely ones first, and each one's neighbour: a likely size that is the right one ends the
// search. Then the gap in even steps.
std::vector<unsigned> SizeSearch::untried() const {
  std::vector<unsigned> sizes;
  unsigned bytes = 0;
  const auto add = [&](unsigned size) {
    if (size > arrived_ && size < too_large_ && sizes.size() < sizes_max && bytes + size <= bytes_max &&
        (sizes.empty() || sizes.back() < size)) {
      sizes.push_back(size);
      bytes += size;
    }
  };
  for (const unsigned size : likely_)
    add(size);
  const bool is_likely_left = !sizes.empty();
  if (is_likely_left) return sizes;
  const unsigned gap = too_large_ - arrived_;
  const unsigned steps = std::min({gap - 1, sizes_max, bytes_max / too_large_});
  // The first step is one byte: most often `arrived_` is the end, and this shows it.
  add(arrived_ + 1);
  for (unsigned step = 1; step <= steps; ++step)
    add(arrived_ + gap * step / (steps + 1));
  return sizes;
}

void SizeSearch::arrived(unsigned size) {
  arrived_ = std::max(arrived_, size);
  // What a larger one disproves was loss, also where it had been counted as too large.
  if (size >= too_large_) too_large_ = size + 1;
  std::erase_if(doubtful_, [this](const Doubtful& one) { return one.size <= arrived_; });
}

void SizeSearch::refused(unsigned size) {
  too_large_ = std::min(too_large_, size);
  std::erase_if(doubtful_, [this](const Doubtful& one) { return one.size >= too_large_; });
}

void SizeSearch::lost(unsigned size) {
  if (size <= arrived_ || size >= too_large_) return;
  const auto at = std::find_if(doubtful_.begin(), doubtful_.end(),
                               [size](const Doubtful& one) { return one.size >= size; });
  if (at == doubtful_.end() || at->size != size) {
    doubtful_.insert(at, {size, 1});
  } else if (++at->losses >= tries) {
    refused(size);
  }
}

}  // namespace lt::tuner

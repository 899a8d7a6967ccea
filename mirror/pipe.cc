#include "mirror/pipe.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace lt::mirror {

void NumberedBytes::write(std::uint64_t number, ByteView bytes) {
  LT_ASSERT(bytes.size() <= capacity_);
  const std::size_t at = number % capacity_;
  const std::size_t first = std::min(bytes.size(), capacity_ - at);
  std::memcpy(bytes_.get() + at, bytes.data(), first);
  if (first < bytes.size()) std::memcpy(bytes_.get(), bytes.data() + first, bytes.size() - first);
}

ByteView NumberedBytes::piece(std::uint64_t number, std::size_t count) const {
  const std::size_t at = number % capacity_;
  return {bytes_.get() + at, std::min(count, capacity_ - at)};
}

void SendWindow::put(ByteView bytes) {
  LT_ASSERT(bytes.size() <= room());
  if (bytes.empty()) return;
  bytes_.write(end_, bytes);
  end_ += bytes.size();
}

ByteView SendWindow::next(std::size_t count) const {
  return bytes_.piece(next_, std::min(count, unsent()));
}

void SendWindow::sent(std::size_t count) {
  LT_ASSERT(count <= unsent());
  if (next_ < sent_max_) sent_again_ += std::min<std::uint64_t>(count, sent_max_ - next_);
  next_ += count;
  sent_max_ = std::max(sent_max_, next_);
}

Status SendWindow::acknowledge(std::uint64_t consumed) {
  if (consumed < consumed_ || consumed > next_) {
    return fail(Errc::protocol, "the other end acknowledges what it cannot have");
  }
  consumed_ = consumed;
  return {};
}

Status SendWindow::resume(std::uint64_t received) {
  if (received < consumed_ || received > sent_max_) {
    return fail(Errc::protocol, "the other end goes on at a place where it cannot be");
  }
  next_ = received;
  return {};
}

Status ReceiveWindow::accept(std::uint64_t offset, ByteView bytes) {
  if (offset > received_) return fail(Errc::protocol, "the other end left out bytes");
  const std::uint64_t known = received_ - offset;
  if (known >= bytes.size()) return {};
  const ByteView fresh = bytes.subspan(known);
  if (fresh.size() > bytes_.capacity() - ready()) return fail(Errc::protocol, "the other end sent more than the window");
  bytes_.write(received_, fresh);
  received_ += fresh.size();
  return {};
}

ByteView ReceiveWindow::front(std::size_t count, std::size_t skip) const {
  LT_ASSERT(skip <= ready());
  return bytes_.piece(consumed_ + skip, std::min(count, ready() - skip));
}

void ReceiveWindow::consume(std::size_t count) {
  LT_ASSERT(count <= ready());
  consumed_ += count;
}

}  // namespace lt::mirror

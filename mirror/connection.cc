#include "mirror/connection.h"

#include <algorithm>

namespace lt::mirror {

namespace {

constexpr std::size_t read_bytes = 1 << 20;
constexpr std::size_t buffer_bytes = 2 * (channel::frame_header_bytes + frame_payload_bytes_max) + read_bytes;

}  // namespace

Connection::Connection(Fd socket, Instant now) : channel::Connection(std::move(socket), now, frame_lengths, buffer_bytes) {}

Result<std::optional<Connection::Frame>> Connection::next_frame() {
  LT_TRY(const auto frame, channel::Connection::next_frame());
  if (!frame) return std::optional<Frame>{};
  return std::optional<Frame>(Frame{static_cast<FrameType>(frame->type), frame->payload});
}

std::size_t Connection::put_data(SendWindow& window, std::size_t count) {
  const ByteView piece = window.next(std::min(count, frame_payload_bytes_max - 8));
  if (piece.empty()) return 0;
  put_data_header(out(), window.next_number(), piece.size());
  out().append(piece);
  window.sent(piece.size());
  return piece.size();
}

}  // namespace lt::mirror

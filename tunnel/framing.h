// Room I2: cuts the byte stream of a lane into sealed records. Judges the header before waiting for the body.
#pragma once

#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "tunnel/raw_memory.h"
#include "tunnel/wire.h"

namespace lt::tunnel {

struct RecordHeader {
  RecordType type;
  std::size_t record_bytes;  // header, ciphertext and tag
};

/// @param plaintext_bytes_max  the session's record limit
/// @error protocol: wrong sync byte, unknown type, reserved bits, or a length out of range. Fatal for the lane
[[nodiscard]] Result<RecordHeader> parse_record_header(std::span<const Byte, record_header_bytes> header,
                                                       std::size_t plaintext_bytes_max);

/// The bytes received and not yet consumed, in one piece of memory taken at start.
///
/// receive() fills free_space(), record() yields whole records from the front. @thread inbound only
class ReceiveBuffer {
 public:
  explicit ReceiveBuffer(std::size_t capacity) : memory_(capacity) {}

  /// Where the next bytes go. Never empty after make_room().
  [[nodiscard]] ByteSpan free_space() { return memory_.bytes().subspan(end_); }
  void received(std::size_t count) { end_ += count; }

  /// The next whole record, or nothing until more bytes are here.
  [[nodiscard]] Result<std::optional<std::pair<RecordType, ByteSpan>>> next_record(std::size_t plaintext_bytes_max);

  /// Moves what is left to the front when the rest of the memory could not hold the next record.
  /// Spans handed out before are invalid afterwards.
  void make_room(std::size_t bytes_wanted);

  [[nodiscard]] std::size_t held() const { return end_ - begin_; }

 private:
  RawMemory memory_;
  std::size_t begin_{0};
  std::size_t end_{0};
};

}  // namespace lt::tunnel

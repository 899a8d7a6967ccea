#include "tunnel/framing.h"

#include <cstring>

#include "base/assert.h"

namespace lt::tunnel {

// P-27, P-28
Result<RecordHeader> parse_record_header(std::span<const Byte, record_header_bytes> header,
                                         std::size_t plaintext_bytes_max) {
  if (header[0] != record_sync) {
    return fail(Errc::protocol, "a record begins with byte " + to_hex(header.first(1)) + ", not with a5");
  }
  if (header[1] < static_cast<Byte>(RecordType::data) || header[1] > static_cast<Byte>(RecordType::goodbye)) {
    return fail(Errc::protocol, "a record of the unknown type " + std::to_string(header[1]));
  }
  if (load_be16(header.data() + 2) != 0) return fail(Errc::protocol, "reserved bits of a record are set");
  const std::size_t length = load_be32(header.data() + 4);
  if (length <= tag_bytes || length > plaintext_bytes_max + tag_bytes) {
    return fail(Errc::protocol, "a record of " + std::to_string(length) + " bytes, which is out of range");
  }
  return RecordHeader{static_cast<RecordType>(header[1]), record_header_bytes + length};
}

Result<std::optional<std::pair<RecordType, ByteSpan>>> ReceiveBuffer::next_record(std::size_t plaintext_bytes_max) {
  using Found = std::optional<std::pair<RecordType, ByteSpan>>;
  if (held() < record_header_bytes) return Found();
  const ByteSpan rest = memory_.bytes().subspan(begin_, held());
  LT_TRY(const RecordHeader header, parse_record_header(rest.first<record_header_bytes>(), plaintext_bytes_max));
  if (rest.size() < header.record_bytes) return Found();  // P-32: no part of a record is anything
  begin_ += header.record_bytes;
  return Found({header.type, rest.first(header.record_bytes)});
}

void ReceiveBuffer::make_room(std::size_t bytes_wanted) {
  const ByteSpan bytes = memory_.bytes();
  LT_ASSERT(bytes_wanted <= bytes.size());
  if (begin_ == end_) {
    begin_ = end_ = 0;
  } else if (bytes.size() - begin_ < bytes_wanted) {
    std::memmove(bytes.data(), bytes.data() + begin_, held());
    end_ -= begin_;
    begin_ = 0;
  }
}

}  // namespace lt::tunnel

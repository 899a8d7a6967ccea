#include "channel/frame.h"

namespace lt::channel {

std::optional<Lengths> greeting_lengths(std::uint8_t type) {
  if (type == hello_type) return Lengths{40, 40};
  if (type == proof_type) return Lengths{64, 64};
  return std::nullopt;
}

Result<FrameHeader> parse_frame_header(std::span<const Byte, frame_header_bytes> raw, FrameTable table) {
  const auto lengths = table(raw[0]);
  if (!lengths || raw[1] != 0 || raw[2] != 0 || raw[3] != 0) {
    return fail(Errc::protocol, "the other end sent no frame of this protocol");
  }
  const std::uint32_t length = load_be32(raw.data() + 4);
  if (length < lengths->min || length > lengths->max) {
    return fail(Errc::protocol, "the other end sent a frame of a wrong length");
  }
  return FrameHeader{raw[0], length};
}

void put_frame_header(Writer& out, std::uint8_t type, std::size_t length) {
  out.u8(type).u8(0).u16(0).u32(static_cast<std::uint32_t>(length));
}

void put_frame(Writer& out, std::uint8_t type, ByteView payload) {
  put_frame_header(out, type, payload.size());
  out.append(payload);
}

}  // namespace lt::channel

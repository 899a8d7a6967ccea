#include "mirror/wire.h"

#include "base/assert.h"

namespace lt::mirror {

namespace {

constexpr std::size_t refusal_bytes_max = 1 << 10;
constexpr std::uint64_t no_rate = ~std::uint64_t{0};

void put_header(Writer& out, FrameType type, std::size_t length) {
  LT_ASSERT(length <= frame_payload_bytes_max);
  channel::put_frame_header(out, static_cast<std::uint8_t>(type), length);
}

}  // namespace

std::optional<channel::Lengths> frame_lengths(std::uint8_t type) {
  using channel::Lengths;
  switch (static_cast<FrameType>(type)) {
    case FrameType::hello:
    case FrameType::proof: return channel::greeting_lengths(type);
    case FrameType::attach: return Lengths{29, 29};
    case FrameType::attached: return Lengths{8, 8};
    case FrameType::refused: return Lengths{0, refusal_bytes_max};
    case FrameType::data: return Lengths{9, frame_payload_bytes_max};
    case FrameType::ack: return Lengths{28, 28};
    case FrameType::bye: return Lengths{0, 0};
    case FrameType::rate: return Lengths{8, 8};
  }
  return std::nullopt;
}

void put_frame(Writer& out, FrameType type, ByteView payload) {
  put_header(out, type, payload.size());
  out.append(payload);
}

void put_attach(Writer& out, const Attach& attach) {
  put_header(out, FrameType::attach, 29);
  out.append(attach.session).u8(attach.is_fresh ? 1 : 0).u32(attach.window).u64(attach.received);
}

void put_attached(Writer& out, std::uint64_t received) {
  put_header(out, FrameType::attached, 8);
  out.u64(received);
}

void put_ack(Writer& out, const Ack& ack) {
  put_header(out, FrameType::ack, 28);
  out.u64(ack.consumed).u64(ack.received).u64(ack.produced).u32(ack.wait);
}

void put_rate(Writer& out, std::optional<BitsPerSecond> rate) {
  put_header(out, FrameType::rate, 8);
  out.u64(rate ? rate->value : no_rate);
}

void put_data_header(Writer& out, std::uint64_t offset, std::size_t length) {
  LT_ASSERT(length > 0);
  put_header(out, FrameType::data, 8 + length);
  out.u64(offset);
}

std::optional<Attach> parse_attach(ByteView payload) {
  Reader reader(payload);
  const auto session = reader.array<16>();
  const auto fresh = reader.u8();
  const auto window = reader.u32();
  const auto received = reader.u64();
  if (!session || !fresh || *fresh > 1 || !window || !received || reader.left() != 0) return std::nullopt;
  return Attach{*session, *fresh == 1, *window, *received};
}

std::optional<std::uint64_t> parse_attached(ByteView payload) {
  Reader reader(payload);
  const auto received = reader.u64();
  if (!received || reader.left() != 0) return std::nullopt;
  return received;
}

std::optional<Ack> parse_ack(ByteView payload) {
  Reader reader(payload);
  const auto consumed = reader.u64();
  const auto received = reader.u64();
  const auto produced = reader.u64();
  const auto wait = reader.u32();
  if (!consumed || !received || !produced || !wait || reader.left() != 0 || *consumed > *received) return std::nullopt;
  return Ack{*consumed, *received, *produced, *wait};
}

std::optional<BitsPerSecond> parse_rate(ByteView payload) {
  LT_ASSERT(payload.size() == 8);
  const std::uint64_t bits = load_be64(payload.data());
  return bits == no_rate ? std::nullopt : std::optional(BitsPerSecond{bits});
}

}  // namespace lt::mirror

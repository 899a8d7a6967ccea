#include "tunnel/hello.h"

#include <algorithm>

#include "base/assert.h"
#include "tunnel/limits.h"

namespace lt::tunnel {

namespace {

enum MessageType : std::uint8_t { type_hello = 1, type_accept = 2, type_reject = 3 };

template <std::size_t N>
std::array<Byte, N> exactly(const Writer& writer) {
  LT_ASSERT(writer.view().size() == N);
  std::array<Byte, N> bytes{};
  std::copy(writer.view().begin(), writer.view().end(), bytes.begin());
  return bytes;
}

bool all_zero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](Byte byte) { return byte == 0; });
}

Status check_version(std::uint8_t version) {
  if (version == protocol_version) return {};
  return fail(Errc::rejected, "the peer speaks LT" + std::to_string(version) + ", this program LT" +
                                  std::to_string(protocol_version) + ": upgrade the older end");
}

Status check_limits(std::uint32_t record_limit, std::uint32_t tun_mtu) {
  if (record_limit < record_limit_min || record_limit > record_limit_max) {
    return fail(Errc::protocol, "record limit " + std::to_string(record_limit) + " out of range");
  }
  if (tun_mtu < tun_mtu_min || tun_mtu > tun_mtu_max) {
    return fail(Errc::protocol, "tunnel MTU " + std::to_string(tun_mtu) + " out of range");
  }
  return {};
}

std::uint16_t capabilities_of(std::uint16_t others, bool express) {
  return static_cast<std::uint16_t>(express ? others | capability_express : others & ~capability_express);
}

}  // namespace

std::array<Byte, hello_bytes> encode(const Hello& hello) {
  constexpr std::array<Byte, 7> reserved{};
  return exactly<hello_bytes>(Writer()
                                  .u8(type_hello)
                                  .u8(protocol_version)
                                  .u16(capabilities_of(hello.capabilities, hello.offer.express))
                                  .append(hello.offer.boot_id)
                                  .append(hello.session_id)
                                  .u8(hello.lane_index)
                                  .u8(hello.offer.lane_count)
                                  .u8(static_cast<std::uint8_t>(hello.take_over))
                                  .u8(0)
                                  .u32(hello.offer.record_limit)
                                  .u32(hello.offer.tun_mtu)
                                  .append(hello.offer.prefix_hash)
                                  .u8(hello.offer.psk_used ? 1 : 0)
                                  .append(reserved)
                                  .append(hello.join_mac)
                                  .append(hello.mac));
}

Result<Hello> decode_hello(std::span<const Byte, hello_bytes> bytes) {
  Reader reader(bytes);
  const auto type = *reader.u8();
  const auto version = *reader.u8();
  if (type != type_hello) return fail(Errc::protocol, "not a HELLO");
  LT_CHECK(check_version(version));
  Hello hello;
  hello.capabilities = *reader.u16();
  hello.offer.express = (hello.capabilities & capability_express) != 0;
  hello.offer.boot_id = *reader.array<16>();
  hello.session_id = *reader.array<16>();
  hello.lane_index = *reader.u8();
  hello.offer.lane_count = *reader.u8();
  const auto take_over = *reader.u8();
  const auto reserved_lanes = *reader.u8();
  hello.offer.record_limit = *reader.u32();
  hello.offer.tun_mtu = *reader.u32();
  hello.offer.prefix_hash = *reader.array<32>();
  const auto psk_used = *reader.u8();
  const auto reserved = *reader.array<7>();
  hello.join_mac = *reader.array<mac_bytes>();
  hello.mac = *reader.array<mac_bytes>();
  hello.offer.psk_used = psk_used == 1;
  LT_ASSERT(reader.left() == 0);

  if (psk_used > 1 || reserved_lanes != 0 || !all_zero(reserved)) {
    return fail(Errc::protocol, "a reserved field of HELLO is not zero");
  }
  if (hello.offer.lane_count < 1 || hello.offer.lane_count > lane_count_max || hello.lane_index >= hello.offer.lane_count) {
    return fail(Errc::protocol, "HELLO names lane " + std::to_string(hello.lane_index) + " of " +
                                    std::to_string(hello.offer.lane_count));
  }
  if (take_over > static_cast<std::uint8_t>(TakeOver::abandoned)) {
    return fail(Errc::protocol, "HELLO takes a lane over in an unknown way");
  }
  hello.take_over = static_cast<TakeOver>(take_over);
  const bool is_new = !hello.is_join();
  if (is_new && (hello.lane_index != 0 || hello.take_over != TakeOver::no || !all_zero(hello.join_mac))) {
    return fail(Errc::protocol, "HELLO asks for a new session with the fields of a join");
  }
  LT_CHECK(check_limits(hello.offer.record_limit, hello.offer.tun_mtu));
  return hello;
}

std::array<Byte, accept_bytes> encode(const Accept& accept) {
  return exactly<accept_bytes>(Writer()
                                   .u8(type_accept)
                                   .u8(protocol_version)
                                   .u16(capabilities_of(accept.capabilities, accept.express))
                                   .append(accept.session_id)
                                   .u32(accept.record_limit)
                                   .u32(accept.tun_mtu)
                                   .u8(accept.lane_count)
                                   .append(std::array<Byte, 3>{})
                                   .append(accept.mac));
}

Result<Accept> decode_accept(std::span<const Byte, accept_bytes> bytes) {
  Reader reader(bytes);
  const auto type = *reader.u8();
  const auto version = *reader.u8();
  if (type != type_accept) return fail(Errc::protocol, "not an ACCEPT");
  LT_CHECK(check_version(version));
  Accept accept;
  accept.capabilities = *reader.u16();
  accept.session_id = *reader.array<16>();
  accept.record_limit = *reader.u32();
  accept.tun_mtu = *reader.u32();
  accept.lane_count = *reader.u8();
  const auto reserved = *reader.array<3>();
  accept.express = (accept.capabilities & capability_express) != 0;
  accept.mac = *reader.array<mac_bytes>();
  LT_ASSERT(reader.left() == 0);
  if (!all_zero(reserved)) return fail(Errc::protocol, "a reserved field of ACCEPT is not zero");
  if (accept.lane_count < 1 || accept.lane_count > lane_count_max || (accept.express && accept.lane_count < 2)) {
    return fail(Errc::protocol, "ACCEPT allows " + std::to_string(accept.lane_count) + " lanes");
  }
  LT_CHECK(check_limits(accept.record_limit, accept.tun_mtu));
  return accept;
}

std::vector<Byte> encode(const Reject& reject) {
  LT_ASSERT(reject.text.size() <= reject_text_bytes_max);
  return Writer()
      .u8(type_reject)
      .u8(static_cast<std::uint8_t>(reject.code))
      .u16(static_cast<std::uint16_t>(reject.text.size()))
      .append(std::string_view(reject.text))
      .take();
}

bool is_accept(ByteView reply) { return !reply.empty() && reply[0] == type_accept; }

Result<std::size_t> reply_length(std::span<const Byte, reject_header_bytes> head) {
  if (head[0] == type_accept) return accept_bytes;
  if (head[0] != type_reject) return fail(Errc::protocol, "neither ACCEPT nor REJECT");
  const std::size_t text_bytes = load_be16(head.data() + 2);
  if (text_bytes > reject_text_bytes_max) return fail(Errc::protocol, "a REJECT with too long a text");
  return reject_header_bytes + text_bytes;
}

// P-19: no byte of a text that is not printable is shown.
Result<Reject> decode_reject(ByteView bytes) {
  LT_ASSERT(bytes.size() >= reject_header_bytes && bytes[0] == type_reject);
  const auto text = as_text(bytes.subspan(reject_header_bytes));
  if (!std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; })) {
    return fail(Errc::protocol, "a REJECT whose text is not printable ASCII");
  }
  if (bytes[1] < 1 || bytes[1] > static_cast<Byte>(reject_code_max)) {
    return fail(Errc::protocol, "a REJECT with the unknown code " + std::to_string(bytes[1]));
  }
  return Reject{static_cast<RejectCode>(bytes[1]), std::string(text)};
}

}  // namespace lt::tunnel

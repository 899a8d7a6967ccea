#include "lab/router.h"

#include <algorithm>

#include "base/assert.h"

namespace lt::lab {

namespace {

constexpr std::size_t ethernet_bytes = 14;
constexpr std::size_t ip_bytes_min = 20;
constexpr std::size_t ip_bytes_max = 60;
constexpr std::size_t icmp_bytes = 8;
constexpr std::uint16_t type_ipv4 = 0x0800;
constexpr std::uint16_t dont_fragment = 0x4000;
constexpr std::uint16_t more_fragments = 0x2000;
constexpr std::uint16_t offset_mask = 0x1fff;
constexpr Byte protocol_icmp = 1;
constexpr Byte time_to_live = 64;

struct Header {
  std::size_t bytes;  // with options
  std::size_t total;
  std::uint16_t flags;  // and offset
  Byte protocol;
};

// Nothing for what is no whole IPv4 packet: it is not ours to judge.
std::optional<Header> header_of(ByteView frame) {
  if (frame.size() < ethernet_bytes + ip_bytes_min) return std::nullopt;
  if (load_be16(frame.data() + 12) != type_ipv4) return std::nullopt;
  const Byte* const ip = frame.data() + ethernet_bytes;
  const Header header{std::size_t{ip[0] & 15U} * 4, load_be16(ip + 2), load_be16(ip + 6), ip[9]};
  const bool is_sound = (ip[0] >> 4U) == 4 && header.bytes >= ip_bytes_min &&
                        header.total >= header.bytes &&
                        header.total <= frame.size() - ethernet_bytes;
  return is_sound ? std::optional(header) : std::nullopt;
}

// @source RFC 1071
std::uint16_t checksum(ByteView data) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < data.size(); i += 2)
    sum += load_be16(data.data() + i);
  if (data.size() % 2 == 1) sum += std::uint32_t{data.back()} << 8U;
  while (sum > 0xffff)
    sum = (sum & 0xffffU) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum);
}

void set_header_checksum(Byte* ip, std::size_t bytes) {
  store_be16(ip + 10, 0);
  store_be16(ip + 10, checksum({ip, bytes}));
}

}  // namespace

Ruling judge(ByteView frame, const WanSettings& settings) {
  const auto header = header_of(frame);
  if (!header) return Ruling::pass;
  if (!settings.fragments && (header->flags & (more_fragments | offset_mask)) != 0)
    return Ruling::fragment;
  if (!settings.icmp && header->protocol == protocol_icmp) return Ruling::icmp;
  if (settings.mtu.value == 0 || header->total <= settings.mtu.value) return Ruling::pass;
  if ((header->flags & dont_fragment) != 0) return Ruling::too_large;
  // What it would be cut into is dropped too.
  return settings.fragments ? Ruling::cut : Ruling::fragment;
}

std::vector<std::vector<Byte>> cut(ByteView frame, Bytes mtu) {
  const auto header = header_of(frame);
  LT_ASSERT(header.has_value() && mtu.value >= header->bytes + 8);
  const std::size_t room = (mtu.value - header->bytes) / 8 * 8;
  const ByteView payload =
      frame.subspan(ethernet_bytes + header->bytes, header->total - header->bytes);
  const std::size_t before = static_cast<std::size_t>(header->flags & offset_mask) * 8U;
  std::vector<std::vector<Byte>> pieces;
  for (std::size_t at = 0; at < payload.size(); at += room) {
    const ByteView part = payload.subspan(at, std::min(room, payload.size() - at));
    std::vector<Byte> piece(
        frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(ethernet_bytes + header->bytes));
    piece.insert(piece.end(), part.begin(), part.end());
    Byte* const ip = piece.data() + ethernet_bytes;
    const bool is_last = at + part.size() == payload.size();
    const auto more =
        static_cast<std::uint16_t>(is_last ? header->flags & more_fragments : more_fragments);
    store_be16(ip + 2, static_cast<std::uint16_t>(header->bytes + part.size()));
    store_be16(ip + 6, static_cast<std::uint16_t>(more | ((before + at) / 8)));
    set_header_checksum(ip, header->bytes);
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

std::optional<std::vector<Byte>> too_large_answer(ByteView frame, Bytes mtu) {
  const auto header = header_of(frame);
  LT_ASSERT(header.has_value());
  // Nobody is told about ICMP errors, nor about a fragment but the first (RFC 1122, 3.2.2).
  if (header->protocol == protocol_icmp) {
    const Byte type = frame[ethernet_bytes + header->bytes];
    if (type != 8 && type != 0) return std::nullopt;  // echo may be told about
  }
  if ((header->flags & offset_mask) != 0) return std::nullopt;
  const std::size_t quoted = std::min({header->bytes + 8, header->total, ip_bytes_max + 8});
  std::vector<Byte> answer(ethernet_bytes + ip_bytes_min + icmp_bytes + quoted);
  std::copy_n(frame.data() + 6, 6, answer.data());  // back to whom it came from
  std::copy_n(frame.data(), 6, answer.data() + 6);
  store_be16(answer.data() + 12, type_ipv4);
  Byte* const ip = answer.data() + ethernet_bytes;
  ip[0] = 0x45;
  store_be16(ip + 2, static_cast<std::uint16_t>(answer.size() - ethernet_bytes));
  ip[8] = time_to_live;
  ip[9] = protocol_icmp;
  const Byte* const told = frame.data() + ethernet_bytes;
  std::copy_n(told + 16, 4, ip + 12);
  std::copy_n(told + 12, 4, ip + 16);
  set_header_checksum(ip, ip_bytes_min);
  Byte* const icmp = ip + ip_bytes_min;
  icmp[0] = 3;
  icmp[1] = 4;
  store_be16(icmp + 6, static_cast<std::uint16_t>(mtu.value));
  std::copy_n(told, quoted, icmp + icmp_bytes);
  store_be16(icmp + 2, checksum({icmp, icmp_bytes + quoted}));
  return answer;
}

}  // namespace lt::lab

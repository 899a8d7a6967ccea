#include "tests/sim/traffic.h"

#include <cstring>

#include "tests/sim/dice.h"
#include "tunnel/checksum.h"

namespace lt::sim {

namespace {

// IPv4, then UDP, or TCP for a super-packet; then u32 flow, u32 carrier, u64 number, then the pattern.
constexpr std::size_t ip_bytes = 20;
constexpr std::size_t udp_bytes = 8;
constexpr std::size_t tcp_bytes = 20;
constexpr std::size_t label_bytes = 16;
constexpr std::uint8_t udp = 17;
constexpr std::uint8_t tcp = 6;

std::size_t payload_at(std::uint8_t protocol) { return ip_bytes + (protocol == tcp ? tcp_bytes : udp_bytes); }

void write_headers(std::size_t side, Byte* at, std::size_t bytes, std::uint8_t protocol) {
  std::memset(at, 0, payload_at(protocol));
  at[0] = 0x45;
  store_be16(at + 2, static_cast<std::uint16_t>(bytes));
  at[8] = 64;
  at[9] = protocol;
  const Byte source = side == 0 ? 1 : 2;
  const Byte target = side == 0 ? 2 : 1;
  at[12] = at[16] = 10;
  at[13] = source;
  at[17] = target;
  at[15] = at[19] = 7;
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < ip_bytes; i += 2) sum += static_cast<std::uint32_t>(at[i] << 8 | at[i + 1]);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  store_be16(at + 10, static_cast<std::uint16_t>(~sum));
  store_be16(at + ip_bytes, 5000);
  store_be16(at + ip_bytes + 2, 6000);
  if (protocol == udp) {
    store_be16(at + ip_bytes + 4, static_cast<std::uint16_t>(bytes - ip_bytes));
  } else {
    at[ip_bytes + 12] = 0x50;
    at[ip_bytes + 13] = 0x10;
  }
}

// The pattern of a packet follows from its flow and number.
template <class Visit>
void walk_pattern(const PacketLabel& label, std::size_t count, Visit visit) {
  std::uint64_t word = Dice(label.number ^ (std::uint64_t{label.flow} << 40)).next();
  for (std::size_t i = 0; i < count; i += 8) {
    word = word * 6364136223846793005U + 1442695040888963407U;
    if (!visit(i, word, std::min<std::size_t>(8, count - i))) return;
  }
}

}  // namespace

TunPacket make_packet(std::size_t side, const PacketLabel& label, std::size_t bytes, std::size_t mtu) {
  TunPacket packet;
  const std::uint8_t protocol = bytes > mtu ? tcp : udp;
  packet.bytes.resize(std::max(bytes, packet_bytes_least));
  Byte* const at = packet.bytes.data();
  write_headers(side, at, packet.bytes.size(), protocol);
  if (protocol == tcp) {
    packet.vnet = {.flags = tunnel::vnet_needs_checksum,
                   .gso_type = tunnel::vnet_gso_tcp4,
                   .hdr_len = ip_bytes + tcp_bytes,
                   .gso_size = static_cast<std::uint16_t>(mtu - ip_bytes - tcp_bytes),
                   .csum_start = ip_bytes,
                   .csum_offset = 16};
  }
  Byte* const payload = at + payload_at(protocol);
  store_be32(payload, label.flow);
  store_be64(payload + 8, label.number);
  walk_pattern(label, packet.bytes.size() - payload_at(protocol) - label_bytes,
               [&](std::size_t i, std::uint64_t word, std::size_t count) {
                 std::memcpy(payload + label_bytes + i, &word, count);
                 return true;
               });
  return packet;
}

void set_carrier(ByteSpan packet, std::uint32_t carrier) {
  store_be32(packet.data() + payload_at(packet[9]) + 4, carrier);
}

std::optional<PacketLabel> read_packet(std::size_t sent_by, ByteView packet) {
  if (packet.size() < packet_bytes_least || (packet[9] != udp && packet[9] != tcp)) return std::nullopt;
  std::array<Byte, ip_bytes + tcp_bytes> headers;
  write_headers(sent_by, headers.data(), packet.size(), packet[9]);
  const std::size_t begin = payload_at(packet[9]);
  // The device gets an offloaded checksum to complete: those two bytes are its own.
  const std::size_t compared = packet[9] == tcp ? ip_bytes + 16 : begin;
  if (!std::equal(headers.begin(), headers.begin() + static_cast<std::ptrdiff_t>(compared), packet.begin())) return std::nullopt;
  const Byte* const payload = packet.data() + begin;
  const PacketLabel label{load_be32(payload), load_be32(payload + 4), load_be64(payload + 8)};
  bool is_whole = true;
  walk_pattern(label, packet.size() - begin - label_bytes, [&](std::size_t i, std::uint64_t word, std::size_t count) {
    is_whole = std::memcmp(payload + label_bytes + i, &word, count) == 0;
    return is_whole;
  });
  if (!is_whole) return std::nullopt;
  return label;
}

}  // namespace lt::sim

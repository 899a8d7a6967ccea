#include "tunnel/flow_class.h"

#include "tunnel/ip_packet.h"

namespace lt::tunnel {

namespace {

using namespace flow_rule;

constexpr std::uint8_t protocol_icmp = 1;
constexpr std::uint8_t protocol_icmpv6 = 58;
constexpr FlowClass express{Urgency::express, 0};

struct Ports {
  std::uint16_t source{0};
  std::uint16_t destination{0};

  [[nodiscard]] bool include(std::uint16_t port) const noexcept {
    return source == port || destination == port;
  }
};

std::uint64_t mix(std::uint64_t x) noexcept {
  x ^= x >> mix_shift_1;
  x *= mix_multiplier_1;
  x ^= x >> mix_shift_2;
  x *= mix_multiplier_2;
  return x ^ x >> mix_shift_3;
}

std::uint64_t endpoint_v4(const Byte* address, std::uint16_t port) noexcept {
  return mix(std::uint64_t{port} << 32 | load_be32(address));
}

std::uint64_t endpoint_v6(const Byte* address, std::uint16_t port) noexcept {
  return mix(mix(mix(load_be64(address)) ^ load_be64(address + 8)) ^ port);
}

// The sum of both ends does not mind which of them sends.
FlowClass bulk_v4(ByteView packet, Ports ports = {}) noexcept {
  const std::uint64_t sum =
      endpoint_v4(&packet[12], ports.source) + endpoint_v4(&packet[16], ports.destination);
  return {Urgency::bulk, static_cast<std::uint32_t>(sum >> 32)};
}

FlowClass bulk_v6(ByteView packet, Ports ports = {}) noexcept {
  const std::uint64_t sum =
      endpoint_v6(&packet[8], ports.source) + endpoint_v6(&packet[24], ports.destination);
  return {Urgency::bulk, static_cast<std::uint32_t>(sum >> 32)};
}

bool is_marked(unsigned traffic_class) noexcept {
  return (express_dscps >> (traffic_class >> 2) & 1) != 0;
}

// What the transport header says; nothing where it is not understood.
struct Transport {
  bool is_express{false};
  Ports ports;
};

Transport read_udp(ByteView udp) noexcept {
  if (udp.size() < udp_header_bytes) return {};
  const Ports ports{load_be16(&udp[0]), load_be16(&udp[2])};
  return {ports.include(port_dns) || ports.include(port_ntp), ports};
}

Transport read_tcp(ByteView tcp) noexcept {
  if (tcp.size() < tcp_header_bytes_min) return {};
  const std::size_t header_bytes = std::size_t(tcp[12] >> 4) * 4;
  if (header_bytes < tcp_header_bytes_min || header_bytes > tcp.size()) return {};
  const Ports ports{load_be16(&tcp[0]), load_be16(&tcp[2])};
  if (ports.include(port_dns)) return {true, ports};
  const unsigned flags = tcp[13] & tcp_deciding;
  const bool is_quiet = flags == tcp_ack || flags == tcp_syn || flags == (tcp_syn | tcp_ack);
  return {is_quiet && header_bytes == tcp.size(), ports};
}

Transport read_transport(std::uint8_t protocol, ByteView transport) noexcept {
  if (protocol == protocol_udp) return read_udp(transport);
  if (protocol == protocol_tcp) return read_tcp(transport);
  return {};
}

FlowClass classify_v4(ByteView packet) noexcept {
  const std::size_t header_bytes = std::size_t(packet[0] & 0x0f) * 4;
  if (header_bytes < ipv4_header_bytes || header_bytes > packet.size()) return bulk_v4(packet);
  const bool is_fragment = (load_be16(&packet[6]) & 0x3fff) != 0;  // more fragments, or an offset
  if (is_fragment) return bulk_v4(packet);
  if (is_marked(packet[1]) || packet[9] == protocol_icmp) return express;
  const Transport transport = read_transport(packet[9], packet.subspan(header_bytes));
  return transport.is_express ? express : bulk_v4(packet, transport.ports);
}

bool is_extension(std::uint8_t next) noexcept {
  if (next < 64) return (extensions_low >> next & 1) != 0;
  return next >= 128 && next < 192 && (extensions_from_128 >> (next - 128) & 1) != 0;
}

FlowClass classify_v6(ByteView packet) noexcept {
  std::size_t at = ipv6_header_bytes;
  std::uint8_t next = packet[6];
  for (unsigned headers = 0; is_extension(next); ++headers) {
    if (headers == extension_headers_max || next == next_fragment) return bulk_v6(packet);
    if (packet.size() - at < 8) return bulk_v6(packet);
    const std::size_t size = next == next_authentication ? (std::size_t{packet[at + 1]} + 2) * 4
                                                         : (std::size_t{packet[at + 1]} + 1) * 8;
    if (size > packet.size() - at) return bulk_v6(packet);
    next = packet[at];
    at += size;
  }
  const unsigned traffic_class = load_be16(&packet[0]) >> 4 & 0xff;
  if (is_marked(traffic_class) || next == protocol_icmpv6) return express;
  const Transport transport = read_transport(next, packet.subspan(at));
  return transport.is_express ? express : bulk_v6(packet, transport.ports);
}

}  // namespace

FlowClass classify(ByteView packet) noexcept {
  if (packet.size() < ipv4_header_bytes) return {};
  if (packet[0] >> 4 == 4) return classify_v4(packet);
  if (packet[0] >> 4 == 6 && packet.size() >= ipv6_header_bytes) return classify_v6(packet);
  return {};
}

}  // namespace lt::tunnel

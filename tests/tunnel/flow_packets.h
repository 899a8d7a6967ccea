// Packets for the classifier and for the kernel's program that says the same: one for each rule,
// and random ones that meet the rules often.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "tests/tunnel/packet_builder.h"

namespace lt::tunnel::testing {

/// Where a packet should go. `by_flow`: bulk, by addresses and ports; `by_addresses`: bulk, with
/// the fragments of these addresses; `nowhere`: bulk, without a hash.
enum class Way { express, by_flow, by_addresses, nowhere };

struct FlowCase {
  std::string what;
  Way way;
  std::vector<Byte> packet;
};

/// The same packet with another traffic class. IPv4's header checksum is left wrong: classifying
/// does not look at it.
inline std::vector<Byte> with_traffic_class(std::vector<Byte> packet, unsigned traffic_class) {
  if (packet[0] >> 4 == 4) {
    packet[1] = static_cast<Byte>(traffic_class);
  } else {
    packet[0] = static_cast<Byte>(0x60 | traffic_class >> 4);
    packet[1] = static_cast<Byte>((packet[1] & 0x0f) | traffic_class << 4);
  }
  return packet;
}

inline std::vector<Byte> with_dscp(std::vector<Byte> packet, unsigned dscp) {
  return with_traffic_class(std::move(packet), dscp << 2);
}

/// An IPv4 packet with `words` words of options.
inline std::vector<Byte> with_options(std::vector<Byte> packet, std::size_t words) {
  packet[0] = static_cast<Byte>(0x45 + words);
  packet.insert(packet.begin() + 20, words * 4, Byte{1});  // no-operation
  store_be16(&packet[2], static_cast<std::uint16_t>(packet.size()));
  return packet;
}

/// IPv4: `more` and `offset` (unit: 8 B).
inline std::vector<Byte> with_fragment_field(std::vector<Byte> packet, bool more, unsigned offset) {
  store_be16(&packet[6], static_cast<std::uint16_t>((more ? 0x2000 : 0) | offset));
  return packet;
}

/// An IPv6 packet with one more extension header in front of all others.
inline std::vector<Byte> with_extension(std::vector<Byte> packet, std::uint8_t type,
                                        std::vector<Byte> header) {
  header[0] = packet[6];
  packet[6] = type;
  packet.insert(packet.begin() + 40, header.begin(), header.end());
  store_be16(&packet[4], static_cast<std::uint16_t>(packet.size() - 40));
  return packet;
}

inline std::vector<Byte> extension(std::size_t units) {  // of 8 bytes
  std::vector<Byte> header(units * 8, 0);
  header[1] = static_cast<Byte>(units - 1);
  header[2] = 1;
  header[3] = static_cast<Byte>(header.size() - 4);
  return header;
}

inline std::vector<Byte> authentication(std::size_t words) {  // of 4 bytes; 2 at least
  std::vector<Byte> header(words * 4, 0x5a);
  header[1] = static_cast<Byte>(words - 2);
  return header;
}

inline std::vector<Byte> fragment_header(unsigned offset, bool more) {
  std::vector<Byte> header(8, 0);
  header[1] = 0xff;  // reserved: no length
  store_be16(&header[2], static_cast<std::uint16_t>(offset << 3 | (more ? 1 : 0)));
  return header;
}

/// An IP packet of another protocol, with `payload` bytes.
inline std::vector<Byte> other(Family family, std::uint8_t protocol, std::size_t payload) {
  PacketSpec spec = family == Family::v4 ? PacketSpec{} : v6();
  spec.protocol = udp;
  spec.payload = pattern(payload);
  std::vector<Byte> packet = build(spec);
  packet[family == Family::v4 ? 9 : 6] = protocol;
  return packet;
}

inline std::vector<FlowCase> flow_cases() {
  using enum Way;
  std::vector<FlowCase> cases;
  for (const Family family : {Family::v4, Family::v6}) {
    const std::string ip = family == Family::v4 ? "IPv4 " : "IPv6 ";
    const auto add = [&](const std::string& what, Way way, std::vector<Byte> packet) {
      cases.push_back({ip + what, way, std::move(packet)});
    };
    const auto packet_of = [&](std::uint8_t protocol, std::uint8_t flags, std::size_t payload,
                               std::uint16_t port = 443, std::size_t options = 0) {
      PacketSpec spec = family == Family::v4 ? PacketSpec{} : v6();
      spec.protocol = protocol;
      spec.tcp_flags = flags;
      spec.destination_port = port;
      spec.payload = pattern(payload);
      spec.tcp_options.assign(options, 1);
      return build(spec);
    };
    const std::uint8_t urg = 0x20;
    const std::uint8_t ece = 0x40;

    add("TCP SYN", express, packet_of(tcp, syn, 0, 443, 20));
    add("TCP SYN with ECN's flags", express, packet_of(tcp, syn | ece | cwr, 0));
    add("TCP SYN-ACK", express, packet_of(tcp, syn | ack, 0, 443, 12));
    add("TCP bare ACK", express, packet_of(tcp, ack, 0));
    add("TCP bare ACK with options", express, packet_of(tcp, ack, 0, 443, 40));
    add("TCP bare ACK that echoes congestion", express, packet_of(tcp, ack | ece, 0));
    add("TCP bare ACK with PSH", express, packet_of(tcp, ack | psh, 0));
    add("TCP SYN with data", by_flow, packet_of(tcp, syn, 1));
    add("TCP data", by_flow, packet_of(tcp, ack, 1));
    add("TCP data behind options", by_flow, packet_of(tcp, ack, 1, 443, 12));
    add("TCP super-packet", by_flow, packet_of(tcp, ack | psh, 3000, 443, 12));
    add("TCP FIN", by_flow, packet_of(tcp, fin | ack, 0));
    add("TCP RST", by_flow, packet_of(tcp, rst, 0));
    add("TCP RST-ACK", by_flow, packet_of(tcp, rst | ack, 0));
    add("TCP urgent without payload", by_flow, packet_of(tcp, ack | urg, 0));
    add("TCP without flags", by_flow, packet_of(tcp, 0, 0));
    add("TCP SYN-FIN", by_flow, packet_of(tcp, syn | fin, 0));
    add("TCP data to port 53", express, packet_of(tcp, ack, 100, 53));
    add("TCP FIN to port 53", express, packet_of(tcp, fin | ack, 0, 53));
    add("TCP data to port 123", by_flow, packet_of(tcp, ack, 100, 123));
    add("UDP", by_flow, packet_of(udp, 0, 100));
    add("UDP without payload", by_flow, packet_of(udp, 0, 0));
    add("UDP to port 53", express, packet_of(udp, 0, 30, 53));
    add("UDP to port 123", express, packet_of(udp, 0, 48, 123));
    add("UDP to port 54", by_flow, packet_of(udp, 0, 30, 54));
    {
      PacketSpec spec = family == Family::v4 ? PacketSpec{} : v6();
      spec.protocol = udp;
      spec.source_port = 53;
      add("UDP from port 53", express, build(spec));
      spec.source_port = 123;
      add("UDP from port 123", express, build(spec));
      spec.protocol = tcp;
      spec.source_port = 53;
      spec.payload = pattern(600);
      add("TCP data from port 53", express, build(spec));
    }
    {
      std::vector<Byte> packet = packet_of(tcp, ack, 0);
      packet[transport_offset(family == Family::v4 ? PacketSpec{} : v6()) + 12] = 4 << 4;
      add("TCP with a header too short to be one", by_addresses, packet);
      packet[transport_offset(family == Family::v4 ? PacketSpec{} : v6()) + 12] = 6 << 4;
      add("TCP with a header beyond its end", by_addresses, packet);
    }

    const bool is_v4 = family == Family::v4;
    add("ICMP of the family", express, other(family, is_v4 ? 1 : 58, 56));
    add("ICMP of the other family", by_addresses, other(family, is_v4 ? 58 : 1, 56));
    for (const std::uint8_t protocol : {std::uint8_t{47}, std::uint8_t{50}, std::uint8_t{132}})
      add("protocol " + std::to_string(protocol), by_addresses, other(family, protocol, 40));
    add("protocol 50, marked EF", express, with_dscp(other(family, 50, 40), 46));
    for (unsigned mark = 0; mark < 64; ++mark) {
      // Written out from RFC 4594 and the others, apart from the constant under test.
      static const std::vector<unsigned> express_marks{4,  16, 18, 20, 22, 24, 32, 34,
                                                       36, 38, 40, 44, 45, 46, 48, 56};
      const bool is_express =
          std::find(express_marks.begin(), express_marks.end(), mark) != express_marks.end();
      add("TCP data, DSCP " + std::to_string(mark), is_express ? express : by_flow,
          with_traffic_class(packet_of(tcp, ack, 100), mark << 2 | mark % 4));
    }
    add("TCP FIN, marked EF", express, with_dscp(packet_of(tcp, fin | ack, 0), 46));

    if (is_v4) {
      add("TCP data behind IP options", by_flow, with_options(packet_of(tcp, ack, 10), 3));
      add("bare ACK behind IP options", express, with_options(packet_of(tcp, ack, 0), 10));
      std::vector<Byte> broken = packet_of(tcp, ack, 10);
      broken[0] = 0x44;
      add("header length 16", by_addresses, broken);
      broken = packet_of(udp, 0, 0);
      broken[0] = 0x4f;
      add("header length beyond the end", by_addresses, broken);
      add("first fragment", by_addresses, with_fragment_field(packet_of(udp, 0, 64), true, 0));
      add("middle fragment", by_addresses, with_fragment_field(packet_of(udp, 0, 64), true, 9));
      add("last fragment", by_addresses, with_fragment_field(packet_of(udp, 0, 64), false, 9));
      add("fragment, marked EF", by_addresses,
          with_dscp(with_fragment_field(packet_of(udp, 0, 64), true, 0), 46));
      add("fragment of a ping", by_addresses, with_fragment_field(other(family, 1, 56), true, 0));
      add("fragment of DNS", by_addresses, with_fragment_field(packet_of(udp, 0, 64, 53), true, 0));
    } else {
      const auto data = packet_of(tcp, ack, 10);
      const auto bare = packet_of(tcp, ack, 0);
      add("behind hop-by-hop options", by_flow, with_extension(data, 0, extension(1)));
      for (const unsigned number : {43U, 60U, 135U, 139U, 140U}) {
        const auto type = static_cast<std::uint8_t>(number);
        add("behind extension " + std::to_string(type), by_flow,
            with_extension(data, type, extension(type % 3 + 1)));
        add("bare ACK behind extension " + std::to_string(type), express,
            with_extension(bare, type, extension(type % 2 + 1)));
      }
      add("behind authentication", by_flow, with_extension(data, 51, authentication(6)));
      add("bare ACK behind authentication", express, with_extension(bare, 51, authentication(3)));
      add("behind the longest extension", by_flow, with_extension(data, 60, extension(256)));
      auto chain = bare;
      for (int i = 0; i < 8; ++i)
        chain = with_extension(chain, 60, extension(1));
      add("bare ACK behind 8 extensions", express, chain);
      add("bare ACK behind 9 extensions", by_addresses, with_extension(chain, 60, extension(1)));
      auto beyond = with_extension(data, 60, extension(1));
      beyond[41] = 255;
      add("extension beyond the end", by_addresses, beyond);
      add("first fragment", by_addresses, with_extension(data, 44, fragment_header(0, true)));
      add("last fragment", by_addresses, with_extension(data, 44, fragment_header(7, false)));
      add("atomic fragment", by_addresses, with_extension(bare, 44, fragment_header(0, false)));
      add("fragment behind an extension, marked EF", by_addresses,
          with_dscp(
              with_extension(with_extension(data, 44, fragment_header(0, true)), 60, extension(2)),
              46));
      auto last = data;
      last[6] = 59;
      add("no next header", by_addresses, last);
      last[6] = 128;
      add("next header 128", by_addresses, last);
      last[6] = 199;  // 199 - 128 > 63
      add("next header 199", by_addresses, last);
    }
  }
  auto odd = build(PacketSpec{});
  for (const unsigned version : {0U, 3U, 5U, 7U, 15U}) {
    odd[0] = static_cast<Byte>(version << 4 | 5);
    cases.push_back({"IP version " + std::to_string(version), nowhere, odd});
  }
  return cases;
}

/// Any packet that build() can make, with marks, ports, fragments and chains of extensions.
template <class Random>
std::vector<Byte> random_flow_packet(Random& random) {
  const auto below = [&](unsigned limit) { return static_cast<unsigned>(random()) % limit; };
  PacketSpec spec = random_spec(random, below(3) == 0 ? 0 : 600);
  if (below(8) == 0) spec.source_port = static_cast<std::uint16_t>(below(2) == 0 ? 53 : 123);
  if (below(8) == 0) spec.destination_port = static_cast<std::uint16_t>(below(2) == 0 ? 53 : 123);
  if (below(2) == 0) spec.tcp_flags = static_cast<std::uint8_t>(below(256));
  const auto address = [&](IpAddress& out) {
    std::vector<Byte> bytes = pattern(out.raw().size(), static_cast<std::uint32_t>(random()));
    std::copy(bytes.begin(), bytes.end(), out.bytes.begin());
  };
  address(spec.source);
  address(spec.destination);
  std::vector<Byte> packet = build(spec);
  if (below(2) == 0) packet = with_traffic_class(std::move(packet), below(256));
  if (below(10) == 0) packet[spec.family == Family::v4 ? 9 : 6] = static_cast<Byte>(below(256));
  if (spec.family == Family::v4) {
    if (below(6) == 0) packet = with_options(std::move(packet), below(11));
    if (below(6) == 0)
      packet =
          with_fragment_field(std::move(packet), below(2) == 0, below(2) == 0 ? 0 : below(8192));
    return packet;
  }
  static constexpr std::uint8_t types[] = {0, 43, 60, 135, 139, 140};
  for (unsigned count = below(2) == 0 ? 0 : below(10); count > 0; --count) {
    if (below(6) == 0) {
      packet = with_extension(std::move(packet), 51, authentication(2 + below(6)));
    } else if (below(12) == 0) {
      packet = with_extension(std::move(packet), 44, fragment_header(below(100), below(2) == 0));
    } else {
      packet = with_extension(std::move(packet), types[below(6)], extension(1 + below(3)));
    }
  }
  return packet;
}

}  // namespace lt::tunnel::testing

// Packets made from a description, field by field and slowly: what the fast code under test is held
// against. Nothing here shares a line with tunnel/: the checksum is the loop of RFC 1071.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"

namespace lt::tunnel::testing {

inline constexpr std::uint8_t tcp = 6;
inline constexpr std::uint8_t udp = 17;
inline constexpr std::uint8_t fin = 0x01;
inline constexpr std::uint8_t syn = 0x02;
inline constexpr std::uint8_t rst = 0x04;
inline constexpr std::uint8_t psh = 0x08;
inline constexpr std::uint8_t ack = 0x10;
inline constexpr std::uint8_t cwr = 0x80;

struct PacketSpec {
  Family family{Family::v4};
  std::uint8_t protocol{tcp};
  IpAddress source{*IpAddress::parse("10.1.0.5")};
  IpAddress destination{*IpAddress::parse("10.2.0.7")};
  std::uint16_t source_port{40000};
  std::uint16_t destination_port{443};
  std::uint16_t identification{0x1234};
  std::uint32_t sequence{0xfffff000};  // wraps within a super-packet
  std::uint32_t acknowledgement{0x01020304};
  std::uint16_t window{501};
  std::uint8_t tcp_flags{ack};
  std::uint8_t hop_limit{64};
  std::vector<Byte> tcp_options;  // a multiple of 4 bytes
  std::vector<Byte> extension;  // IPv6: one destination-options header, next header filled in here
  std::vector<Byte> payload;
};

inline PacketSpec v6(PacketSpec spec = {}) {
  spec.family = Family::v6;
  spec.source = *IpAddress::parse("fd01::5");
  spec.destination = *IpAddress::parse("fd02::7");
  return spec;
}

inline std::vector<Byte> pattern(std::size_t size, std::uint32_t seed = 1) {
  std::minstd_rand random(seed);
  std::vector<Byte> bytes(size);
  for (Byte& byte : bytes)
    byte = static_cast<Byte>(random() >> 8);
  return bytes;
}

/// The folded sum of big-endian words, not complemented.
inline std::uint16_t slow_sum(const std::vector<Byte>& text) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    sum += i % 2 == 0 ? std::uint32_t{text[i]} << 8 : text[i];
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<std::uint16_t>(sum);
}

inline void append16(std::vector<Byte>& bytes, std::size_t value) {
  bytes.push_back(static_cast<Byte>(value >> 8));
  bytes.push_back(static_cast<Byte>(value));
}

inline std::vector<Byte> pseudo_header(const PacketSpec& spec, std::size_t transport_bytes) {
  std::vector<Byte> text;
  for (const IpAddress& address : {spec.source, spec.destination}) {
    text.insert(text.end(), address.raw().begin(), address.raw().end());
  }
  append16(text, spec.protocol);
  append16(text, transport_bytes);
  return text;
}

/// The TCP or UDP header and payload with a finished checksum.
inline std::vector<Byte> build_transport(const PacketSpec& spec) {
  std::vector<Byte> bytes;
  append16(bytes, spec.source_port);
  append16(bytes, spec.destination_port);
  std::size_t checksum_at = 0;
  if (spec.protocol == tcp) {
    append16(bytes, spec.sequence >> 16);
    append16(bytes, spec.sequence & 0xffff);
    append16(bytes, spec.acknowledgement >> 16);
    append16(bytes, spec.acknowledgement & 0xffff);
    bytes.push_back(static_cast<Byte>((20 + spec.tcp_options.size()) / 4 << 4));
    bytes.push_back(spec.tcp_flags);
    append16(bytes, spec.window);
    checksum_at = bytes.size();
    append16(bytes, 0);
    append16(bytes, 0);  // urgent
    bytes.insert(bytes.end(), spec.tcp_options.begin(), spec.tcp_options.end());
  } else {
    append16(bytes, 8 + spec.payload.size());
    checksum_at = bytes.size();
    append16(bytes, 0);
  }
  bytes.insert(bytes.end(), spec.payload.begin(), spec.payload.end());

  std::vector<Byte> text = pseudo_header(spec, bytes.size());
  text.insert(text.end(), bytes.begin(), bytes.end());
  auto checksum = static_cast<std::uint16_t>(~slow_sum(text));
  if (spec.protocol == udp && checksum == 0) checksum = 0xffff;
  bytes[checksum_at] = static_cast<Byte>(checksum >> 8);
  bytes[checksum_at + 1] = static_cast<Byte>(checksum);
  return bytes;
}

/// The whole packet, every length and checksum final.
inline std::vector<Byte> build(const PacketSpec& spec) {
  const std::vector<Byte> transport = build_transport(spec);
  std::vector<Byte> bytes;
  if (spec.family == Family::v4) {
    bytes = {0x45, 0};
    append16(bytes, 20 + transport.size());
    append16(bytes, spec.identification);
    append16(bytes, 0x4000);  // don't fragment
    bytes.push_back(spec.hop_limit);
    bytes.push_back(spec.protocol);
    append16(bytes, 0);
  } else {
    bytes = {0x60, 0, 0, 0};
    append16(bytes, spec.extension.size() + transport.size());
    bytes.push_back(spec.extension.empty() ? spec.protocol : Byte{60});
    bytes.push_back(spec.hop_limit);
  }
  for (const IpAddress& address : {spec.source, spec.destination}) {
    bytes.insert(bytes.end(), address.raw().begin(), address.raw().end());
  }
  if (spec.family == Family::v4) {
    const auto checksum = static_cast<std::uint16_t>(~slow_sum(bytes));
    bytes[10] = static_cast<Byte>(checksum >> 8);
    bytes[11] = static_cast<Byte>(checksum);
  }
  if (!spec.extension.empty()) {
    bytes.insert(bytes.end(), spec.extension.begin(), spec.extension.end());
    bytes[40] = spec.protocol;
  }
  bytes.insert(bytes.end(), transport.begin(), transport.end());
  return bytes;
}

/// Where TCP or UDP begins.
inline std::size_t transport_offset(const PacketSpec& spec) {
  return spec.family == Family::v4 ? 20 : 40 + spec.extension.size();
}

inline std::size_t headers_bytes(const PacketSpec& spec) {
  return transport_offset(spec) + (spec.protocol == tcp ? 20 + spec.tcp_options.size() : 8);
}

inline std::size_t checksum_at(const PacketSpec& spec) {
  return transport_offset(spec) + (spec.protocol == tcp ? 16 : 6);
}

/// The packet as a network stack hands it over for somebody else to finish: the field holds the
/// pseudo-header's sum.
inline std::vector<Byte> build_partial(const PacketSpec& spec) {
  std::vector<Byte> bytes = build(spec);
  const std::uint16_t sum = slow_sum(pseudo_header(spec, bytes.size() - transport_offset(spec)));
  bytes[checksum_at(spec)] = static_cast<Byte>(sum >> 8);
  bytes[checksum_at(spec) + 1] = static_cast<Byte>(sum);
  return bytes;
}

/// The segments that a super-packet of `spec` stands for, each built by itself.
inline std::vector<std::vector<Byte>> build_segments(const PacketSpec& spec, std::size_t gso_size) {
  std::vector<std::vector<Byte>> segments;
  for (std::size_t at = 0; at < spec.payload.size(); at += gso_size) {
    const std::size_t size = std::min(gso_size, spec.payload.size() - at);
    PacketSpec one = spec;
    const auto begin = spec.payload.begin() + static_cast<std::ptrdiff_t>(at);
    one.payload.assign(begin, begin + static_cast<std::ptrdiff_t>(size));
    one.sequence = spec.sequence + static_cast<std::uint32_t>(at);
    one.identification = static_cast<std::uint16_t>(spec.identification + segments.size());
    if (at != 0) one.tcp_flags = static_cast<std::uint8_t>(one.tcp_flags & ~cwr);
    if (at + size < spec.payload.size()) {
      one.tcp_flags = static_cast<std::uint8_t>(one.tcp_flags & ~(fin | psh));
    }
    segments.push_back(build(one));
  }
  return segments;
}

/// A random description: both families, both protocols, options, extension headers, any payload up
/// to `payload_max`.
template <class Random>
PacketSpec random_spec(Random& random, std::size_t payload_max) {
  const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(random()) % limit; };
  PacketSpec spec = below(2) == 0 ? PacketSpec{} : v6();
  spec.protocol = below(2) == 0 ? tcp : udp;
  spec.source_port = static_cast<std::uint16_t>(below(65536));
  spec.destination_port = static_cast<std::uint16_t>(below(65536));
  spec.identification = static_cast<std::uint16_t>(below(65536));
  spec.sequence = static_cast<std::uint32_t>(random());
  spec.tcp_flags = static_cast<std::uint8_t>(ack | (below(2) == 0 ? psh : 0) |
                                             (below(4) == 0 ? fin : 0) | (below(4) == 0 ? cwr : 0));
  if (spec.protocol == tcp)
    spec.tcp_options = pattern(below(11) * 4, static_cast<std::uint32_t>(random()));
  if (spec.family == Family::v6 && below(4) == 0) {
    spec.extension.assign(8 + 8 * below(2), 0);
    spec.extension[1] = static_cast<Byte>(spec.extension.size() / 8 - 1);
    spec.extension[2] = 1;  // PadN
    spec.extension[3] = static_cast<Byte>(spec.extension.size() - 4);
  }
  spec.payload = pattern(below(payload_max + 1), static_cast<std::uint32_t>(random()));
  return spec;
}

}  // namespace lt::tunnel::testing

#include "tests/fuzz/witness.h"

namespace lt::fuzz {

namespace {

constexpr std::array<Byte, 7> fd_zeros{0, 0, 0, 0, 0, 0, 0};

std::uint32_t fold(std::uint64_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint32_t>(sum);
}

std::uint64_t add(std::uint64_t sum, ByteView text) {
  for (std::size_t i = 0; i < text.size(); ++i) sum += i % 2 == 0 ? std::uint64_t{text[i]} << 8 : text[i];
  return sum;
}

bool is_v4(ByteView packet) { return packet[0] >> 4 == 4; }

// The protocol behind the last extension header, and where it begins.
struct Transport {
  std::size_t offset;
  Byte protocol;
};
Transport transport_of(ByteView packet) {
  if (is_v4(packet)) return {20, packet[9]};
  Transport found{40, packet[6]};
  while (found.protocol == 0 || found.protocol == 60 || found.protocol == 43 || found.protocol == 135 ||
         found.protocol == 139 || found.protocol == 140 || found.protocol == 51) {
    expect(found.offset + 8 <= packet.size(), "an extension header is inside its packet");
    const std::size_t unit = found.protocol == 51 ? 4 : 8;
    const std::size_t size = (packet[found.offset + 1] + (found.protocol == 51 ? 2U : 1U)) * unit;
    found.protocol = packet[found.offset];
    found.offset += size;
  }
  return found;
}

std::uint64_t pseudo_header(ByteView packet, Byte protocol, std::size_t transport_bytes) {
  const Ends ends = ends_of(packet);
  return add(add(0, ends.source), ends.destination) + protocol + (transport_bytes & 0xffff) + (transport_bytes >> 16);
}

}  // namespace

Where where_is(ByteView address) {
  if (address.size() == 4) {
    if (address[0] != 10 || (address[2] == 255 && address[3] == 255)) return Where::elsewhere;
    return address[1] == 1 ? Where::office : address[1] == 2 ? Where::offsite : Where::elsewhere;
  }
  if (address[0] != 0xfd) return Where::elsewhere;
  const bool is_office = address[1] == 1;
  if (!is_office && address[1] != 2) return Where::elsewhere;
  if (!std::equal(address.begin() + 2, address.begin() + 8, fd_zeros.begin())) return Where::elsewhere;
  return is_office ? Where::office : Where::offsite;
}

Ends ends_of(ByteView packet) {
  return is_v4(packet) ? Ends{packet.subspan(12, 4), packet.subspan(16, 4)}
                       : Ends{packet.subspan(8, 16), packet.subspan(24, 16)};
}

std::uint16_t transport_sum(ByteView packet, std::size_t transport_offset) {
  const ByteView text = packet.subspan(transport_offset);
  return static_cast<std::uint16_t>(fold(add(pseudo_header(packet, transport_of(packet).protocol, text.size()), text)));
}

void expect_fit_for_kernel(const tunnel::VnetHeader& vnet, ByteView packet, std::uint32_t mtu) {
  using namespace tunnel;
  expect(packet.size() >= 20 && (is_v4(packet) || packet[0] >> 4 == 6), "only IP reaches the kernel");
  if (is_v4(packet)) {
    expect((packet[0] & 15) == 5, "no IPv4 options reach the kernel");
    expect(load_be16(&packet[2]) == packet.size(), "the length of an IPv4 packet is what it says");
  } else {
    expect(packet.size() >= 40 && load_be16(&packet[4]) + 40U == packet.size(), "the length of an IPv6 packet is what it says");
  }
  if (vnet.flags == 0) {
    expect(vnet == VnetHeader{}, "an offload header without a checksum to complete is all zero");
    expect(packet.size() <= mtu, "a plain packet fits into the MTU");
    return;
  }
  expect(vnet.flags == vnet_needs_checksum, "no other flag is set");
  const Transport transport = transport_of(packet);
  const bool is_tcp = transport.protocol == 6;
  expect(is_tcp || transport.protocol == 17, "only TCP and UDP are offloaded");
  expect(vnet.csum_start == transport.offset && vnet.csum_offset == (is_tcp ? 16 : 6), "the checksum is where its protocol has it");
  expect(vnet.csum_start + vnet.csum_offset + 2U <= packet.size(), "the checksum field is inside the packet");
  expect(!is_v4(packet) || (load_be16(&packet[6]) & 0x3fff) == 0, "a fragment is never offloaded");
  const std::uint32_t partial = fold(pseudo_header(packet, transport.protocol, packet.size() - transport.offset));
  const std::uint32_t field = load_be16(&packet[vnet.csum_start + vnet.csum_offset]);
  expect(field % 0xffff == partial % 0xffff, "the checksum field holds the sum of the pseudo-header");

  if (vnet.gso_type == vnet_gso_none) {
    expect(vnet.gso_size == 0 && vnet.hdr_len == 0, "a packet of one segment has no segment size");
    expect(packet.size() <= mtu, "a packet of one segment fits into the MTU");
    return;
  }
  const ByteView header = packet.subspan(transport.offset);
  const std::size_t header_bytes = is_tcp ? (header[12] >> 4) * 4U : 8U;
  expect(vnet.hdr_len == transport.offset + header_bytes, "the header length is that of the headers");
  expect(vnet.gso_size >= 536, "a segment is not so small that one write bursts into thousands");
  expect(vnet.hdr_len + vnet.gso_size <= mtu, "a segment fits into the MTU");
  expect(packet.size() > std::size_t{vnet.hdr_len} + vnet.gso_size, "a super-packet has more than one segment");
  const int plain_type = vnet.gso_type & ~vnet_gso_ecn;
  expect(plain_type == (is_tcp ? (is_v4(packet) ? vnet_gso_tcp4 : vnet_gso_tcp6) : vnet_gso_udp),
         "the kind of a super-packet is that of its headers");
  if (is_tcp) expect((header[13] & 0x06) == 0, "no SYN or RST is multiplied");
  expect(((vnet.gso_type & vnet_gso_ecn) != 0) == (is_tcp && (header[13] & 0x80) != 0), "the ECN bit is that of CWR");
}

}  // namespace lt::fuzz

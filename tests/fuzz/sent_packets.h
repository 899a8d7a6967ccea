// Packets as a LAN sends them, described by the fuzzer's choices, then bent by them: for targets whose inputs would
// seldom be IP otherwise.
#pragma once

#include "tests/fuzz/fuzz.h"
#include "tests/tunnel/packet_builder.h"
#include "tunnel/admission.h"
#include "tunnel/virtio.h"

namespace lt::fuzz {

struct SentPacket {
  std::vector<Byte> bytes;
  tunnel::VnetHeader vnet;      // as an honest kernel would write it
  tunnel::PacketMeta meta;      // as an honest sender would describe it
};

/// A packet from the office to the other site, unless the choices bend it.
inline SentPacket make_packet(Choices& choices) {
  using namespace tunnel;
  const Byte shape = choices.u8();
  testing::PacketSpec spec = (shape & 1) != 0 ? testing::v6() : testing::PacketSpec{};
  spec.protocol = (shape & 2) != 0 ? testing::udp : testing::tcp;
  spec.tcp_flags = choices.u8();
  if ((shape & 4) != 0) spec.tcp_options.assign(4 * choices.below(11), 1);
  if ((shape & 8) != 0 && spec.family == Family::v6) {
    spec.extension.assign(8 + 8 * choices.below(3), 0);
    spec.extension[1] = static_cast<Byte>(spec.extension.size() / 8 - 1);
    spec.extension[2] = 1;
    spec.extension[3] = static_cast<Byte>(spec.extension.size() - 4);
  }
  spec.payload.assign((shape & 16) != 0 ? choices.u16() % 60'000U : choices.u8(), shape);

  SentPacket sent;
  const bool is_super = (shape & 32) != 0;
  const bool is_partial = is_super || (shape & 64) != 0;
  sent.bytes = is_partial ? testing::build_partial(spec) : testing::build(spec);
  if (is_partial) {
    sent.vnet.flags = vnet_needs_checksum;
    sent.vnet.csum_start = static_cast<std::uint16_t>(testing::transport_offset(spec));
    sent.vnet.csum_offset = spec.protocol == testing::tcp ? 16 : 6;
    sent.meta.kind = PacketKind::partial_checksum;
  }
  if (is_super) {
    const bool is_v4 = spec.family == Family::v4;
    const bool is_tcp = spec.protocol == testing::tcp;
    sent.vnet.gso_size = choices.u16();
    sent.vnet.hdr_len = static_cast<std::uint16_t>(testing::headers_bytes(spec));
    sent.vnet.gso_type = is_tcp ? (is_v4 ? vnet_gso_tcp4 : vnet_gso_tcp6) : vnet_gso_udp;
    sent.meta.kind = is_tcp ? (is_v4 ? PacketKind::tcp4 : PacketKind::tcp6) : (is_v4 ? PacketKind::udp4 : PacketKind::udp6);
    sent.meta.gso_size = sent.vnet.gso_size;
  }
  for (std::size_t edits = choices.below(8); edits > 4; --edits) {
    const std::size_t at = choices.below(std::min<std::size_t>(sent.bytes.size(), 96));
    sent.bytes[at] = choices.u8();
  }
  if ((shape & 128) != 0 && choices.truth()) sent.bytes.resize(choices.below(sent.bytes.size() + 1));
  return sent;
}

inline tunnel::AdmissionOptions office_admission() {
  return {.local_prefixes = {*Prefix::parse("10.1.0.0/16"), *Prefix::parse("fd01::/64")},
          .peer_prefixes = {*Prefix::parse("10.2.0.0/16"), *Prefix::parse("fd02::/64")},
          .tunnel_addresses = {},
          .mtu = 1500};
}
inline tunnel::AdmissionOptions offsite_admission() {
  tunnel::AdmissionOptions options = office_admission();
  std::swap(options.local_prefixes, options.peer_prefixes);
  return options;
}

}  // namespace lt::fuzz

// Rooms O1, O2, I5 and I6: what the kernel hands over is described, judged, rebuilt, and cut into segments. What one
// end admits the other admits; what is written fits the kernel; segments are the packet, no byte more or less.
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sent_packets.h"
#include "tests/fuzz/witness.h"
#include "tunnel/admission.h"
#include "tunnel/offload.h"
#include "tunnel/segmentation.h"

namespace lt::fuzz {

using namespace tunnel;

namespace {

constexpr std::uint32_t mtu = 1500;

// Every checksum of a finished packet is right.
void expect_finished(ByteView packet) {
  const auto view = parse_ip(packet);
  expect(view.has_value(), "a finished packet is a sound packet");
  const bool has_none = view->protocol == protocol_udp && load_be16(&packet[view->transport_offset + 6U]) == 0;
  expect(!has_none, "a finished packet has a checksum");
  expect(transport_sum(packet, view->transport_offset) == 0xffff, "the checksum of a finished packet is right");
}

void expect_segments(PacketMeta meta, ByteView packet) {
  std::vector<Byte> scratch(mtu);
  std::vector<Byte> payload;
  const auto view = parse_ip(packet);
  std::size_t seen = 0;
  const auto cut = segment(meta, packet, scratch, [&](ByteView piece) {
    const auto inner = parse_ip(piece);
    expect(inner && inner->headers_bytes() == view->headers_bytes(), "a segment has the headers of its packet");
    expect(piece.size() <= inner->headers_bytes() + meta.gso_size, "a segment holds at most gso_size bytes");
    expect_finished(piece);
    expect(std::equal(ends_of(piece).source.begin(), ends_of(piece).source.end(), ends_of(packet).source.begin()) &&
               std::equal(ends_of(piece).destination.begin(), ends_of(piece).destination.end(), ends_of(packet).destination.begin()),
           "a segment has the addresses of its packet");
    const ByteView text = piece.subspan(inner->headers_bytes());
    if (is_tcp(meta.kind)) {
      const ByteView header = piece.subspan(inner->transport_offset);
      const ByteView whole = packet.subspan(view->transport_offset);
      const auto moved_on = static_cast<std::uint32_t>(payload.size());
      expect(load_be32(&header[4]) == load_be32(&whole[4]) + moved_on, "a segment's sequence number is that of its first byte");
      const bool is_last = payload.size() + text.size() == packet.size() - view->headers_bytes();
      const Byte kept = static_cast<Byte>((is_last ? 0xff : 0xff & ~0x09) & (payload.empty() ? 0xff : 0xff & ~0x80));
      expect(header[13] == (whole[13] & kept), "FIN and PSH are the last segment's, CWR is the first one's");
    }
    payload.insert(payload.end(), text.begin(), text.end());
    ++seen;
  });
  if (!cut) return;
  expect(*cut == seen && seen > 1, "a super-packet has as many segments as are counted");
  const ByteView whole = packet.subspan(view->headers_bytes());
  expect(std::equal(payload.begin(), payload.end(), whole.begin(), whole.end()), "the segments are the packet");
}

// The far end takes what the near end has admitted, and writes it.
void receive(PacketMeta meta, std::vector<Byte> packet, const Admission& far, bool was_admitted) {
  const auto refused = far.admit_inbound(meta, packet);
  // The sender does not ask whether its own source is a broadcast address.
  if (was_admitted && where_is(ends_of(packet).source) != Where::elsewhere) {
    expect(!refused, "what one end admits the other takes");
  }
  if (!refused) {
    expect(where_is(ends_of(packet).source) == Where::office, "what is admitted comes from an address of the sender's site");
    expect(where_is(ends_of(packet).destination) == Where::offsite, "what is admitted goes to an address of the receiver's site");
  }
  const std::vector<Byte> before = packet;
  const auto vnet = rebuild(meta, packet, mtu);
  if (!refused) expect(vnet.has_value(), "what is admitted can be written");
  if (!vnet) return expect(packet == before, "a packet that is dropped is not touched");
  expect_fit_for_kernel(*vnet, packet, mtu);
  const auto offload = describe(*vnet, packet);
  expect(offload && *offload == meta, "what was rebuilt is described as it was");
  if (is_super(meta.kind)) return expect_segments(meta, packet);
  expect(!complete_checksum(meta, packet), "a packet that was rebuilt can be finished");
  if (meta.kind == PacketKind::partial_checksum) expect_finished(packet);
}

}  // namespace

void run(ByteView input) {
  static const Admission near(office_admission());
  static const Admission far(offsite_admission());
  Choices choices(input);
  const Byte mode = choices.u8();

  // What the peer claims, without any of our rooms between.
  if ((mode & 1) != 0) {
    const PacketMeta claimed{static_cast<PacketKind>(choices.below(6)), choices.u16()};
    return receive(claimed, (mode & 2) != 0 ? copy_of(choices.rest()) : make_packet(choices).bytes, far, false);
  }

  // What our own kernel hands over, with an offload header that may lie.
  SentPacket sent = make_packet(choices);
  if ((mode & 2) != 0) sent.vnet = load_vnet([&] {
    auto raw = copy_of(choices.take(vnet_header_bytes));
    raw.resize(vnet_header_bytes);
    return raw;
  }().data());
  const auto meta = describe(sent.vnet, sent.bytes);
  if (!meta) return;
  const auto view = parse_ip(sent.bytes);
  const auto refused = near.admit_outbound(*meta, sent.bytes);
  if (!view) return expect(refused.has_value(), "a checksum completed inside the IP header lets nothing pass");
  expect(!find_offload_fault(*meta, *view), "a description fits its packet");
  if (!refused) {
    expect(where_is(ends_of(sent.bytes).destination) == Where::offsite, "what is sent goes to an address of the other site");
    const std::size_t largest = is_super(meta->kind) ? view->headers_bytes() + meta->gso_size : sent.bytes.size();
    expect(largest <= mtu, "what is sent fits into the MTU");
  }
  if (needs_segmentation(*meta)) return expect_segments(*meta, sent.bytes);
  receive(*meta, sent.bytes, far, !refused);
}

}  // namespace lt::fuzz

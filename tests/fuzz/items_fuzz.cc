// Room I4: the items of a record are found whole and in order, cover it without a gap, and are what the packer writes.
#include "tests/fuzz/fuzz.h"
#include "tunnel/ip_packet.h"
#include "tunnel/packing.h"

namespace lt::fuzz {

using namespace tunnel;

namespace {

// A payload as a sender packs it, with lengths that may lie: sizes and fillings are the fuzzer's.
std::vector<Byte> pack(Choices& choices) {
  std::vector<Byte> payload;
  const std::size_t cut_off = choices.below(4) == 3 ? choices.below(8) : 0;  // bytes, at the end
  while (!choices.at_end() && payload.size() < 200'000) {
    const Byte shape = choices.u8();
    const std::size_t packet_bytes = (shape & 1) != 0 ? choices.u16() : packet_bytes_min + (shape >> 4);
    std::array<Byte, item_header_bytes> header{};
    pack_item_header(header, {static_cast<PacketKind>(shape >> 1 & 7), choices.u16()}, packet_bytes);
    if ((shape & 0x30) == 0x30) header[choices.below(header.size())] = choices.u8();
    payload.insert(payload.end(), header.begin(), header.end());
    payload.resize(payload.size() + packet_bytes, shape);
  }
  payload.resize(payload.size() - std::min(cut_off, payload.size()));
  return payload;
}

}  // namespace

void run(ByteView input) {
  if (input.empty()) return;
  Choices choices(input);
  std::vector<Byte> payload = choices.truth() ? pack(choices) : copy_of(choices.rest());
  const std::vector<Byte> before = payload;
  std::size_t walked = 0;
  for (ItemCursor items(payload); !items.at_end();) {
    const auto item = items.next();
    if (!item) {
      expect(is_showable(item.error().what), "the reason may be shown");
      break;
    }
    const ByteSpan packet = item->packet;
    expect(packet.size() >= packet_bytes_min && packet.size() <= packet_bytes_max, "a packet's size is within its bounds");
    expect(item->meta.kind <= PacketKind::udp6, "a kind is one of six");
    expect(packet.data() == payload.data() + walked + item_header_bytes, "an item follows the one before it without a gap");
    expect(packet.data() + packet.size() <= payload.data() + payload.size(), "an item ends inside its record");
    std::array<Byte, item_header_bytes> header{};
    pack_item_header(header, item->meta, packet.size());
    expect(std::equal(header.begin(), header.end(), payload.begin() + static_cast<std::ptrdiff_t>(walked)),
           "an item's header is what the packer writes for it");
    walked += item_header_bytes + packet.size();
    expect(items.at_end() == (walked == payload.size()), "the items cover the record");
  }
  expect(payload == before, "reading changes nothing");
}

}  // namespace lt::fuzz

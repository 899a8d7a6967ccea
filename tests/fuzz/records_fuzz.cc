// The way in, I1 to I6, fed by a peer that has the key and packs what the fuzzer says, over a path that does to the
// stream what the fuzzer says. Not one record is opened beyond the first alteration; what is written into the TUN was
// sealed, is in order, between the right addresses, and fits the kernel; every packet is delivered or counted.
#include "tests/fuzz/scripted_port.h"
#include "tests/fuzz/sent_packets.h"
#include "tests/fuzz/wire_script.h"
#include "tests/fuzz/witness.h"

namespace lt::fuzz {

using namespace tunnel;

namespace {

constexpr std::uint32_t mtu = 1500;
constexpr std::size_t record_limit = record_limit_min;

std::vector<Byte> make_payload(Choices& choices) {
  std::vector<Byte> payload;
  if (choices.below(8) == 7) {
    payload = copy_of(choices.take(1 + choices.u8()));
    if (payload.empty()) payload.push_back(0);
    return payload;
  }
  for (std::size_t items = 1 + choices.below(3); items > 0; --items) {
    const SentPacket packet = make_packet(choices);
    std::array<Byte, item_header_bytes> header{};
    pack_item_header(header, packet.meta, packet.bytes.size());
    if (choices.below(16) == 15) header[choices.below(header.size())] = choices.u8();
    if (payload.size() + header.size() + packet.bytes.size() > record_limit) break;
    payload.insert(payload.end(), header.begin(), header.end());
    payload.insert(payload.end(), packet.bytes.begin(), packet.bytes.end());
  }
  if (payload.empty()) payload.push_back(0);
  return payload;
}

// The packets of the records that may be believed, as they were sealed; nothing of a record that lies about its items.
struct Believable {
  std::vector<ByteView> packets;
  bool ends_in_fault{false};  // a record that opens, and breaks a rule
};

bool is_sound(ByteView payload, std::vector<ByteView>& packets) {
  while (!payload.empty()) {
    if (payload.size() < item_header_bytes) return false;
    const std::size_t length = load_be32(payload.data());
    if (length < 3 + packet_bytes_min || length > 3 + packet_bytes_max || length > payload.size() - 4) return false;
    if (payload[4] > 5) return false;
    packets.push_back(payload.subspan(item_header_bytes, length - 3));
    payload = payload.subspan(4 + length);
  }
  return true;
}

Believable believable(const std::vector<SealedPiece>& pieces, std::size_t intact) {
  Believable all;
  for (std::size_t i = 0; i < intact; ++i) {
    std::vector<ByteView> packets;
    if (!is_sound(pieces[i].payload, packets)) {
      all.ends_in_fault = true;
      return all;
    }
    all.packets.insert(all.packets.end(), packets.begin(), packets.end());
  }
  return all;
}

// Whether `written` is `sealed` but for the one field that the receiver may write: the transport's checksum.
bool is_same_packet(const DeliveredPacket& written, ByteView sealed) {
  if (written.bytes.size() != sealed.size()) return false;
  const std::size_t field = std::size_t{written.vnet.csum_start} + written.vnet.csum_offset;
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    const bool may_differ = written.vnet.flags != 0 && (i == field || i == field + 1);
    if (written.bytes[i] != sealed[i] && !may_differ) return false;
  }
  return true;
}

// Whether a header breaks the rules by itself. P-28
bool is_bad_header(ByteView header) {
  if (header.size() < record_header_bytes) return false;
  const std::size_t length = load_be32(header.data() + 4);
  return header[0] != 0xa5 || header[1] < 1 || header[1] > 5 || header[2] != 0 || header[3] != 0 || length < 17 ||
         length > record_limit + 16;
}

}  // namespace

void run(ByteView input) {
  static const Admission admission(offsite_admission());
  Choices choices(input);
  const Byte mode = choices.u8();
  const std::size_t portion = (mode & 1) != 0 ? 1 + choices.u16() : 1 << 20;

  RecordWriter writer(7);
  std::vector<SealedPiece> pieces;
  for (std::size_t records = 1 + choices.below(6); records > 0; --records) {
    pieces.push_back(writer.seal(RecordType::data, make_payload(choices)));
  }
  const std::vector<Byte> stream = altered(pieces, choices);
  const std::size_t intact = intact_pieces(pieces, stream);

  ScriptedPort port;
  if ((mode & 2) != 0) port.let_writes_lag();
  for (std::size_t at = 0, next = 0; at < stream.size();) {
    // One record at a time, or without regard to their borders.
    const std::size_t wanted = (mode & 4) != 0 && next < pieces.size() ? pieces[next++].bytes.size() : portion;
    const std::size_t count = std::min(wanted, stream.size() - at);
    port.add_portion(ByteView(stream).subspan(at, count));
    at += count;
  }
  LaneState state;
  DropCounters drops;
  Inbound<ScriptedPort> inbound({.tun_fd = -1,
                                 .tun_offload = true,
                                 .socket_fd = -1,
                                 .admission = &admission,
                                 .record_limit = record_limit,
                                 .tun_mtu = mtu},
                                *Opener::create(secret_of(7)), state, drops, port, [] {});
  const LaneEnd end = inbound.run({});

  const Believable sealed = believable(pieces, intact);
  expect(state.inbound.records.load() <= intact, "no record opens beyond the first alteration");
  expect(end == LaneEnd::bad_record || end == LaneEnd::closed, "a lane ends by a bad record or with its stream");
  if (sealed.ends_in_fault) expect(end == LaneEnd::bad_record, "a record that lies about its items ends the lane");
  if (!sealed.ends_in_fault) expect(state.inbound.records.load() == intact, "every intact record opens");
  expect(is_showable(inbound.reason()), "the reason may be shown");
  std::size_t intact_bytes = 0;
  for (std::size_t i = 0; i < intact; ++i) intact_bytes += pieces[i].bytes.size();
  if (is_bad_header(ByteView(stream).subspan(intact_bytes))) {
    expect(end == LaneEnd::bad_record, "a header is judged before its body is waited for");
  }

  std::size_t next = 0;
  for (const DeliveredPacket& written : port.delivered()) {
    while (next < sealed.packets.size() && !is_same_packet(written, sealed.packets[next])) ++next;
    expect(next < sealed.packets.size(), "what is delivered was sealed, in this order");
    ++next;
    expect_fit_for_kernel(written.vnet, written.bytes, mtu);
    expect(where_is(ends_of(written.bytes).source) == Where::office, "what is delivered comes from the sender's site");
    expect(where_is(ends_of(written.bytes).destination) == Where::offsite, "what is delivered goes to the receiver's site");
  }
  expect(port.delivered().size() == state.inbound.packets.load(), "what is counted as delivered is delivered");
  expect(port.delivered().size() + drops.total() == sealed.packets.size(), "each packet is delivered or counted as dropped");
}

}  // namespace lt::fuzz

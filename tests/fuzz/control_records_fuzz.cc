// PING, PONG, KEYUPDATE and GOODBYE from a peer that has the key and keeps to no rule. A model of a few lines, written
// from docs/PROTOCOL.md, says how the lane must end and how many records it may have opened by then.
#include "tests/fuzz/scripted_port.h"
#include "tests/fuzz/sent_packets.h"
#include "tests/fuzz/wire_script.h"

namespace lt::fuzz {

using namespace tunnel;

namespace {

constexpr std::uint32_t mtu = 1500;

struct Model {
  LaneEnd end{LaneEnd::running};
  std::size_t opened{0};
  std::size_t pings{0};
  std::size_t updates{0};

  /// @param steps  of the peer's key, when it sealed this
  void take(const SealedPiece& piece, std::size_t steps) {
    if (end != LaneEnd::running) return;
    if (steps != updates) return void(end = LaneEnd::bad_record);  // P-30
    ++opened;
    const std::vector<Byte>& text = piece.payload;
    switch (piece.type) {
      case RecordType::ping:
        if (text.size() < 8 || ++pings > 1000) end = LaneEnd::bad_record;  // P-43, P-44
        return;
      case RecordType::pong:
        if (text.size() < 8) end = LaneEnd::bad_record;  // P-44
        return;
      case RecordType::key_update:
        if (text != std::vector<Byte>{0} || ++updates > 100) end = LaneEnd::bad_record;  // P-39, P-40
        return;
      case RecordType::goodbye:  // P-48, P-49
        end = text.size() == 9 && text[0] >= 1 && text[0] <= 5 ? LaneEnd::peer_goodbye : LaneEnd::bad_record;
        return;
      default:
        return;
    }
  }
};

std::vector<Byte> make_payload(RecordType type, Choices& choices) {
  const Byte shape = choices.u8();
  std::vector<Byte> text(type == RecordType::key_update ? 1 : type == RecordType::goodbye ? 9 : 8);
  if (type == RecordType::goodbye) text[0] = static_cast<Byte>(1 + shape % 5);
  if ((shape & 0xc0) != 0xc0) return text;
  text.resize(1 + choices.below(24));
  text[0] = choices.u8();
  return text;
}

}  // namespace

void run(ByteView input) {
  static const Admission admission(offsite_admission());
  Choices choices(input);
  RecordWriter writer(7);
  Model model;
  ScriptedPort port;
  std::size_t sealed = 0;
  std::size_t steps = 0;
  while (!choices.at_end() && sealed < 3000) {
    const auto type = static_cast<RecordType>(2 + choices.below(4));
    const Byte shape = choices.u8();
    const std::vector<Byte> text = make_payload(type, choices);
    // Many at once, so that the floods are within the fuzzer's reach.
    for (std::size_t times = (shape & 0x80) != 0 ? 1 + (shape & 0x7fU) * 9 : 1; times > 0; --times) {
      const SealedPiece piece = writer.seal(type, text);
      port.add_portion(piece.bytes);
      model.take(piece, steps);
      ++sealed;
      if (type != RecordType::key_update) continue;
      // A peer that does not follow its own KEYUPDATE, or steps without one, is out of step from here on.
      if ((shape & 0x0f) == 1) continue;
      writer.step();
      ++steps;
    }
    if ((shape & 0x70) == 0x70) {
      writer.step();
      ++steps;
    }
  }
  if (model.end == LaneEnd::running) model.end = LaneEnd::closed;

  LaneState state;
  DropCounters drops;
  std::size_t wakes = 0;
  Inbound<ScriptedPort> inbound({.tun_fd = -1,
                                 .tun_offload = true,
                                 .socket_fd = -1,
                                 .admission = &admission,
                                 .record_limit = record_limit_min,
                                 .tun_mtu = mtu},
                                *Opener::create(secret_of(7)), state, drops, port, [&] { ++wakes; });
  const LaneEnd end = inbound.run({});
  expect(end == model.end, "a lane ends as the protocol says");
  expect(state.inbound.records.load() == model.opened, "as many records are opened as the protocol allows");
  expect(port.delivered().empty() && drops.total() == 0, "a control record reaches no LAN");
  std::size_t wanted = 0;
  while (state.pongs_wanted.pop()) ++wanted;
  expect(wanted == std::min<std::size_t>({model.pings, 2}) && wakes == wanted, "at most two PINGs wait for their answer");
  expect(is_showable(inbound.reason()), "the reason may be shown");
}

}  // namespace lt::fuzz

// Two machines and their record layers, joined by a path that the fuzzer owns: it cuts, delays, flips, puts in, takes
// out, repeats, reflects, and swaps bytes between two sessions of the same sites.
//
// Promises: no end has a session unless what it was given is what its own peer has said (but for what TLS 1.3 itself
// leaves open: the version bytes of its first records, how they are cut, its dummy records); no stranger is answered; no
// record is opened that was altered, left out, repeated or out of place; a path that leaves the bytes alone joins both
// ends. An assertion that fails in any of this is a finding.
#include <optional>

#include "tests/fuzz/insiders.h"
#include "tests/fuzz/wire_script.h"
#include "tunnel/framing.h"

namespace lt::fuzz {

using namespace tunnel;

namespace {

constexpr std::size_t record_bytes_max = 2000;

// What of a stream is the sender's word: TLS's plain handshake bytes without their record headers, no dummy records
// (RFC 8446 5, D.4), everything else to the last byte.
std::vector<Byte> meaning_of(ByteView stream, bool has_knock) {
  Reader reader(stream);
  std::vector<Byte> meaning;
  const auto append = [&](ByteView bytes) { meaning.insert(meaning.end(), bytes.begin(), bytes.end()); };
  if (has_knock) append(*reader.take(std::min(knock_bytes, reader.left())));
  while (reader.left() > 0) {
    const auto header = reader.take(std::min<std::size_t>(5, reader.left()));
    const std::size_t length = header->size() == 5 ? load_be16(header->data() + 3) : 0;
    const ByteView body = *reader.take(std::min(length, reader.left()));
    if (header->size() < 5) break;
    if ((*header)[0] == 20 && body.size() == 1 && body[0] == 1) continue;
    if ((*header)[0] != 22) append(*header);
    append(body);
  }
  return meaning;
}

bool begins_with(ByteView text, ByteView beginning) {
  return text.size() >= beginning.size() && std::equal(beginning.begin(), beginning.end(), text.begin());
}

struct RecordLayer {
  Sealer sealer;
  Opener opener;
  ReceiveBuffer buffer{1 << 16};
};

struct End {
  bool is_client;
  Handshake machine;
  Status status{};
  std::vector<Byte> said{};            // all that it has put on its wire
  std::vector<Byte> wire{};            // of that, what the path still holds
  std::vector<Byte> given{};           // all that the path has given it
  std::optional<RecordLayer> layer{};  // once it has a session
  std::vector<std::pair<RecordType, std::vector<Byte>>> sealed{};
  std::size_t opened{0};
  bool is_broken{false};  // a record did not open: the lane has ended

  void speak() {
    const auto bytes = machine.take_output();
    if (!is_client && !bytes.empty()) expect(machine.has_knocked(), "no stranger is answered");
    put(bytes);
  }
  void put(ByteView bytes) {
    said.insert(said.end(), bytes.begin(), bytes.end());
    wire.insert(wire.end(), bytes.begin(), bytes.end());
  }
};

struct Session {
  End client;
  End server;
  bool is_touched{false};  // the path has done something to its bytes

  End& end(bool is_client) { return is_client ? client : server; }
};

End make_end(bool is_client, ByteView psk) {
  HandshakeOptions options = is_client ? client_options() : server_options();
  options.psk = psk;
  End end{.is_client = is_client, .machine = make_handshake(options)};
  end.speak();
  return end;
}

void open_records(End& end, const End& peer) {
  while (!end.is_broken) {
    auto found = end.layer->buffer.next_record(record_limit_min);
    if (!found) return void(end.is_broken = true);
    if (!*found) return;
    const auto payload = end.layer->opener.open((*found)->second);
    if (!payload) return void(end.is_broken = true);
    expect(end.opened < peer.sealed.size(), "no record opens that was not sealed");
    const auto& [type, sealed] = peer.sealed[end.opened++];
    expect((*found)->first == type, "a record is of the type that was sealed");
    expect(std::equal(payload->begin(), payload->end(), sealed.begin(), sealed.end()), "no altered byte is delivered");
    if ((*found)->first == RecordType::key_update && !end.layer->opener.ratchet(script_start)) end.is_broken = true;
  }
}

void take_stream(End& end, const End& peer, ByteView bytes) {
  if (end.is_broken) return;
  end.layer->buffer.make_room(bytes.size());
  std::copy(bytes.begin(), bytes.end(), end.layer->buffer.free_space().begin());
  end.layer->buffer.received(bytes.size());
  open_records(end, peer);
}

void establish(End& end, End& peer, const std::vector<const End*>& speakers) {
  Established session = end.machine.take_established();
  expect(session.early_records.size() <= end.given.size(), "early records were given");
  const ByteView handshake = ByteView(end.given).first(end.given.size() - session.early_records.size());
  const auto heard = meaning_of(handshake, !end.is_client);
  expect(begins_with(meaning_of(peer.said, peer.is_client), heard), "no session but from what the peer has said");
  for (const End* other : speakers) {
    if (other != &peer) expect(!begins_with(meaning_of(other->said, other->is_client), heard), "no session from another's words");
  }
  expect(session.tun_mtu == 1500 && session.record_limit == 256 * 1024, "the limits are what both have offered");
  end.layer.emplace(RecordLayer{*Sealer::create(std::move(session.outbound), {}, script_start),
                                *Opener::create(std::move(session.inbound))});
  take_stream(end, peer, session.early_records);
}

// The path gives `count` bytes from the front of the peer's wire to `end`.
void carry(End& end, End& peer, std::size_t count, const std::vector<const End*>& speakers) {
  count = std::min(count, peer.wire.size());
  if (!end.layer) count = std::min(count, end.machine.bytes_wanted_max());
  if (count == 0 || !end.status) return;
  const std::vector<Byte> bytes(peer.wire.begin(), peer.wire.begin() + static_cast<std::ptrdiff_t>(count));
  peer.wire.erase(peer.wire.begin(), peer.wire.begin() + static_cast<std::ptrdiff_t>(count));
  end.given.insert(end.given.end(), bytes.begin(), bytes.end());
  if (end.layer) {
    for (std::size_t at = 0; at < bytes.size(); at += 16'384) {
      take_stream(end, peer, ByteView(bytes).subspan(at, std::min<std::size_t>(16'384, bytes.size() - at)));
    }
    return;
  }
  end.status = end.machine.on_bytes(bytes);
  expect(end.status || is_showable(end.status.error().what), "the reason may be shown");
  expect(end.status || !end.machine.is_established(), "a handshake that has failed establishes nothing");
  if (end.machine.is_established()) establish(end, peer, speakers);
  end.speak();
}

void seal(End& end, Choices& choices) {
  if (!end.layer) return;
  const Byte shape = choices.u8();
  const bool steps = shape > 0xf0;
  std::vector<Byte> payload(steps ? 1 : 1 + shape * record_bytes_max / 256, steps ? Byte{0} : shape);
  std::vector<Byte> record(payload.size() + record_overhead_bytes);
  std::copy(payload.begin(), payload.end(), record.begin() + record_header_bytes);
  const auto type = steps ? RecordType::key_update : RecordType::data;
  expect(end.layer->sealer.seal(type, record).has_value(), "a fresh key seals");
  if (steps) end.layer->sealer.ratchet(script_start);
  end.sealed.emplace_back(type, std::move(payload));
  end.put(record);
}

// What a hostile path does to the bytes it holds.
void tamper(std::vector<Byte>& wire, const std::vector<Byte>& said, std::vector<Byte>& elsewhere, Choices& choices) {
  // Anywhere, or near the front, where the next header is.
  const std::size_t reach = choices.truth() ? std::min<std::size_t>(wire.size(), 16) : wire.size();
  const std::size_t at = wire.empty() ? 0 : choices.below(reach);
  const auto place = wire.begin() + static_cast<std::ptrdiff_t>(at);
  const std::size_t count = std::min<std::size_t>(1 + choices.u8(), wire.size() - at);
  switch (choices.below(7)) {
    case 0:
      if (!wire.empty()) *place = static_cast<Byte>(*place ^ 1U << choices.below(8));
      return;
    case 1:
      wire.erase(place, place + static_cast<std::ptrdiff_t>(count));
      return;
    case 2: {
      const std::vector<Byte> again(place, place + static_cast<std::ptrdiff_t>(count));
      wire.insert(place, again.begin(), again.end());
      return;
    }
    case 3: {
      const ByteView bytes = choices.take(1 + choices.below(64));
      wire.insert(place, bytes.begin(), bytes.end());
      return;
    }
    case 4:  // of another session, or of the other direction
      std::swap(wire, elsewhere);
      return;
    case 5: {  // what was said before
      const std::size_t from = said.empty() ? 0 : choices.below(said.size());
      const std::size_t length = std::min<std::size_t>(choices.u16(), said.size() - from);
      wire.insert(place, said.begin() + static_cast<std::ptrdiff_t>(from), said.begin() + static_cast<std::ptrdiff_t>(from + length));
      return;
    }
    default:
      wire.resize(at);
      return;
  }
}

}  // namespace

void run(ByteView input) {
  Choices choices(input);
  const Byte mode = choices.u8();
  const ByteView psk = (mode & 1) != 0 ? ByteView(psk_one) : ByteView();
  const bool keys_differ = (mode & 0x70) == 0x70;
  std::vector<Session> sessions;
  for (int i = (mode & 2) != 0 ? 2 : 1; i > 0; --i) {
    sessions.push_back({make_end(true, psk), make_end(false, keys_differ && psk.empty() ? ByteView(psk_one) : psk)});
  }
  const bool psk_agrees = !keys_differ || !psk.empty();
  std::vector<const End*> speakers;
  for (const Session& session : sessions) {
    speakers.push_back(&session.client);
    speakers.push_back(&session.server);
  }

  for (int steps = 0; steps < 200 && !choices.at_end(); ++steps) {
    const Byte what = choices.u8();
    Session& session = sessions[(what & 1) % sessions.size()];
    const bool to_client = (what & 2) != 0;
    End& end = session.end(to_client);
    End& peer = session.end(!to_client);
    switch (what >> 2 & 7) {
      case 0: carry(end, peer, 1 + choices.u8(), speakers); break;
      case 1:
      case 2: carry(end, peer, SIZE_MAX, speakers); break;
      case 3: seal(end, choices); break;
      case 4:
        for (int turns = 0; turns < 6; ++turns) {
          carry(session.server, session.client, SIZE_MAX, speakers);
          carry(session.client, session.server, SIZE_MAX, speakers);
        }
        break;
      default: {
        Session& other = sessions[choices.below(sessions.size())];
        session.is_touched = other.is_touched = true;
        tamper(peer.wire, peer.said, other.end(choices.truth()).wire, choices);
        break;
      }
    }
    if (!psk_agrees) expect(!session.client.layer && !session.server.layer, "no session where the pre-shared keys differ");
  }

  // A path that did nothing but delay joins both ends, and loses nothing.
  for (Session& session : sessions) {
    if (session.is_touched || !psk_agrees) continue;
    for (int turns = 0; turns < 8; ++turns) {
      carry(session.server, session.client, SIZE_MAX, speakers);
      carry(session.client, session.server, SIZE_MAX, speakers);
    }
    expect(session.client.layer && session.server.layer, "two honest ends are joined");
    for (const bool is_client : {true, false}) {
      expect(!session.end(is_client).is_broken && session.end(is_client).opened == session.end(!is_client).sealed.size(),
             "every record of an honest path is opened");
    }
  }
}

}  // namespace lt::fuzz

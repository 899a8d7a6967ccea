// The handshake against an insider: the other end has the right key and every secret, and says what the fuzzer wants.
// A session comes about only from messages whose MAC is right, byte by byte, with limits that both ends can live by;
// an error is final; a refusal may be shown.
#include "tests/fuzz/insiders.h"
#include "tunnel/limits.h"

namespace lt::fuzz {

using namespace tunnel;

namespace {

struct Edits {
  bool are_any{false};

  void make(ByteSpan message, Choices& choices) {
    for (std::size_t count = choices.below(4); count > 0; --count) {
      const std::size_t at = choices.below(message.size());
      const Byte change = choices.u8();
      message[at] = static_cast<Byte>(message[at] ^ change);
      are_any |= change != 0;
    }
  }
};

void expect_over(Handshake& machine, Choices& choices) {
  expect(!machine.is_established(), "a handshake that has failed establishes nothing");
  static_cast<void>(machine.take_output());  // its last words
  expect(!machine.on_bytes(choices.rest()).has_value(), "an error is final");
  expect(!machine.is_established(), "no later byte mends a handshake");
}

void expect_limits(const Established& session, std::uint32_t record_limit, std::uint32_t tun_mtu) {
  expect(session.record_limit >= record_limit_min && session.record_limit <= record_limit,
         "a session's records fit what both ends have offered");
  expect(session.tun_mtu >= tun_mtu_min && session.tun_mtu <= tun_mtu, "a session's MTU fits what both ends have offered");
}

void attack_server(Choices& choices) {
  const Byte mode = choices.u8();
  const ByteView psk = (mode & 1) != 0 ? ByteView(psk_one) : ByteView();
  HandshakeOptions options = server_options();
  options.psk = psk;
  Handshake server = make_handshake(options);
  Insider client(crypto::Role::client, psk);
  come_to_hello(client, server, psk);

  // HELLO: fields bent before the MAC is made over them, bytes bent behind it.
  Hello honest{.offer = an_offer(1)};
  honest.offer.psk_used = !psk.empty();
  auto hello = encode(honest);
  Edits before;
  before.make(ByteSpan(hello).first(hello_bytes - mac_bytes), choices);
  const Mac mac = client.mac_of(client.secrets().confirm_client, ByteView(hello).first(hello_bytes - mac_bytes));
  std::copy(mac.begin(), mac.end(), hello.end() - mac_bytes);
  const auto signed_hello = hello;
  if ((mode & 2) != 0) {
    Edits behind;
    behind.make(hello, choices);
  }
  const bool mac_is_right = hello == signed_hello;
  const auto decoded = decode_hello(hello);
  const auto status = client.say(server, hello);
  const bool may_go_on = mac_is_right && decoded && decoded->offer.psk_used == !psk.empty() &&
                         decoded->offer.prefix_hash == options.offer.prefix_hash;
  if (!may_go_on) expect(!status.has_value(), "only a HELLO that is right to the last byte is accepted");
  if (!before.are_any && mac_is_right) expect(status.has_value(), "an honest HELLO is accepted");
  expect(!server.is_established(), "no session before GO");
  if (!status) {
    expect(is_showable(status.error().what), "the reason may be shown");
    return expect_over(server, choices);
  }

  std::array<Byte, 2> said = go;
  Edits in_go;
  if ((mode & 4) != 0) in_go.make(said, choices);
  const auto gone = client.say(server, said);
  expect(gone.has_value() == (said == go), "GO is two bytes, and no others");
  if (!gone) return expect_over(server, choices);
  expect(server.is_established(), "GO opens the session");
  const Established session = server.take_established();
  expect_limits(session, decoded->offer.record_limit, decoded->offer.tun_mtu);
  expect_limits(session, options.offer.record_limit, options.offer.tun_mtu);
  expect(session.peer_boot_id == decoded->offer.boot_id, "the session knows the start of its peer");
  const auto& keys = client.secrets();
  expect(crypto::equal_constant_time(session.inbound.reveal(), keys.traffic_client.reveal()) &&
             crypto::equal_constant_time(session.outbound.reveal(), keys.traffic_server.reveal()),
         "both ends hold the same keys, crosswise");
}

void attack_client(Choices& choices) {
  const Byte mode = choices.u8();
  Handshake client = make_handshake(client_options());
  Insider server(crypto::Role::server, {});
  const std::vector<Byte> hello = come_to_accept(server, client);
  static_cast<void>(client.take_output());

  std::vector<Byte> reply;
  bool mac_is_right = false;
  if ((mode & 1) == 0) {
    auto accept = encode(Accept{.session_id = {9}, .record_limit = 256 * 1024, .tun_mtu = 1500});
    Edits before;
    before.make(ByteSpan(accept).first(accept_bytes - mac_bytes), choices);
    const Mac mac = server.mac_of(server.secrets().confirm_server, hello, ByteView(accept).first(accept_bytes - mac_bytes));
    std::copy(mac.begin(), mac.end(), accept.end() - mac_bytes);
    const auto signed_accept = accept;
    if ((mode & 2) != 0) {
      Edits behind;
      behind.make(accept, choices);
    }
    mac_is_right = accept == signed_accept;
    reply.assign(accept.begin(), accept.end());
  } else {
    const ByteView said = choices.take(reject_header_bytes + reject_text_bytes_max);
    reply = encode(Reject{RejectCode::bad_hello, std::string(as_text(said.first(std::min(said.size(), reject_text_bytes_max))))});
    Edits edits;
    edits.make(ByteSpan(reply).first(reject_header_bytes), choices);
  }
  const auto status = server.say(client, reply);
  if (status && !client.is_established()) return;  // it waits for more of this reply
  expect(status.has_value() == client.is_established(), "a client has a session or a reason");
  if (!status) {
    expect(is_showable(status.error().what), "the reason may be shown, whatever the peer has said");
    return expect_over(client, choices);
  }
  expect(mac_is_right, "only an ACCEPT that is right to the last byte opens a session");
  const Offer offer = client_options().offer;
  expect_limits(client.take_established(), offer.record_limit, offer.tun_mtu);
}

}  // namespace

void run(ByteView input) {
  Choices choices(input);
  if (choices.truth()) return attack_server(choices);
  attack_client(choices);
}

}  // namespace lt::fuzz

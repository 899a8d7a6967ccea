#include "tests/fuzz/sites.h"

namespace lt::fuzz {

namespace {

Site make_site() {
  auto identity = crypto::Identity::generate();
  expect(identity.has_value(), "a site has a key");
  auto tls = crypto::TlsContext::create(*identity);
  expect(tls.has_value(), "a site has its TLS settings");
  return {std::move(*identity), std::move(*tls)};
}

}  // namespace

const Site& office() {
  static const Site site = make_site();
  return site;
}

const Site& offsite() {
  static const Site site = [] {
    static_cast<void>(office());  // always in this order: the same keys in every run
    return make_site();
  }();
  return site;
}

tunnel::Offer an_offer(Byte boot) {
  tunnel::Offer offer;
  offer.boot_id.fill(boot);
  offer.record_limit = 256 * 1024;
  offer.tun_mtu = 1500;
  offer.prefix_hash.fill(0x77);
  return offer;
}

tunnel::HandshakeOptions client_options() {
  return {.role = crypto::Role::client,
          .tls = &office().tls,
          .own_key = office().key(),
          .peer_key = offsite().key(),
          .psk = {},
          .offer = an_offer(1)};
}

tunnel::HandshakeOptions server_options() {
  return {.role = crypto::Role::server,
          .tls = &offsite().tls,
          .own_key = offsite().key(),
          .peer_key = office().key(),
          .psk = {},
          .offer = an_offer(2)};
}

tunnel::Handshake make_handshake(const tunnel::HandshakeOptions& options) {
  auto handshake = tunnel::Handshake::create(options);
  expect(handshake.has_value(), "a handshake can begin");
  return std::move(*handshake);
}

}  // namespace lt::fuzz

#include "app/warm_up.h"

#include "crypto/tls_channel.h"

namespace lt::app {

Status warm_up_tls() {
  using crypto::Role;
  using crypto::TlsChannel;
  LT_TRY(const auto client_identity, crypto::Identity::generate());
  LT_TRY(const auto server_identity, crypto::Identity::generate());
  LT_TRY(const auto client_context, crypto::TlsContext::create(client_identity));
  LT_TRY(const auto server_context, crypto::TlsContext::create(server_identity));
  LT_TRY(auto client, TlsChannel::create(client_context, {.role = Role::client, .peer_key = server_identity.public_key()}));
  LT_TRY(auto server, TlsChannel::create(server_context, {.role = Role::server, .peer_key = client_identity.public_key()}));
  bool is_client_done = false;
  bool is_server_done = false;
  constexpr int flights_max = 8;  // TLS 1.3 needs two
  for (int flight = 0; flight < flights_max && !(is_client_done && is_server_done); ++flight) {
    if (!is_client_done) {
      LT_TRY(is_client_done, client.handshake());
    }
    LT_CHECK(server.feed(client.take_output()));
    if (!is_server_done) {
      LT_TRY(is_server_done, server.handshake());
    }
    LT_CHECK(client.feed(server.take_output()));
  }
  if (!is_client_done || !is_server_done) return fail(Errc::unsupported, "OpenSSL does not complete a handshake with itself");
  return {};
}

}  // namespace lt::app

// Two sites with fixed keys, for targets that shake hands.
#pragma once

#include "crypto/identity.h"
#include "crypto/tls_channel.h"
#include "tests/fuzz/fuzz.h"
#include "tunnel/handshake.h"

namespace lt::fuzz {

struct Site {
  crypto::Identity identity;
  crypto::TlsContext tls;

  [[nodiscard]] const crypto::PublicKey& key() const { return identity.public_key(); }
};

/// The office connects, the other listens. Made once.
const Site& office();
const Site& offsite();

inline constexpr std::array<Byte, 32> psk_one{1, 2, 3};

tunnel::Offer an_offer(Byte boot);
tunnel::HandshakeOptions client_options();
tunnel::HandshakeOptions server_options();
tunnel::Handshake make_handshake(const tunnel::HandshakeOptions& options);

}  // namespace lt::fuzz

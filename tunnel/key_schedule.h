// From the TLS exporter to the secrets of a session (PROTOCOL: key schedule). Bytes in, secrets out.
#pragma once

#include <array>

#include "base/bytes.h"
#include "crypto/identity.h"
#include "crypto/secret.h"

namespace lt::tunnel {

inline constexpr std::size_t knock_random_bytes = 16;

/// The public facts both ends bind their keys to.
struct KeyContext {
  crypto::PublicKey client;
  crypto::PublicKey server;
  std::array<Byte, knock_random_bytes> knock_random;

  /// The exporter's context: "LT1" | version | client key | server key | knock random.
  [[nodiscard]] std::vector<Byte> bytes() const;
};

inline constexpr std::string_view exporter_label = "EXPERIMENTAL linktune v1";
inline constexpr std::string_view binding_label = "EXPERIMENTAL linktune bind";
inline constexpr std::size_t exporter_bytes = 64;
inline constexpr std::size_t binding_bytes = 32;

/// The secrets of one handshake. All are wiped when this goes.
struct HandshakeSecrets {
  crypto::Secret<32> confirm_client;
  crypto::Secret<32> confirm_server;
  crypto::Secret<32> join;            // kept by the session of a first lane; proves further lanes
  crypto::Secret<32> traffic_client;  // x_0 of records that the client sends
  crypto::Secret<32> traffic_server;
};

/// @param psk  empty, or 32 bytes mixed in as the salt
[[nodiscard]] HandshakeSecrets derive_secrets(ByteView exported, ByteView psk);

}  // namespace lt::tunnel

#include "tunnel/key_schedule.h"

#include "crypto/kdf.h"
#include "tunnel/wire.h"

namespace lt::tunnel {

// P-24
std::vector<Byte> KeyContext::bytes() const {
  return Writer().append("LT1").u8(protocol_version).append(client).append(server).append(knock_random).take();
}

// P-25
HandshakeSecrets derive_secrets(ByteView exported, ByteView psk) {
  constexpr std::array<Byte, 32> no_psk{};
  const auto root = crypto::hkdf_extract(psk.empty() ? ByteView(no_psk) : psk, exported);
  HandshakeSecrets secrets;
  crypto::expand_label(root.reveal(), "c confirm", secrets.confirm_client.writable());
  crypto::expand_label(root.reveal(), "s confirm", secrets.confirm_server.writable());
  crypto::expand_label(root.reveal(), "join", secrets.join.writable());
  crypto::expand_label(root.reveal(), "c traffic 0", secrets.traffic_client.writable());
  crypto::expand_label(root.reveal(), "s traffic 0", secrets.traffic_server.writable());
  return secrets;
}

}  // namespace lt::tunnel

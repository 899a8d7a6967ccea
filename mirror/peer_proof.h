// PeerProof: on a fresh connection each end proves that it is the other site.
//
// Both send a nonce; each signs a text with both nonces and its own role, with the long-term key that
// the other's config holds. The agent proves itself first: a client tells a stranger nothing but a
// nonce. The tunnel encrypts; this only says who speaks, so that no other program of either machine,
// and nobody who got hold of an address of the tunnel, is taken for a site.
//
//     text = "linktune mirror agent 1\0" + role ('A' or 'C') + client's nonce + agent's nonce
//
// Signing and checking are handed in: this folder knows no cryptography.
#pragma once

#include <array>
#include <functional>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "mirror/wire.h"

namespace lt::mirror {

using Nonce = std::array<Byte, 32>;
using Signature = std::array<Byte, 64>;

struct Identification {
  std::function<Result<Signature>(ByteView)> sign;          // with this site's key
  std::function<bool(ByteView, const Signature&)> is_peer;  // checks against the other's
};

enum class Role : std::uint8_t { agent, client };

[[nodiscard]] Result<Nonce> make_nonce();

class PeerProof {
 public:
  PeerProof(const Identification& identification, Role role, const Nonce& own_nonce)
      : identification_(&identification), role_(role), own_nonce_(own_nonce) {}

  /// What this end says first; the agent's proof follows when the client's hello is here.
  void begin(Writer& out) const;
  /// Takes the peer's next frame and answers into `out`.
  /// @return whether the peer is proven  @error protocol: a frame out of order · rejected: not the other site
  [[nodiscard]] Result<bool> take(FrameType type, ByteView payload, Writer& out);

 private:
  [[nodiscard]] std::vector<Byte> text_of(Role signer) const;
  [[nodiscard]] Status put_proof(Writer& out) const;

  const Identification* identification_;
  Role role_;
  Nonce own_nonce_;
  std::optional<Nonce> peer_nonce_;
};

}  // namespace lt::mirror

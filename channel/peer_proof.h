// PeerProof: on a fresh connection each end proves that it is the other site.
//
// Both send a nonce; each signs a text with both nonces and its own role, with the long-term key that
// the other's config holds. The agent proves itself first: a client tells a stranger nothing but a
// nonce. The tunnel encrypts; this only says who speaks, so that no other program of either machine,
// and nobody who got hold of an address of the tunnel, is taken for a site.
//
//     text = purpose + role ('A' or 'C') + client's nonce + agent's nonce
//
// The purpose tells the conversations apart: a signature given for one is none for another.
//
// Signing and checking are handed in: this folder knows no cryptography.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "channel/frame.h"

namespace lt::channel {

using Nonce = std::array<Byte, 32>;
using Signature = std::array<Byte, 64>;

struct Identification {
  std::function<Result<Signature>(ByteView)> sign;          // with this site's key
  std::function<bool(ByteView, const Signature&)> is_peer;  // checks against the other's
};

/// What a conversation is.
struct Purpose {
  std::string_view magic;    // 4 bytes, the beginning of a hello
  std::uint32_t version;     // of its protocol
  std::string_view text;     // what a signature begins with: unlike that of any other
  std::string_view name;     // for people: "mirror agent"
};

enum class Role : std::uint8_t { agent, client };

[[nodiscard]] Result<Nonce> make_nonce();

class PeerProof {
 public:
  /// @param identification, purpose  outlive the object
  PeerProof(const Identification& identification, const Purpose& purpose, Role role, const Nonce& own_nonce)
      : identification_(&identification), purpose_(&purpose), role_(role), own_nonce_(own_nonce) {}

  /// What this end says first; the agent's proof follows when the client's hello is here.
  void begin(Writer& out) const;
  /// Takes the peer's next frame and answers into `out`.
  /// @return whether the peer is proven  @error protocol: a frame out of order · rejected: not the other site
  [[nodiscard]] Result<bool> take(std::uint8_t type, ByteView payload, Writer& out);

 private:
  [[nodiscard]] std::vector<Byte> text_of(Role signer) const;
  [[nodiscard]] Status put_proof(Writer& out) const;

  const Identification* identification_;
  const Purpose* purpose_;
  Role role_;
  Nonce own_nonce_;
  std::optional<Nonce> peer_nonce_;
};

}  // namespace lt::channel

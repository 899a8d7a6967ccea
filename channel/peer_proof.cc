#include "channel/peer_proof.h"

#include <sys/random.h>

#include <cerrno>

namespace lt::channel {

Result<Nonce> make_nonce() {
  Nonce nonce{};
  if (::getrandom(nonce.data(), nonce.size(), 0) != static_cast<ssize_t>(nonce.size())) {
    return fail_errno(errno, "the system gives no randomness");
  }
  return nonce;
}

void PeerProof::begin(Writer& out) const {
  Writer hello;
  hello.append(purpose_->magic).u32(purpose_->version).append(own_nonce_);
  put_frame(out, hello_type, hello.view());
}

Result<bool> PeerProof::take(std::uint8_t type, ByteView payload, Writer& out) {
  Reader reader(payload);
  if (type == hello_type && !peer_nonce_) {
    const auto magic = reader.take(purpose_->magic.size());
    const auto version = reader.u32();
    const auto nonce = reader.array<32>();
    if (!magic || as_text(*magic) != purpose_->magic || !version || !nonce || reader.left() != 0) {
      return fail(Errc::protocol, "the other end is no " + std::string(purpose_->name));
    }
    if (*version != purpose_->version) {
      return fail(Errc::protocol, "the other end speaks version " + std::to_string(*version) +
                                      " of the protocol of the " + std::string(purpose_->name) + ": install the same linktune at both sites");
    }
    peer_nonce_ = *nonce;
    if (role_ == Role::agent) LT_CHECK(put_proof(out));
    return false;
  }
  const auto signature = reader.array<64>();
  if (type != proof_type || !peer_nonce_ || !signature || reader.left() != 0) {
    return fail(Errc::protocol, "the other end left the order of the greeting");
  }
  const Role signer = role_ == Role::agent ? Role::client : Role::agent;
  if (!identification_->is_peer(text_of(signer), *signature)) {
    return fail(Errc::rejected, "the other end has not the key of the other site: compare peer.public_key in both configs");
  }
  if (role_ == Role::client) LT_CHECK(put_proof(out));
  return true;
}

std::vector<Byte> PeerProof::text_of(Role signer) const {
  Writer text;
  text.append(purpose_->text).u8(signer == Role::agent ? 'A' : 'C');
  const Nonce& client = role_ == Role::client ? own_nonce_ : *peer_nonce_;
  const Nonce& agent = role_ == Role::client ? *peer_nonce_ : own_nonce_;
  return text.append(client).append(agent).take();
}

Status PeerProof::put_proof(Writer& out) const {
  LT_TRY(const Signature signature, identification_->sign(text_of(role_)));
  put_frame(out, proof_type, signature);
  return {};
}

}  // namespace lt::channel

#include "crypto/tls_channel.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>

#include "base/assert.h"
#include "crypto/openssl_error.h"
#include "crypto/tls_state.h"

namespace lt::crypto {

namespace {

tl::unexpected<Error> fail_left() {
  return fail(Errc::closed, "this connection has left TLS");
}

std::string name_of_group(SSL* ssl) {
#if OPENSSL_VERSION_NUMBER >= 0x30200000L
  const char* const name = SSL_get0_group_name(ssl);  // also knows groups that have no object name
#else
  const char* const name = OBJ_nid2sn(static_cast<int>(SSL_get_negotiated_group(ssl)));
#endif
  return name == nullptr ? std::string() : std::string(name);
}

/// Takes all that `bio` holds.
void drain(BIO* bio, std::vector<Byte>& into) {
  const std::size_t pending = BIO_ctrl_pending(bio);
  const std::size_t start = into.size();
  into.resize(start + pending);
  std::size_t read = 0;
  LT_ASSERT(pending == 0 ||
            (BIO_read_ex(bio, into.data() + start, pending, &read) == 1 && read == pending));
}

}  // namespace

TlsChannel::TlsChannel(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsChannel::TlsChannel(TlsChannel&&) noexcept = default;
TlsChannel& TlsChannel::operator=(TlsChannel&&) noexcept = default;
TlsChannel::~TlsChannel() = default;

/// The steps that several calls share; a name of its own so that TlsChannel stays free of OpenSSL.
struct TlsSteps {
  using State = TlsChannel::State;

  /// What every call after the handshake begins with.
  static Status check_open(const State& state) {
    if (state.failure) return fail(*state.failure);
    if (state.ssl == nullptr) return fail_left();
    if (!state.is_complete) return fail(Errc::invalid, "the TLS handshake is not complete");
    return {};
  }

  static tl::unexpected<Error> break_off(State& state, Error error) {
    state.failure = error;
    return fail(std::move(error));
  }

  /// Hands TLS what it may still have of what waits. @return whether anything went
  static bool supply(State& state) {
    // P-54
    const std::size_t budget = state.is_complete ? tls_bytes_max : bytes_before_authentication_max;
    const std::size_t left = budget - std::min(budget, state.handed_to_tls);
    const std::size_t count = std::min(left, state.waiting.size());
    if (count == 0) return false;
    std::size_t written = 0;
    LT_ASSERT(BIO_write_ex(state.from_wire, state.waiting.data(), count, &written) == 1);
    LT_ASSERT(written == count);
    state.waiting.erase(state.waiting.begin(),
                        state.waiting.begin() + static_cast<std::ptrdiff_t>(count));
    state.handed_to_tls += count;
    return true;
  }

  /// After a call that did not succeed: true when it only wants bytes that are not there yet.
  static Result<bool> wants_more(State& state, int returned) {
    const int kind = SSL_get_error(state.ssl.get(), returned);
    if (kind == SSL_ERROR_WANT_READ) {
      if (state.waiting.empty()) return true;
      return break_off(
          state, Error{Errc::limit,
                       state.is_complete ? "the peer sent more through TLS than linktune ever does"
                                         : "the peer sent more than " +
                                               std::to_string(bytes_before_authentication_max) +
                                               " bytes before it was authenticated",
                       0});
    }
    if (kind == SSL_ERROR_ZERO_RETURN) {
      return break_off(state, Error{Errc::closed, "the peer ended the TLS conversation", 0});
    }
    return break_off(state, tls_failure(state.check));
  }

  /// Once more all that the settings and callbacks should have made sure of (CVE-2024-12797).
  static Status confirm(const State& state) {
    SSL* const ssl = state.ssl.get();
    if (SSL_version(ssl) != TLS1_3_VERSION) return fail(not_tls_1_3());
    PublicKey shown{};
    // P-8
    const PeerVerdict verdict = judge_peer(SSL_get0_peer_certificate(ssl), state.check, shown);
    if (verdict != PeerVerdict::pinned) return fail(refusal_of(verdict, shown));
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl, &name, &size);
    if (as_text(ByteView(name, size)) != tls_application_protocol) {
      return fail(wrong_application_protocol());
    }
    if (SSL_session_reused(ssl) != 0) {
      return fail(Errc::protocol, "the peer resumed a session, which linktune never offers");
    }
    if (state.requires_post_quantum && name_of_group(ssl).find("MLKEM") == std::string::npos) {
      return fail(Errc::unsupported,
                  "no post-quantum key agreement: this config requires one, and the other site's "
                  "OpenSSL is older than 3.5");
    }
    return {};
  }
};

Result<TlsChannel> TlsChannel::create(const TlsContext& context, const Options& options) {
  if (options.peer_key == context.state_->own_key) {  // P-10
    return fail(
        Errc::invalid,
        "the peer's public key is our own; write the other site's public key into the config");
  }
  if (is_weak_public_key(options.peer_key)) {
    return fail(Errc::invalid,
                "the peer's public key is one for which anybody can sign; write the "
                "other site's public key into the config");
  }
  if (options.requires_post_quantum && !context.state_->has_post_quantum_group) {
    return fail(Errc::unsupported,
                "this config requires a post-quantum key agreement, and this OpenSSL has none; it "
                "comes with OpenSSL 3.5");
  }
  auto state = std::make_unique<State>();
  state->check = {.role = options.role,
                  .own_key = context.state_->own_key,
                  .peer_key = options.peer_key,
                  .refusal = {}};
  state->requires_post_quantum = options.requires_post_quantum;
  state->ssl.reset(SSL_new(context.state_->ssl_context.get()));
  state->from_wire = BIO_new(BIO_s_mem());
  state->to_wire = BIO_new(BIO_s_mem());
  LT_ASSERT(state->ssl != nullptr && state->from_wire != nullptr && state->to_wire != nullptr);
  SSL* const ssl = state->ssl.get();
  SSL_set_bio(ssl, state->from_wire, state->to_wire);
  LT_ASSERT(SSL_set_app_data(ssl, &state->check) == 1);
  switch (options.role) {
    case Role::client:
      SSL_set_connect_state(ssl);
      break;
    case Role::server:
      SSL_set_accept_state(ssl);
      break;
  }
  return TlsChannel(std::move(state));
}

Status TlsChannel::feed(ByteView from_wire) {
  State& state = *state_;
  if (state.failure) return fail(*state.failure);
  if (state.ssl == nullptr) return fail_left();
  if (state.waiting.size() + from_wire.size() > raw_bytes_waiting_max) {
    return TlsSteps::break_off(
        state, Error{Errc::limit, "the peer sent too much before the switch to records", 0});
  }
  state.waiting.insert(state.waiting.end(), from_wire.begin(), from_wire.end());
  return {};
}

std::vector<Byte> TlsChannel::take_output() {
  State& state = *state_;
  if (state.ssl != nullptr) drain(state.to_wire, state.output);
  return std::exchange(state.output, {});
}

Result<bool> TlsChannel::handshake() {
  State& state = *state_;
  if (state.failure) return fail(*state.failure);
  if (state.ssl == nullptr) return fail_left();
  if (state.is_complete) return true;
  TlsSteps::supply(state);
  ERR_clear_error();
  const int returned = SSL_do_handshake(state.ssl.get());
  if (returned != 1) {
    LT_TRY(const bool wants_more, TlsSteps::wants_more(state, returned));
    return !wants_more;
  }
  Status confirmed = TlsSteps::confirm(state);
  if (!confirmed) {
    // A client's Finished is ready to go: the wrong server never gets it.
    std::vector<Byte> unsent;
    drain(state.to_wire, unsent);
    return TlsSteps::break_off(state, std::move(confirmed).error());
  }
  state.is_complete = true;
  return true;
}

Status TlsChannel::write(ByteView text) {
  State& state = *state_;
  LT_CHECK(TlsSteps::check_open(state));
  LT_ASSERT(text.size() <= tls_text_bytes_max);
  if (text.empty()) return {};
  ERR_clear_error();
  std::size_t written = 0;
  const int returned = SSL_write_ex(state.ssl.get(), text.data(), text.size(), &written);
  if (returned == 1 && written == text.size()) return {};
  return TlsSteps::break_off(state, tls_failure(state.check));
}

Result<std::optional<std::vector<Byte>>> TlsChannel::read_exactly(std::size_t count) {
  State& state = *state_;
  LT_CHECK(TlsSteps::check_open(state));
  LT_ASSERT(count > 0 && count <= tls_text_bytes_max);
  TlsSteps::supply(state);
  while (state.text.size() < count) {
    Byte chunk[tls_text_bytes_max];
    std::size_t read = 0;
    ERR_clear_error();
    // Never one byte more than asked for: what follows may be the raw stream.
    const int returned = SSL_read_ex(state.ssl.get(), chunk, count - state.text.size(), &read);
    if (returned != 1) {
      LT_TRY(const bool wants_more, TlsSteps::wants_more(state, returned));
      LT_ASSERT(wants_more);
      return std::optional<std::vector<Byte>>();
    }
    state.text.insert(state.text.end(), chunk, chunk + read);
    wipe(chunk);
  }
  std::vector<Byte> taken(state.text.begin(),
                          state.text.begin() + static_cast<std::ptrdiff_t>(count));
  wipe(state.text);
  state.text.clear();
  return std::optional(std::move(taken));
}

Status TlsChannel::export_keying(std::string_view label, ByteView context, ByteSpan out) const {
  LT_CHECK(TlsSteps::check_open(*state_));
  ERR_clear_error();
  const int use_context = 1;  // always: up to TLS 1.2 absent and empty were different things
  if (SSL_export_keying_material(state_->ssl.get(), out.data(), out.size(), label.data(),
                                 label.size(), context.data(), context.size(), use_context) == 1) {
    return {};
  }
  return fail_openssl(Errc::invalid, "TLS exports no key material of this length");
}

Result<std::vector<Byte>> TlsChannel::leave() {
  State& state = *state_;
  LT_CHECK(TlsSteps::check_open(state));
  SSL* const ssl = state.ssl.get();
  // P-21. SSL_has_pending also sees the header of a record that TLS began to read.
  if (SSL_pending(ssl) != 0 || SSL_has_pending(ssl) != 0 || !state.text.empty()) {
    return TlsSteps::break_off(
        state, Error{Errc::protocol, "the peer sent more through TLS than the greeting has", 0});
  }
  drain(state.to_wire, state.output);
  std::vector<Byte> raw;
  drain(state.from_wire, raw);
  raw.insert(raw.end(), state.waiting.begin(), state.waiting.end());
  state.waiting = {};
  state.from_wire = nullptr;
  state.to_wire = nullptr;
  // Frees, and writes nothing: SSL_shutdown would send 24 bytes into the raw stream.
  state.ssl.reset();
  return raw;
}

std::string TlsChannel::group_name() const {
  if (!state_->is_complete || state_->ssl == nullptr) return {};
  return name_of_group(state_->ssl.get());
}

}  // namespace lt::crypto

// The settings of security.md 5.2, and the callbacks that decide who the peer is.
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>

#include "base/assert.h"
#include "base/handle.h"
#include "crypto/kdf.h"
#include "crypto/openssl_error.h"
#include "crypto/openssl_library.h"
#include "crypto/tls_state.h"

namespace lt::crypto {

void FreeSslContext::operator()(ssl_ctx_st* context) const {
  SSL_CTX_free(context);
}
void FreeSsl::operator()(ssl_st* ssl) const {
  SSL_free(ssl);
}

namespace {

using KeyHandle = Handle<EVP_PKEY, EVP_PKEY_free>;
using CertificateHandle = Handle<X509, X509_free>;

constexpr long certificate_list_bytes_max = 2048;  // security.md A-8; ours has about 250
constexpr int security_level = 2;  // 112 bits at least, whatever the build's default

/// A certificate is only an envelope for the key: no name, every date, made anew at each start.
Result<CertificateHandle> make_envelope(EVP_PKEY* key) {
  CertificateHandle certificate(X509_new_ex(library().context, nullptr));
  if (certificate == nullptr)
    return fail_openssl(Errc::unsupported, "OpenSSL makes no certificate");
  X509* const x509 = certificate.get();
  X509_NAME* const name = X509_get_subject_name(x509);
  const bool made = X509_set_version(x509, X509_VERSION_3) == 1 &&
                    ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), 1) == 1 &&
                    ASN1_TIME_set_string_X509(X509_getm_notBefore(x509), "19700101000000Z") == 1 &&
                    ASN1_TIME_set_string_X509(X509_getm_notAfter(x509), "99991231235959Z") ==
                        1 &&  // RFC 5280 4.1.2.5
                    X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC,
                                               as_bytes("linktune").data(), 8, -1, 0) == 1 &&
                    X509_set_issuer_name(x509, name) == 1 && X509_set_pubkey(x509, key) == 1 &&
                    X509_sign(x509, key, nullptr) > 0;
  if (!made) return fail_openssl(Errc::unsupported, "OpenSSL makes no Ed25519 certificate");
  return certificate;
}

PeerCheck& check_of(SSL* ssl) {
  auto* const check = static_cast<PeerCheck*>(SSL_get_app_data(ssl));
  LT_ASSERT(check != nullptr);
  return *check;
}

/// Replaces the building of chains: one raw key decides.
int verify_peer(X509_STORE_CTX* store, void* /*unused*/) {
  auto* const ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  PeerCheck& check = check_of(ssl);
  PublicKey shown{};
  const PeerVerdict verdict = judge_peer(X509_STORE_CTX_get0_cert(store), check, shown);
  if (verdict == PeerVerdict::pinned) return 1;
  check.refusal = refusal_of(verdict, shown);
  X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);  // bad_certificate to the peer
  return 0;
}

/// Whether the extension of a ClientHello that lists two-byte versions (RFC 8446 4.2.1) names
/// TLS 1.3.
bool offers_tls_1_3(SSL* ssl) {
  const unsigned char* bytes = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &bytes, &size) != 1)
    return false;
  for (std::size_t at = 1; at + 1 < size; at += 2) {
    if (load_be16(bytes + at) == TLS1_3_VERSION) return true;
  }
  return false;
}

/// A ClientHello without ALPN never reaches choose_protocol(), so it is refused here.
int check_client_hello(SSL* ssl, int* alert, void* /*unused*/) {
  const unsigned char* bytes = nullptr;
  std::size_t size = 0;
  if (!offers_tls_1_3(ssl)) {
    *alert = SSL_AD_PROTOCOL_VERSION;
    check_of(ssl).refusal = not_tls_1_3();
    return SSL_CLIENT_HELLO_ERROR;
  }
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &bytes,
                                &size) != 1) {
    *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
    check_of(ssl).refusal = wrong_application_protocol();
    return SSL_CLIENT_HELLO_ERROR;
  }
  return SSL_CLIENT_HELLO_SUCCESS;
}

int choose_protocol(SSL* ssl, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* in, unsigned in_size, void* /*unused*/) {
  Reader offered(ByteView(in, in_size));
  while (const auto size = offered.u8()) {
    const auto name = offered.take(*size);
    if (!name) break;
    if (as_text(*name) == tls_application_protocol) {
      *out = name->data();
      *out_size = static_cast<unsigned char>(name->size());
      return SSL_TLSEXT_ERR_OK;
    }
  }
  check_of(ssl).refusal = wrong_application_protocol();
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/// The hybrid where OpenSSL has it (3.5 and later), and X25519.
bool set_groups(SSL_CTX* context, bool& has_post_quantum_group) {
  has_post_quantum_group = SSL_CTX_set1_groups_list(context, "X25519MLKEM768:X25519") == 1;
  ERR_clear_error();
  return has_post_quantum_group || SSL_CTX_set1_groups_list(context, "X25519") == 1;
}

Status set_protocol(SSL_CTX* context, bool& has_post_quantum_group) {
  // Whatever a system configuration or this build's defaults have set is taken back first.
  SSL_CTX_clear_options(context, SSL_CTX_get_options(context));
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CLEANSE_PLAINTEXT);
  SSL_CTX_set_security_level(context, security_level);
  SSL_CTX_set_keylog_callback(context, nullptr);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_read_ahead(context, 0);
  SSL_CTX_set_quiet_shutdown(context, 1);
  SSL_CTX_set_max_cert_list(context, certificate_list_bytes_max);
  const std::string protocols =
      static_cast<char>(tls_application_protocol.size()) + std::string(tls_application_protocol);
  struct Step {
    bool done;
    std::string_view name;
  };
  // P-5, P-6, P-9
  const Step steps[] = {
      {SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1, "TLS 1.3"},
      {SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1, "TLS 1.3"},
      {SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384") == 1, "TLS_AES_256_GCM_SHA384"},
      {SSL_CTX_set1_sigalgs_list(context, "ed25519") == 1, "Ed25519 signatures"},
      {SSL_CTX_set1_client_sigalgs_list(context, "ed25519") == 1, "Ed25519 signatures"},
      {set_groups(context, has_post_quantum_group), "X25519"},
      {SSL_CTX_set_num_tickets(context, 0) == 1, "no tickets"},
      {SSL_CTX_set_max_early_data(context, 0) == 1, "no early data"},
      {SSL_CTX_set_recv_max_early_data(context, 0) == 1, "no early data"},
      {SSL_CTX_set_alpn_protos(context, as_bytes(protocols).data(),
                               static_cast<unsigned>(protocols.size())) == 0,
       "application protocols"},
  };
  for (const Step& step : steps) {
    if (step.done) continue;
    return fail_openssl(Errc::unsupported, "this OpenSSL refuses a setting that linktune needs: " +
                                               std::string(step.name));
  }
  return {};
}

void set_callbacks(SSL_CTX* context) {
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  SSL_CTX_set_client_hello_cb(context, check_client_hello, nullptr);
  // P-7. Without FAIL_IF_NO_PEER_CERT a client with no certificate would never reach verify_peer().
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(context, verify_peer, nullptr);
}

Status set_identity(SSL_CTX* context, ByteView seed) {
  const KeyHandle key(EVP_PKEY_new_raw_private_key_ex(library().context, "ED25519", nullptr,
                                                      seed.data(), seed.size()));
  if (key == nullptr) return fail_openssl(Errc::unsupported, "OpenSSL makes no Ed25519 key");
  LT_TRY(const CertificateHandle certificate, make_envelope(key.get()));
  if (SSL_CTX_use_certificate(context, certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return fail_openssl(Errc::unsupported, "OpenSSL takes no Ed25519 certificate for TLS");
  }
  return {};
}

}  // namespace

PeerVerdict judge_peer(x509_st* certificate, const PeerCheck& check, PublicKey& shown) {
  EVP_PKEY* const key = certificate == nullptr ? nullptr : X509_get0_pubkey(certificate);
  std::size_t size = shown.size();
  if (key == nullptr || EVP_PKEY_get_id(key) != EVP_PKEY_ED25519 ||
      EVP_PKEY_get_raw_public_key(key, shown.data(), &size) != 1 || size != shown.size()) {
    return PeerVerdict::no_ed25519;
  }
  if (equal_constant_time(shown, check.peer_key)) return PeerVerdict::pinned;
  return equal_constant_time(shown, check.own_key) ? PeerVerdict::own : PeerVerdict::other;
}

TlsContext::TlsContext(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsContext::TlsContext(TlsContext&&) noexcept = default;
TlsContext& TlsContext::operator=(TlsContext&&) noexcept = default;
TlsContext::~TlsContext() = default;

Result<TlsContext> TlsContext::create(const Identity& identity) {
  auto state = std::make_unique<State>();
  state->own_key = identity.public_key();
  state->ssl_context.reset(SSL_CTX_new_ex(library().context, nullptr, TLS_method()));
  SSL_CTX* const context = state->ssl_context.get();
  if (context == nullptr) return fail_openssl(Errc::unsupported, "OpenSSL gives no TLS context");
  LT_CHECK(set_protocol(context, state->has_post_quantum_group));
  set_callbacks(context);
  LT_CHECK(set_identity(context, identity.seed_.reveal()));
  return TlsContext(std::move(state));
}

TlsSettings TlsContext::settings() const {
  SSL_CTX* const context = state_->ssl_context.get();
  return {.is_tls_1_3_only = SSL_CTX_get_min_proto_version(context) == TLS1_3_VERSION &&
                             SSL_CTX_get_max_proto_version(context) == TLS1_3_VERSION,
          .allows_kernel_tls = (SSL_CTX_get_options(context) & SSL_OP_ENABLE_KTLS) != 0,
          .reads_ahead = SSL_CTX_get_read_ahead(context) != 0,
          .caches_sessions = SSL_CTX_get_session_cache_mode(context) != SSL_SESS_CACHE_OFF,
          .tickets = SSL_CTX_get_num_tickets(context),
          .has_post_quantum_group = state_->has_post_quantum_group};
}

}  // namespace lt::crypto

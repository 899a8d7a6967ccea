#include "tests/crypto/plain_openssl.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "base/handle.h"
#include "crypto/tls_state.h"

namespace lt::crypto {

struct TlsContextProbe {
  static ssl_ctx_st* ssl_context(const TlsContext& context) {
    return context.state_->ssl_context.get();
  }
};

}  // namespace lt::crypto

namespace lt::test {

namespace {

using KeyHandle = Handle<EVP_PKEY, EVP_PKEY_free>;
using CertificateHandle = Handle<X509, X509_free>;
using BioHandle = Handle<BIO, BIO_free_all>;

BioHandle bio_of(const std::string& text) {
  return BioHandle(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string name_text(const X509_NAME* name) {
  char text[256];
  return X509_NAME_oneline(name, text, sizeof text);
}

}  // namespace

std::string sha256_hex(ByteView bytes) {
  std::array<Byte, 32> digest{};
  REQUIRE(EVP_Q_digest(nullptr, "SHA256", nullptr, bytes.data(), bytes.size(), digest.data(),
                       nullptr) == 1);
  return to_hex(digest);
}

Byte hkdf_last_byte(ByteView prk, std::size_t size) {
  const Handle<EVP_KDF, EVP_KDF_free> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  const Handle<EVP_KDF_CTX, EVP_KDF_CTX_free> context(EVP_KDF_CTX_new(kdf.get()));
  std::string digest = "SHA256";
  std::string mode = "EXPAND_ONLY";
  std::vector<Byte> key(prk.begin(), prk.end());
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MODE, mode.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key.data(), key.size()),
      OSSL_PARAM_construct_end()};
  std::vector<Byte> out(size);
  REQUIRE(EVP_KDF_derive(context.get(), out.data(), out.size(), params) == 1);
  return out.back();
}

std::optional<CertificateFacts> read_certificate(const std::string& certificate_pem,
                                                 const std::string& key_pem) {
  const CertificateHandle certificate(
      PEM_read_bio_X509(bio_of(certificate_pem).get(), nullptr, nullptr, nullptr));
  const KeyHandle key(PEM_read_bio_PrivateKey(bio_of(key_pem).get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr || key == nullptr) return std::nullopt;
  X509* const x509 = certificate.get();
  CertificateFacts facts;
  facts.subject = name_text(X509_get_subject_name(x509));
  facts.issuer = name_text(X509_get_issuer_name(x509));
  char curve[64]{};
  std::size_t curve_size = 0;
  if (EVP_PKEY_get_group_name(X509_get0_pubkey(x509), curve, sizeof curve, &curve_size) == 1) {
    facts.curve.assign(curve, curve_size);
  }
  const ASN1_INTEGER* const serial = X509_get0_serialNumber(x509);
  facts.serial_hex = to_hex(ByteView(ASN1_STRING_get0_data(serial),
                                     static_cast<std::size_t>(ASN1_STRING_length(serial))));
  std::array<Byte, 32> digest{};
  X509_digest(x509, EVP_sha256(), digest.data(), nullptr);
  facts.sha256_hex = to_hex(digest);
  facts.is_signed_by_itself = X509_verify(x509, X509_get0_pubkey(x509)) == 1;
  facts.is_authority = (X509_get_extension_flags(x509) & EXFLAG_CA) != 0;
  facts.key_matches = X509_check_private_key(x509, key.get()) == 1;
  facts.is_good_now = X509_cmp_current_time(X509_get0_notBefore(x509)) < 0 &&
                      X509_cmp_current_time(X509_get0_notAfter(x509)) > 0;
  facts.is_good_for_server_and_client = X509_check_purpose(x509, X509_PURPOSE_SSL_SERVER, 0) == 1 &&
                                        X509_check_purpose(x509, X509_PURPOSE_SSL_CLIENT, 0) == 1;
  int seconds = 0;
  ASN1_TIME_diff(&facts.days, &seconds, X509_get0_notBefore(x509), X509_get0_notAfter(x509));
  return facts;
}

bool default_context_allows_kernel_tls() {
  const Handle<SSL_CTX, SSL_CTX_free> context(SSL_CTX_new(TLS_method()));
  return (SSL_CTX_get_options(context.get()) & SSL_OP_ENABLE_KTLS) != 0;
}

struct PlainTls::State {
  Handle<SSL_CTX, SSL_CTX_free> context;
  Handle<SSL, SSL_free> ssl;
  BIO* in{nullptr};
  BIO* out{nullptr};
  std::vector<std::string> protocols;
};

namespace {

/// A key whose public half is another's: it signs, and nobody can verify it.
KeyHandle mismatched_key(const std::array<Byte, 32>& seed, const crypto::PublicKey& claimed) {
  const Handle<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, seed.data(),
                                   seed.size());
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, claimed.data(),
                                   claimed.size());
  const Handle<OSSL_PARAM, OSSL_PARAM_free> params(OSSL_PARAM_BLD_to_param(builder.get()));
  const Handle<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context(
      EVP_PKEY_CTX_new_from_name(nullptr, "ED25519", nullptr));
  EVP_PKEY* key = nullptr;
  REQUIRE(EVP_PKEY_fromdata_init(context.get()) == 1);
  REQUIRE(EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_KEYPAIR, params.get()) == 1);
  return KeyHandle(key);
}

KeyHandle key_for(const PlainTls::Options& options) {
  if (options.shows == PlainTls::Shows::p256) return KeyHandle(EVP_EC_gen("P-256"));
  if (options.shows == PlainTls::Shows::wrong_signer) {
    return mismatched_key(options.seed, options.claimed_key);
  }
  return KeyHandle(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, options.seed.data(),
                                                options.seed.size()));
}

CertificateHandle certificate_for(const PlainTls::Options& options, EVP_PKEY* key) {
  CertificateHandle certificate(X509_new());
  X509* const x509 = certificate.get();
  const bool expired = options.shows == PlainTls::Shows::expired;
  REQUIRE(X509_set_version(x509, X509_VERSION_3) == 1);
  REQUIRE(ASN1_TIME_set_string_X509(X509_getm_notBefore(x509), "20010101000000Z") == 1);
  REQUIRE(ASN1_TIME_set_string_X509(X509_getm_notAfter(x509),
                                    expired ? "20010102000000Z" : "20990101000000Z") == 1);
  REQUIRE(X509_set_pubkey(x509, key) == 1);
  if (options.certificate_padding_bytes != 0) {
    const std::string padding(options.certificate_padding_bytes, 'a');
    const Handle<X509_EXTENSION, X509_EXTENSION_free> extension(
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_netscape_comment, padding.c_str()));
    REQUIRE(X509_add_ext(x509, extension.get(), -1) == 1);
  }
  const bool is_ed25519 = options.shows != PlainTls::Shows::p256;
  REQUIRE(X509_sign(x509, key, is_ed25519 ? nullptr : EVP_sha256()) > 0);
  return certificate;
}

std::string wire_form(const std::vector<std::string>& protocols) {
  std::string wire;
  for (const std::string& name : protocols)
    wire += static_cast<char>(name.size()) + name;
  return wire;
}

/// Insists on its own first protocol, offered or not.
int insist(SSL* /*ssl*/, const unsigned char** out, unsigned char* out_size,
           const unsigned char* /*in*/, unsigned /*in_size*/, void* own) {
  const auto* const protocols = static_cast<const std::vector<std::string>*>(own);
  if (protocols->empty()) return SSL_TLSEXT_ERR_NOACK;
  *out = as_bytes(protocols->front()).data();
  *out_size = static_cast<unsigned char>(protocols->front().size());
  return SSL_TLSEXT_ERR_OK;
}

int trust_everybody(X509_STORE_CTX* /*store*/, void* /*unused*/) {
  return 1;
}

}  // namespace

StrangerKey make_stranger_key(Byte first) {
  StrangerKey made;
  for (std::size_t i = 0; i < made.seed.size(); ++i)
    made.seed[i] = static_cast<Byte>(first * 7 + i);
  const KeyHandle key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, made.seed.data(), made.seed.size()));
  std::size_t size = made.key.size();
  REQUIRE(EVP_PKEY_get_raw_public_key(key.get(), made.key.data(), &size) == 1);
  return made;
}

void trust_everybody_during_handshake(const crypto::TlsContext& context) {
  SSL_CTX_set_cert_verify_callback(crypto::TlsContextProbe::ssl_context(context), trust_everybody,
                                   nullptr);
}

PlainTls::PlainTls(const Options& options) : state_(std::make_unique<State>()) {
  state_->protocols = options.protocols;
  state_->context.reset(SSL_CTX_new(TLS_method()));
  SSL_CTX* const context = state_->context.get();
  const int version = options.is_tls_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION;
  REQUIRE(SSL_CTX_set_min_proto_version(context, version) == 1);
  REQUIRE(SSL_CTX_set_max_proto_version(context, version) == 1);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context, trust_everybody, nullptr);
  SSL_CTX_set_num_tickets(context, options.tickets);
  if (options.shows != Shows::nothing) {
    const KeyHandle key = key_for(options);
    REQUIRE(key != nullptr);
    REQUIRE(SSL_CTX_use_certificate(context, certificate_for(options, key.get()).get()) == 1);
    REQUIRE(SSL_CTX_use_PrivateKey(context, key.get()) == 1);
  }
  const std::string wire = wire_form(options.protocols);
  if (!wire.empty()) {
    REQUIRE(SSL_CTX_set_alpn_protos(context, as_bytes(wire).data(),
                                    static_cast<unsigned>(wire.size())) == 0);
  }
  SSL_CTX_set_alpn_select_cb(context, insist, &state_->protocols);
  state_->ssl.reset(SSL_new(context));
  state_->in = BIO_new(BIO_s_mem());
  state_->out = BIO_new(BIO_s_mem());
  SSL_set_bio(state_->ssl.get(), state_->in, state_->out);
  if (options.role == crypto::Role::client) {
    SSL_set_connect_state(state_->ssl.get());
  } else {
    SSL_set_accept_state(state_->ssl.get());
  }
}

PlainTls::~PlainTls() = default;

void PlainTls::feed(ByteView bytes) {
  if (!bytes.empty()) BIO_write(state_->in, bytes.data(), static_cast<int>(bytes.size()));
}

std::vector<Byte> PlainTls::take_output() {
  std::vector<Byte> bytes(BIO_ctrl_pending(state_->out));
  if (!bytes.empty()) BIO_read(state_->out, bytes.data(), static_cast<int>(bytes.size()));
  return bytes;
}

bool PlainTls::handshake() {
  ERR_clear_error();
  const int returned = SSL_do_handshake(state_->ssl.get());
  if (returned == 1) return true;
  if (SSL_get_error(state_->ssl.get(), returned) != SSL_ERROR_WANT_READ) {
    const char* const reason = ERR_reason_error_string(ERR_peek_error());
    failure_ = reason == nullptr ? "failed" : reason;
  }
  return false;
}

void PlainTls::write(ByteView text) {
  REQUIRE(SSL_write(state_->ssl.get(), text.data(), static_cast<int>(text.size())) ==
          static_cast<int>(text.size()));
}

std::vector<Byte> PlainTls::read(std::size_t count) {
  std::vector<Byte> text(count);
  std::size_t size = 0;
  SSL_read_ex(state_->ssl.get(), text.data(), text.size(), &size);
  text.resize(size);
  return text;
}

void PlainTls::update_keys() {
  REQUIRE(SSL_key_update(state_->ssl.get(), SSL_KEY_UPDATE_REQUESTED) == 1);
  REQUIRE(SSL_do_handshake(state_->ssl.get()) == 1);
}

void PlainTls::close() {
  SSL_shutdown(state_->ssl.get());
}

std::vector<Byte> PlainTls::export_keying(std::string_view label, ByteView context,
                                          std::size_t size) {
  std::vector<Byte> out(size);
  REQUIRE(SSL_export_keying_material(state_->ssl.get(), out.data(), out.size(), label.data(),
                                     label.size(), context.data(), context.size(), 1) == 1);
  return out;
}

}  // namespace lt::test

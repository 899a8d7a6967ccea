// What went wrong in TLS, in words that name the cure. OpenSSL's reasons are looked up here only.
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "crypto/openssl_error.h"
#include "crypto/tls_state.h"

namespace lt::crypto {

namespace {

Error make(Errc code, std::string what) {
  return Error{code, std::move(what), 0};
}

/// An alert the peer sent us.  @source RFC 8446 6.2
Error of_alert(int alert, const PeerCheck& check) {
  switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
      return make(Errc::rejected, "the peer does not accept our key (" +
                                      public_key_text(check.own_key) +
                                      "); write this key into the other site's config");
    case SSL_AD_PROTOCOL_VERSION:
      return not_tls_1_3();
    case SSL_AD_NO_APPLICATION_PROTOCOL:
      return wrong_application_protocol();
    case SSL_AD_DECRYPT_ERROR:
    case SSL_AD_BAD_RECORD_MAC:
      return make(Errc::rejected, "the peer found our handshake changed on the way");
    default: {
      const char* const name = SSL_alert_desc_string_long(alert);
      return make(Errc::rejected, "the peer ended the handshake: " + std::string(name));
    }
  }
}

Error of_reason(int reason) {
  switch (reason) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
      return not_tls_1_3();
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return make(Errc::protocol, "the peer shows no certificate");
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
      return make(Errc::protocol, "the peer offers no algorithm that linktune uses");
    case SSL_R_BAD_EXTENSION:  // what a server's ALPN answer is that we did not offer
      return make(Errc::protocol,
                  "wrong application protocol, or something else that linktune did not ask for");
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
    case SSL_R_DIGEST_CHECK_FAILED:
    case SSL_R_BAD_SIGNATURE:
      return make(Errc::protocol, "bytes of the handshake were changed on the way");
    default:
      return make(Errc::protocol, {});
  }
}

}  // namespace

Error not_tls_1_3() {
  return make(Errc::protocol, "not TLS 1.3: what answers there is no linktune, or an outdated one");
}

Error wrong_application_protocol() {
  return make(Errc::protocol, "wrong application protocol: the peer does not speak " +
                                  std::string(tls_application_protocol));
}

Error refusal_of(PeerVerdict verdict, const PublicKey& shown) {
  switch (verdict) {
    case PeerVerdict::own:
      return make(
          Errc::protocol,
          "the peer shows our own key: this site is connected to itself, or both sites have "
          "the same key file");
    case PeerVerdict::other:
      return make(Errc::protocol, "the peer's key is not the one in this config (peer has " +
                                      public_key_text(shown) + ")");
    case PeerVerdict::no_ed25519:
      return make(Errc::protocol, "the peer's certificate holds no Ed25519 key");
    case PeerVerdict::pinned:
      break;
  }
  return make(Errc::protocol, "the peer's key is the one in this config");
}

Error tls_failure(const PeerCheck& check) {
  const unsigned long first = ERR_peek_error();
  const std::string detail = take_openssl_reason();
  if (check.refusal) return *check.refusal;
  if (ERR_GET_LIB(first) != ERR_LIB_SSL) {
    return make(Errc::protocol, "TLS failed (" + detail + ")");
  }
  const int reason = ERR_GET_REASON(first);
  if (reason > SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + 255) {
    return of_alert(reason - SSL_AD_REASON_OFFSET, check);
  }
  Error error = of_reason(reason);
  error.what =
      error.what.empty() ? "TLS failed (" + detail + ")" : error.what + " (" + detail + ")";
  return error;
}

}  // namespace lt::crypto

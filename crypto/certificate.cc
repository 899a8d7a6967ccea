#include "crypto/certificate.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/handle.h"
#include "crypto/openssl_error.h"
#include "crypto/openssl_library.h"
#include "crypto/random.h"

namespace lt::crypto {

namespace {

using KeyHandle = Handle<EVP_PKEY, EVP_PKEY_free>;
using CertificateHandle = Handle<X509, X509_free>;
using BioHandle = Handle<BIO, BIO_free_all>;

Status check_common_name(const std::string& name) {
  const bool is_printable =
      name.find_first_not_of(
          " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
          "abcdefghijklmnopqrstuvwxyz{|}~") == std::string::npos;
  if (!name.empty() && name.size() <= common_name_chars_max && is_printable) return {};
  return fail(Errc::invalid, "a certificate's name has 1 to " +
                                 std::to_string(common_name_chars_max) +
                                 " printable ASCII characters");
}

/// 159 random bits, never zero: RFC 5280 4.1.2.2 allows 20 bytes of a positive number.
bool set_serial(X509* certificate) {
  std::array<Byte, 20> bytes{};
  fill_random(bytes);
  bytes.front() = static_cast<Byte>((bytes.front() & 0x7f) | 0x40);
  const Handle<BIGNUM, BN_free> number(
      BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  return number != nullptr &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_names(X509* certificate, const std::string& common_name) {
  X509_NAME* const name = X509_get_subject_name(certificate);
  return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC,
                                    as_bytes(common_name).data(),
                                    static_cast<int>(common_name.size()), -1, 0) == 1 &&
         X509_set_issuer_name(certificate, name) == 1;
}

bool set_dates(X509* certificate, unsigned days) {
  return X509_time_adj_ex(X509_getm_notBefore(certificate), -1, 0, nullptr) != nullptr &&
         X509_time_adj_ex(X509_getm_notAfter(certificate), static_cast<int>(days), 0, nullptr) !=
             nullptr;
}

bool add_extension(X509* certificate, int kind, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509V3_set_ctx_nodb(&context);
  const Handle<X509_EXTENSION, X509_EXTENSION_free> extension(
      X509V3_EXT_nconf_nid(nullptr, &context, kind, value));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

/// Key usages are there for those who add remote-cert-tls to an exported file.
bool set_extensions(X509* certificate) {
  return add_extension(certificate, NID_subject_key_identifier, "hash") &&
         add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(certificate, NID_key_usage, "critical,digitalSignature,keyAgreement") &&
         add_extension(certificate, NID_ext_key_usage, "serverAuth,clientAuth");
}

std::string text_of(BIO* bio) {
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio, &text);
  return {text, static_cast<std::size_t>(size)};
}

Result<std::string> fingerprint_of(X509* certificate) {
  std::array<Byte, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest.data(), &size) != 1) {
    return fail_openssl(Errc::unsupported, "OpenSSL gives no fingerprint");
  }
  std::string text;
  for (const Byte byte : std::span(digest).first(size)) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    if (!text.empty()) text += ':';
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

}  // namespace

Result<CertificatePem> make_self_signed(const std::string& common_name, unsigned days) {
  LT_CHECK(check_common_name(common_name));
  if (days == 0 || days > certificate_days_max) {
    return fail(Errc::invalid, "a certificate is good for 1 to " +
                                   std::to_string(certificate_days_max) + " days, not " +
                                   std::to_string(days));
  }
  const KeyHandle key(EVP_PKEY_Q_keygen(library().context, nullptr, "EC", "P-384"));
  const CertificateHandle certificate(X509_new_ex(library().context, nullptr));
  X509* const x509 = certificate.get();
  const bool made = key != nullptr && x509 != nullptr &&
                    X509_set_version(x509, X509_VERSION_3) == 1 && set_serial(x509) &&
                    set_names(x509, common_name) && set_dates(x509, days) &&
                    X509_set_pubkey(x509, key.get()) == 1 && set_extensions(x509) &&
                    X509_sign(x509, key.get(), EVP_sha384()) > 0;
  if (!made) return fail_openssl(Errc::unsupported, "OpenSSL makes no secp384r1 certificate");

  const BioHandle certificate_text(BIO_new(BIO_s_mem()));
  const BioHandle key_text(BIO_new(BIO_s_secmem()));
  if (PEM_write_bio_X509(certificate_text.get(), x509) != 1 ||
      PEM_write_bio_PKCS8PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                    nullptr) != 1) {
    return fail_openssl(Errc::unsupported, "OpenSSL writes no PEM");
  }
  LT_TRY(auto fingerprint, fingerprint_of(x509));
  return CertificatePem{.certificate = text_of(certificate_text.get()),
                        .private_key = text_of(key_text.get()),
                        .fingerprint_sha256 = std::move(fingerprint)};
}

}  // namespace lt::crypto

// Certificates for the exported OpenVPN pair. The native link needs none of these: see
// tls_channel.h.
#pragma once

#include <string>

#include "base/result.h"

namespace lt::crypto {

struct CertificatePem {
  std::string certificate;  // PEM
  std::string private_key;  // PEM, PKCS #8, not encrypted: a secret, for a file of mode 0600
  std::string
      fingerprint_sha256;  // of the DER, "AA:BB:...", as OpenVPN's peer-fingerprint wants it
};

inline constexpr std::size_t common_name_chars_max = 64;     // RFC 5280 A.1, ub-common-name
inline constexpr unsigned certificate_days_max = 100 * 365;  // the year fits all date formats

/// A new key on secp384r1 and a certificate signed by itself: random serial, no CA, good for server
/// and client. It begins one day ago, so that a peer whose clock is behind takes it too.
///
/// @param days     how long it is good  (unit: days of 86,400 s)
/// @error invalid  common_name is empty, too long or not printable ASCII; days is 0 or too large
/// @source         OpenVPN 2.6 manual, peer-fingerprint (secp384r1, self-signed); RFC 5280 4.1.2.2
/// (serial)
[[nodiscard]] Result<CertificatePem> make_self_signed(const std::string& common_name,
                                                      unsigned days);

}  // namespace lt::crypto

// OpenSSL as we use it: a library context of our own, which no system configuration reaches.
//
// An openssl.cnf may switch on kernel TLS, engines or other algorithms behind our back (security.md
// 3), so automatic loading is turned off for the process and every algorithm is fetched from a
// context that holds only the default provider. All of it happens at the first use: call library()
// once before a sandbox closes, because OpenSSL opens files lazily.
#pragma once

struct ossl_lib_ctx_st;
struct evp_mac_st;
struct evp_cipher_st;

namespace lt::crypto {

struct Library {
  ossl_lib_ctx_st* context;
  evp_mac_st* hmac;
  evp_cipher_st* aes_256_gcm;
};

/// Made at the first call and kept until the process ends. An OpenSSL without these algorithms is a
/// broken installation: the program stops.
/// @thread any
const Library& library();

}  // namespace lt::crypto

#include "crypto/openssl_error.h"

#include <openssl/err.h>

namespace lt::crypto {

std::string take_openssl_reason() {
  const unsigned long first = ERR_get_error();
  ERR_clear_error();
  const char* const reason = first == 0 ? nullptr : ERR_reason_error_string(first);
  return reason == nullptr ? "no reason given" : reason;
}

tl::unexpected<Error> fail_openssl(Errc code, std::string what) {
  return fail(code, std::move(what) + " (" + take_openssl_reason() + ")");
}

}  // namespace lt::crypto

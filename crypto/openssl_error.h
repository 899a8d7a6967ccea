// OpenSSL's error queue as an Error.
#pragma once

#include <string>

#include "base/result.h"

namespace lt::crypto {

/// Empties this thread's error queue. @return the first reason in it, or "no reason given"
[[nodiscard]] std::string take_openssl_reason();

/// An error to return: `what`, then OpenSSL's own reason in brackets. Empties the queue.
[[nodiscard]] tl::unexpected<Error> fail_openssl(Errc code, std::string what);

}  // namespace lt::crypto

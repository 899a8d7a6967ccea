// Runs everything of OpenSSL once that a reconnect will need, before the sandbox closes: what is loaded only at first
// use would fail there, days later (security.md 3).
#pragma once

#include "base/result.h"

namespace lt::app {

/// One whole handshake between two throw-away identities, in memory. @error as the handshake
[[nodiscard]] Status warm_up_tls();

}  // namespace lt::app

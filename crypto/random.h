// The only source of randomness for keys, nonces and identifiers.
#pragma once

#include "base/bytes.h"

namespace lt::crypto {

/// Fills `out` from OpenSSL's generator, which the kernel seeds (blocking at boot until it can).
/// A generator that fails is a bug of the machine: the program stops rather than use weak bytes.
/// @thread any
void fill_random(ByteSpan out);

}  // namespace lt::crypto

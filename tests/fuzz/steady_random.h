// Randomness that is the same for each input, so that what the fuzzer finds comes back. Stands in front of OpenSSL's
// generator, for our own fill_random() and for TLS alike. For fuzz targets only.
#pragma once

namespace lt::fuzz {

/// Starts the sequence anew. @thread the target's
void restart_randomness();

}  // namespace lt::fuzz

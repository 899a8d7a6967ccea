// How fast this machine's ciphers are, for the physics of a line: what one core can seal.
#pragma once

#include "base/result.h"
#include "tuner/physics.h"

namespace lt::app {

/// Measures AES-256-GCM with each backend that works here, for packets of 1,400 bytes (OpenVPN's
/// and WireGuard's way) and records of 64 KiB (our own), about 20 ms each, on one core.
/// @error as crypto::Aead::create
[[nodiscard]] Status add_cipher_speeds(tuner::Physics& physics);

}  // namespace lt::app

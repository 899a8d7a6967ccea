// The AEAD backends that this machine has: what proves one of them proves each.
#pragma once

#include <catch2/catch.hpp>
#include <vector>

#include "crypto/aead.h"

namespace lt::test {

inline std::vector<crypto::AeadBackend> aead_backends() {
  using crypto::AeadBackend;
  std::vector<AeadBackend> backends{AeadBackend::openssl};
  if (crypto::ipsec_mb_support().is_usable) {
    backends.push_back(AeadBackend::ipsec_mb);
  } else {
    WARN("intel-ipsec-mb is not tested: " << crypto::ipsec_mb_support().why_not);
  }
  return backends;
}

}  // namespace lt::test

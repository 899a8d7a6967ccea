#include "crypto/secret.h"

#include <openssl/crypto.h>

namespace lt::crypto {

void wipe(ByteSpan bytes) {
  OPENSSL_cleanse(bytes.data(), bytes.size());
}

}  // namespace lt::crypto

#include "crypto/random.h"

#include <openssl/rand.h>

#include "base/assert.h"
#include "crypto/openssl_library.h"

namespace lt::crypto {

void fill_random(ByteSpan out) {
  if (out.empty()) return;
  LT_ASSERT(RAND_bytes_ex(library().context, out.data(), out.size(), 0) == 1);
}

}  // namespace lt::crypto

#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace lt {

void assertion_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "linktune: a bug: %s does not hold (%s:%d)\n", condition, file, line);
  std::abort();
}

}  // namespace lt

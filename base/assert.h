// LT_ASSERT: a bug stops the program, in release builds too. Never on what a peer controls.
#pragma once

namespace lt {
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);
}  // namespace lt

#define LT_ASSERT(condition) \
  ((condition) ? void(0) : ::lt::assertion_failed(#condition, __FILE__, __LINE__))

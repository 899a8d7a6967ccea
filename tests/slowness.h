// How many times slower the tests and the product run here than in an ordinary build: more than once only under a sanitizer.
#pragma once

namespace lt {

#ifndef LINKTUNE_TEST_SLOWNESS
#define LINKTUNE_TEST_SLOWNESS 1
#endif

/// For a bound in time that the product promises and a sanitizer cannot keep: `CHECK(took < 2s * slowness)`.
inline constexpr int slowness = LINKTUNE_TEST_SLOWNESS;

}  // namespace lt

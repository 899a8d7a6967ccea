// What a test takes for granted: a call that must not fail, so that the test can go on to what it is about.
#pragma once

#include <catch2/catch.hpp>
#include <utility>

#include "base/result.h"

namespace lt {

/// The value of `result`. An error ends the test, with the error's own words.
template <class T>
T require(Result<T> result) {
  if (!result) FAIL(result.error().text());
  return std::move(*result);
}

inline void require(const Status& status) {
  if (!status) FAIL(status.error().text());
}

}  // namespace lt

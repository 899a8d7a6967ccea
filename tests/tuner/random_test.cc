#include "tuner/random.h"

#include <catch2/catch.hpp>

using namespace lt::tuner;

TEST_CASE("streams of different purposes differ, and those of the same do not", "[tuner][random]") {
  CHECK(derive_seed(1, 2) == derive_seed(1, 2));
  CHECK(derive_seed(1, 2) != derive_seed(1, 3));
  CHECK(derive_seed(1, 2) != derive_seed(2, 2));
  CHECK(derive_seed(1, 2) != derive_seed(2, 1));
}

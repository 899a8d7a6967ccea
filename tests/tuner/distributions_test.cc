#include "tuner/distributions.h"

#include <catch2/catch.hpp>

using namespace lt::tuner;

TEST_CASE("quantiles agree with the printed tables", "[tuner][distributions]") {
  // NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.1 and 1.3.6.7.2: three decimals.
  CHECK(student_t_quantile(0.975, 1) == Approx(12.706).margin(5e-4));
  CHECK(student_t_quantile(0.975, 9) == Approx(2.262).margin(5e-4));
  CHECK(student_t_quantile(0.95, 30) == Approx(1.697).margin(5e-4));
  CHECK(normal_quantile(0.975) == Approx(1.960).margin(5e-4));
  CHECK(normal_quantile(0.5) == Approx(0).margin(1e-12));
}

#include "tuner/distributions.h"

#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>

#include "base/assert.h"

namespace lt::tuner {

double student_t_quantile(double probability, double degrees) {
  LT_ASSERT(probability > 0 && probability < 1 && degrees > 0);
  return boost::math::quantile(boost::math::students_t(degrees), probability);
}

double normal_quantile(double probability) {
  LT_ASSERT(probability > 0 && probability < 1);
  return boost::math::quantile(boost::math::normal(), probability);
}

}  // namespace lt::tuner

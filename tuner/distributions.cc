#include "tuner/distributions.h"

#include <boost/math/distributions/fisher_f.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>

#include "base/assert.h"

namespace lt::tuner {

double student_t_quantile(double probability, double degrees) {
  LT_ASSERT(probability > 0 && probability < 1 && degrees > 0);
  return boost::math::quantile(boost::math::students_t(degrees), probability);
}

double student_t_above(double value, double degrees) {
  LT_ASSERT(degrees > 0);
  return boost::math::cdf(boost::math::complement(boost::math::students_t(degrees), value));
}

double normal_quantile(double probability) {
  LT_ASSERT(probability > 0 && probability < 1);
  return boost::math::quantile(boost::math::normal(), probability);
}

double fisher_f_quantile(double probability, double degrees_above, double degrees_below) {
  LT_ASSERT(probability > 0 && probability < 1 && degrees_above > 0 && degrees_below > 0);
  return boost::math::quantile(boost::math::fisher_f(degrees_above, degrees_below), probability);
}

}  // namespace lt::tuner
